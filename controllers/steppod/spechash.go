package steppod

import (
	"encoding/json"
	"strings"

	"workorders.dev/operator/api/v1alpha1"
)

// hashVersion stands before every digest. It grows when what is digested changes, so that a new operator never takes
// its own change for an edit by a person.
const hashVersion = "v1-"

// SpecHash is a digest of what the user set for a step and what makes it another piece of work when changed: what it
// runs, or how long it waits, and its timeout. Defaults are not in it.
func SpecHash(step *v1alpha1.Step) string {
	canonical, err := json.Marshal(struct {
		Run     *v1alpha1.Run  `json:"run,omitempty"`
		Wait    *v1alpha1.Wait `json:"wait,omitempty"`
		Timeout *int64         `json:"timeout,omitempty"`
	}{step.Run, step.Wait, step.TimeoutSeconds})
	if err != nil {
		panic(err) // Plain structs of strings and numbers: cannot fail.
	}
	return hashVersion + Digest(12, canonical)
}

// SameSpec says whether a step's spec is still what it was when the digest was saved. A digest of a version that this
// operator does not know is taken as the same: it says nothing about an edit.
func SameSpec(step *v1alpha1.Step, saved string) bool {
	return !strings.HasPrefix(saved, hashVersion) || saved == SpecHash(step)
}
