package steppod

import (
	"encoding/json"
	"slices"
	"strings"

	"workorders.dev/operator/api/v1alpha1"
)

// hashVersion stands before every digest. It grows when what is digested changes, so that a new operator never takes
// its own change for an edit by a person.
const hashVersion = "v2-"

// SpecHash is a digest of what the user set for a step and what makes it another piece of work when changed: what it
// runs, or how long it waits, its timeout, its condition, and the steps that it needs, of which the order does not matter.
// Defaults are not in it.
func SpecHash(step *v1alpha1.Step, needs []string) string {
	canonical, err := json.Marshal(struct {
		Run     *v1alpha1.Run  `json:"run,omitempty"`
		Wait    *v1alpha1.Wait `json:"wait,omitempty"`
		Timeout *int64         `json:"timeout,omitempty"`
		When    string         `json:"when,omitempty"`
		Inputs  []string       `json:"inputs,omitempty"`
		Needs   []string       `json:"needs,omitempty"`
	}{step.Run, step.Wait, step.TimeoutSeconds, step.When, sorted(step.Inputs), sorted(needs)})
	if err != nil {
		panic(err) // Plain structs of strings and numbers: cannot fail.
	}
	return hashVersion + Digest(12, canonical)
}

func sorted(names []string) []string { return slices.Sorted(slices.Values(names)) }

// SameSpec says whether a step's spec is still what it was when the digest was saved. A digest of a version that this
// operator does not know is taken as the same: it says nothing about an edit.
func SameSpec(step *v1alpha1.Step, needs []string, saved string) bool {
	return !strings.HasPrefix(saved, hashVersion) || saved == SpecHash(step, needs)
}

// Differ says whether two digests are known to be of different specs: those of another version say nothing.
func Differ(a, b string) bool {
	return strings.HasPrefix(a, hashVersion) && strings.HasPrefix(b, hashVersion) && a != b
}
