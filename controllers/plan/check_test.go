package plan

import (
	"encoding/json"
	"math"
	"strings"
	"testing"

	"workorders.dev/operator/api/v1alpha1"
	"workorders.dev/operator/controllers/steppod"
)

// full is text that fills a limit with characters that cost the most in JSON.
func full(limit int) string { return steppod.Cut(strings.Repeat("<", limit), limit) }

// fullest is the largest entry that a step can have in a status: all that can be there at once, and what cannot too.
func fullest(name string) v1alpha1.StepStatus {
	code := int32(math.MinInt32)
	return v1alpha1.StepStatus{
		Name: name, Agent: strings.Repeat("<", 63), Phase: v1alpha1.StepSucceeded,
		Epoch: steppod.MaxEpoch, StartSequence: math.MaxInt64, Attempt: math.MaxInt64,
		Retries: math.MaxInt32, Disruptions: math.MaxInt32, SpecHash: "v1-" + strings.Repeat("x", 12),
		StartTime: mt(0), CompletionTime: mt(1), NotBefore: mt(2), ExitCode: &code,
		Output:  full(steppod.MaxOutputInStatus),
		Error:   &v1alpha1.StepError{Code: v1alpha1.CodeServiceAccountNotFound, Message: full(steppod.MaxErrorMessage)},
		Message: full(steppod.MaxMessage), PodName: strings.Repeat("x", 63),
	}
}

func TestTheLargestEntryOfAStepIsWithinItsLimit(t *testing.T) {
	encoded, err := json.Marshal(fullest(strings.Repeat("n", 40)))
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%d of %d bytes", len(encoded), maxStepBytes)
	if len(encoded) > maxStepBytes {
		t.Errorf("it has %d bytes, and the limits on an order count on %d", len(encoded), maxStepBytes)
	}
}
