package steppod

import (
	"regexp"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/validation"
	"pgregory.net/rapid"
)

func TestAPodsNameIsMadeOfItsOrderStepAndEpoch(t *testing.T) {
	for _, test := range []struct{ because, order, step, want string }{
		{"short names are kept", "add-dark-mode", "implement", "add-dark-mode-implement-ig435xjfzc-7"},
		{"dots become hyphens, as a Pod's name is its host name", "v1.2.release", "build", "v1-2-release-build-mjjh5kxj7m-7"},
		{"long names are cut", strings.Repeat("o", 63), strings.Repeat("s", 40), strings.Repeat("o", 28) + "-" + strings.Repeat("s", 18) + "-5g6mpj6d5u-7"},
		{"and never end in two hyphens", strings.Repeat("o", 27) + "-x", strings.Repeat("s", 17) + "-x", strings.Repeat("o", 27) + "-" + strings.Repeat("s", 17) + "-gd7kdul5z6-7"},
	} {
		if got := Name(test.order, "uid", test.step, 7); got != test.want {
			t.Errorf("%s: got %s, want %s", test.because, got, test.want)
		}
	}
}

func TestEveryPodsNameIsADNSLabelAndNobodyElses(t *testing.T) {
	orders, steps := rapid.StringMatching(`[a-z0-9]([-a-z0-9.]{0,61}[a-z0-9])?`), rapid.StringMatching(`[a-z]([-a-z0-9]{0,38}[a-z0-9])?`)
	type attempt struct {
		order, step string
		uid         types.UID
		epoch       int64
	}
	names := map[string]attempt{}
	rapid.Check(t, func(t *rapid.T) {
		uid := types.UID(rapid.SampledFrom([]string{"a", "b", "c"}).Draw(t, "uid"))
		a := attempt{"o" + string(uid) + orders.Draw(t, "order"), steps.Draw(t, "step"), uid, rapid.Int64Range(1, MaxEpoch).Draw(t, "epoch")}
		name := Name(a.order, a.uid, a.step, a.epoch)
		if problems := validation.IsDNS1123Label(name); len(problems) > 0 {
			t.Fatalf("%+v: %s: %v", a, name, problems)
		}
		// An order's name is a function of its uid, so it may be cut.
		if other, taken := names[name]; taken && (other.step != a.step || other.uid != a.uid || other.epoch != a.epoch) {
			t.Fatalf("%+v and %+v are both called %s", a, other, name)
		}
		names[name] = a
	})
}

func TestAVariableIsNamedAfterItsValueAndNoTwoShareOne(t *testing.T) {
	for name, want := range map[string]string{"request": "PARAM_REQUEST", "git-ref": "PARAM_GIT_REF", "a1": "PARAM_A1"} {
		if got := Variable("PARAM", name); got != want {
			t.Errorf("%s: got %s, want %s", name, got, want)
		}
	}
	named, legal := map[string]string{}, regexp.MustCompile(`^[A-Z][A-Z0-9_]*$`)
	rapid.Check(t, func(t *rapid.T) {
		name := rapid.StringMatching(`[a-z]([-a-z0-9]{0,4}[a-z0-9])?`).Draw(t, "name")
		variable := Variable("PARAM", name)
		if other, taken := named[variable]; taken && other != name || !legal.MatchString(variable) {
			t.Fatalf("%s gives %s, as does %s", name, variable, other)
		}
		named[variable] = name
	})
}

func TestTheIdempotencyKeyStandsForOneAttemptOfOneStepOfOneOrder(t *testing.T) {
	key := IdempotencyKey("uid", "build", 1)
	if key != IdempotencyKey("uid", "build", 1) {
		t.Error("the key of one attempt changes")
	}
	for because, other := range map[string]string{
		"another attempt":               IdempotencyKey("uid", "build", 2),
		"another step":                  IdempotencyKey("uid", "test", 1),
		"another order":                 IdempotencyKey("uid2", "build", 1),
		"parts that only look as one":   IdempotencyKey("uidb", "uild", 1),
		"a digit that changed its side": IdempotencyKey("uid", "build1", 1),
	} {
		if key == other {
			t.Errorf("%s has the same key", because)
		}
	}
}
