package admission

import (
	"context"
	"fmt"

	apiequality "k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	"workorders.dev/operator/api/v1alpha1"
	"workorders.dev/operator/controllers/plan"
	"workorders.dev/operator/controllers/steppod"
)

const (
	// maxTold is how many problems, or warnings, are told at once.
	maxTold = 16
	// maxWarning is the longest warning, in bytes: API servers may cut longer ones.
	maxWarning = 256
)

// validator answers what the API server asks about orders.
type validator struct{}

var _ admission.Validator[*v1alpha1.WorkOrder] = validator{}

// ValidateCreate refuses a new order that cannot run.
func (validator) ValidateCreate(_ context.Context, order *v1alpha1.WorkOrder) (admission.Warnings, error) {
	return atMost(plan.Warnings(order)), refusal(order, plan.Problems(order))
}

// ValidateUpdate refuses an edit that brings a problem. Those that were there before are warned of only: to refuse them
// would keep the order from being cancelled, or mended bit by bit.
func (validator) ValidateUpdate(_ context.Context, before, order *v1alpha1.WorkOrder) (admission.Warnings, error) {
	if order.DeletionTimestamp != nil || apiequality.Semantic.DeepEqual(before.Spec, order.Spec) {
		return nil, nil
	}
	brought, left := compare(plan.Problems(before), plan.Problems(order))
	var said []string
	for _, p := range left {
		said = append(said, fmt.Sprintf("%s: the order still cannot run: %s", p.Field, p.Message))
	}
	return atMost(append(said, plan.Warnings(order)...)), refusal(order, brought)
}

// ValidateDelete refuses nothing.
func (validator) ValidateDelete(context.Context, *v1alpha1.WorkOrder) (admission.Warnings, error) {
	return nil, nil
}

// compare tells the problems after an edit that it brought from those that were there before it.
func compare(before, after []plan.Problem) (brought, left []plan.Problem) {
	known := make(map[plan.Identity]bool, len(before))
	for i := range before {
		known[before[i].Identity()] = true
	}
	for _, p := range after {
		if known[p.Identity()] {
			left = append(left, p)
		} else {
			brought = append(brought, p)
		}
	}
	return brought, left
}

// refusal is what the API server answers, one line a problem; nil if there is none.
func refusal(order *v1alpha1.WorkOrder, problems []plan.Problem) error {
	if len(problems) == 0 {
		return nil
	}
	var list field.ErrorList
	for i, p := range problems {
		if i == maxTold {
			list = append(list, field.Invalid(field.NewPath("spec"), field.OmitValueType{}, fmt.Sprintf("and %d more problems", len(problems)-i)))
			break
		}
		list = append(list, field.Invalid(p.Field, field.OmitValueType{}, p.Message))
	}
	return apierrors.NewInvalid(v1alpha1.GroupVersion.WithKind("WorkOrder").GroupKind(), order.Name, list)
}

// atMost are the warnings that are told.
func atMost(all []string) admission.Warnings {
	if len(all) > maxTold {
		all = append(all[:maxTold:maxTold], fmt.Sprintf("and %d more warnings", len(all)-maxTold))
	}
	for i := range all {
		all[i] = steppod.Line(all[i], maxWarning)
	}
	return all
}
