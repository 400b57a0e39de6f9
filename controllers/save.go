package controllers

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"slices"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"workorders.dev/operator/api/v1alpha1"
	"workorders.dev/operator/controllers/plan"
)

// saveTries is how many times a save is tried while others write into the order what its decision does not rest on.
const saveTries = 10

// save moves the order's status on to the transition's: a compare-and-swap, which fails with a conflict if anything
// about the order was changed since it was read. If that was nothing that the decision rests on, the save is made again
// onto what is there now, as somebody who rewrites labels all the time would win every race otherwise. On success the
// order is the one that was saved.
func (r *WorkOrderReconciler) save(ctx context.Context, order *v1alpha1.WorkOrder, next *plan.Transition) error {
	for try := 1; ; try++ {
		err := r.patchStatus(ctx, order, next)
		switch {
		case err == nil:
			return nil
		case apierrors.IsNotFound(err):
			return fmt.Errorf("%w: %w", errRaceLost, err)
		case !apierrors.IsConflict(err) && !apierrors.IsInvalid(err):
			return fmt.Errorf("save the status: %w", err)
		}
		live := &v1alpha1.WorkOrder{}
		readErr := r.Live.Get(ctx, client.ObjectKeyFromObject(order), live)
		outdated := readErr == nil && live.ResourceVersion != order.ResourceVersion
		switch {
		case apierrors.IsInvalid(err) && !outdated:
			return fmt.Errorf("save the status: %w", err)
		case !outdated || !sameGround(live, order) || try == saveTries:
			// The patch is applied before the versions are compared, and may not even fit what is there now.
			return fmt.Errorf("%w: %w", errRaceLost, err)
		}
		*order = *live
		next.Rebase(&order.Status)
	}
}

// sameGround says whether two versions of an order are the same to a decision. Its deletion is a new generation too.
func sameGround(a, b *v1alpha1.WorkOrder) bool {
	return a.UID == b.UID && a.Generation == b.Generation && a.Status.Sequence == b.Status.Sequence
}

// patchStatus saves the transition's status, if the order is still the version that it was made from.
func (r *WorkOrderReconciler) patchStatus(ctx context.Context, order *v1alpha1.WorkOrder, next *plan.Transition) error {
	patch, err := statusPatch(order, &next.Status)
	if err != nil {
		return err
	}
	// Into an empty object: decoding leaves alone what the reply does not mention.
	saved := &v1alpha1.WorkOrder{ObjectMeta: metav1.ObjectMeta{Namespace: order.Namespace, Name: order.Name}}
	if err := r.Status().Patch(ctx, saved, client.RawPatch(types.JSONPatchType, patch)); err != nil {
		return err
	}
	*order = *saved
	return nil
}

// operation is one operation of a JSON patch, RFC 6902.
type operation struct {
	Op    string          `json:"op"`
	Path  string          `json:"path"`
	Value json.RawMessage `json:"value,omitempty"`
}

// statusPatch is a JSON patch that holds only what the new status changes, as the cost of a write grows with it. It
// adds the resourceVersion, which makes the API server refuse it with 409 if the order was changed meanwhile.
func statusPatch(order *v1alpha1.WorkOrder, after *v1alpha1.WorkOrderStatus) ([]byte, error) {
	version, err := json.Marshal(order.ResourceVersion)
	if err != nil {
		return nil, err
	}
	patch := []operation{{Op: "add", Path: "/metadata/resourceVersion", Value: version}}
	if order.Status.Sequence == 0 {
		// What the API server shows of a new order's status is a default.
		whole, err := json.Marshal(after)
		if err != nil {
			return nil, err
		}
		return json.Marshal(append(patch, operation{Op: "add", Path: "/status", Value: whole}))
	}
	was, err := fields(&order.Status)
	if err != nil {
		return nil, err
	}
	is, err := fields(after)
	if err != nil {
		return nil, err
	}
	for _, name := range sortedKeys(was, is) {
		path := "/status/" + name
		switch value, kept := is[name]; {
		case !kept:
			patch = append(patch, operation{Op: "remove", Path: path})
		case bytes.Equal(value, was[name]):
		case name == "steps" && len(after.Steps) == len(order.Status.Steps):
			if patch, err = replaceEntries(patch, path, was[name], value); err != nil {
				return nil, err
			}
		default:
			patch = append(patch, operation{Op: "add", Path: path, Value: value}) // Replaces it too.
		}
	}
	return json.Marshal(patch)
}

// replaceEntries adds to the patch that the entries of a list that differ are replaced, by their place in it.
func replaceEntries(patch []operation, path string, was, is json.RawMessage) ([]operation, error) {
	var old, updated []json.RawMessage
	if err := json.Unmarshal(was, &old); err != nil {
		return nil, err
	}
	if err := json.Unmarshal(is, &updated); err != nil {
		return nil, err
	}
	for i := range updated {
		if !bytes.Equal(old[i], updated[i]) {
			patch = append(patch, operation{Op: "replace", Path: fmt.Sprintf("%s/%d", path, i), Value: updated[i]})
		}
	}
	return patch, nil
}

// fields are the fields of a status as they stand in JSON.
func fields(status *v1alpha1.WorkOrderStatus) (map[string]json.RawMessage, error) {
	encoded, err := json.Marshal(status)
	if err != nil {
		return nil, err
	}
	var decoded map[string]json.RawMessage
	return decoded, json.Unmarshal(encoded, &decoded)
}

func sortedKeys(maps ...map[string]json.RawMessage) []string {
	var keys []string
	for _, m := range maps {
		for key := range m {
			keys = append(keys, key)
		}
	}
	slices.Sort(keys)
	return slices.Compact(keys)
}
