package steppod

import (
	"crypto/sha256"
	"encoding/base32"
	"fmt"
	"strings"

	"k8s.io/apimachinery/pkg/types"
)

// The labels by which the operator finds its Pods, and people too.
const (
	LabelOrder    = "workorders.dev/order"
	LabelOrderUID = "workorders.dev/order-uid"
	LabelStep     = "workorders.dev/step"
	LabelEpoch    = "workorders.dev/epoch"
)

const (
	// Finalizer holds a Pod until its result is saved.
	Finalizer = "workorders.dev/result"

	// AnnotationStopped is set on a Pod that the operator stops, in the same write that stops it; its value is the
	// error code that says why.
	AnnotationStopped = "workorders.dev/stopped"

	// AnnotationSpecHash is the digest of the step's spec that the Pod was made from, SpecHash.
	AnnotationSpecHash = "workorders.dev/spec-hash"

	// GateSealed is a scheduling gate that is never lifted: a Pod that carries it only takes a name, so that no other
	// Pod can start under it.
	GateSealed = "workorders.dev/sealed"

	// ContainerName is the name of the one container of a step's Pod.
	ContainerName = "step"
)

// MaxEpoch is the highest epoch whose Pod name still fits into 63 characters.
const MaxEpoch = 9999

// Lengths of the readable parts of a Pod's name: 28 + 18 + 10 + 4 digits of epoch + 3 hyphens are 63.
const (
	orderPart = 28
	stepPart  = 18
	hashPart  = 10
)

// Name is the name of the Pod of a step in an epoch, at most 63 characters for epochs up to MaxEpoch. It is a function
// of its arguments alone, so that a Pod can be created once only: a second POST of the same name is refused.
func Name(order string, uid types.UID, step string, epoch int64) string {
	return fmt.Sprintf("%s-%s-%s-%d", part(order, orderPart), part(step, stepPart),
		Digest(hashPart, []byte(uid), []byte{0}, []byte(step)), epoch)
}

// part is the beginning of a name, made to fit inside a DNS label.
func part(name string, length int) string {
	if len(name) > length {
		name = name[:length]
	}
	return strings.TrimRight(strings.ReplaceAll(name, ".", "-"), "-")
}

var lowerBase32 = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

// Digest is the first characters, 52 at most, of the base32 of the SHA-256 of the data: lower-case letters and digits
// that may stand in any name.
func Digest(length int, data ...[]byte) string {
	sum := sha256.New()
	for _, d := range data {
		sum.Write(d)
	}
	return lowerBase32.EncodeToString(sum.Sum(nil))[:length]
}

// IdempotencyKey is what a step should pass on to systems in which its work must take effect once: it stays the same
// as long as an attempt is only interrupted, and changes when the work is tried anew.
func IdempotencyKey(uid types.UID, step string, attempt int64) string {
	return Digest(26, []byte(uid), []byte{0}, []byte(step), []byte{0}, fmt.Append(nil, attempt))
}

// Variable is the environment variable that carries a value of the given name: Variable("PARAM", "git-ref") is
// PARAM_GIT_REF. Names hold no upper-case letters and no underscores, so no two share a variable.
func Variable(prefix, name string) string {
	return prefix + "_" + strings.ToUpper(strings.ReplaceAll(name, "-", "_"))
}
