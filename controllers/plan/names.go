package plan

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"workorders.dev/operator/api/v1alpha1"
	"workorders.dev/operator/controllers/steppod"
)

// Lengths of the parts of an event's name after that of its order.
const (
	uidPart      = 6
	sequencePart = 8
	hashPart     = 10
)

// EventName is the name of the ProgressEvent with that spec: <order>-<uid>-<sequence>-<hash>. Names sort by sequence,
// and the hash over the whole spec makes a repeated POST find its own event, and never another.
func EventName(spec *v1alpha1.ProgressEventSpec) string {
	canonical, err := json.Marshal(spec)
	if err != nil {
		panic(err) // Plain structs of strings, numbers and times: cannot fail.
	}
	return fmt.Sprintf("%s-%s-%0*d-%s", spec.WorkOrder.Name, steppod.Digest(uidPart, []byte(spec.WorkOrder.UID)),
		sequencePart, spec.Sequence, steppod.Digest(hashPart, canonical))
}

// SequenceOf is the sequence in an event's name; 0 for the empty name, before the first event.
func SequenceOf(name string) int64 {
	parts := strings.Split(name, "-")
	if len(parts) < 2 {
		return 0
	}
	sequence, err := strconv.ParseInt(parts[len(parts)-2], 10, 64)
	if err != nil {
		return 0
	}
	return sequence
}
