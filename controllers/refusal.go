package controllers

import (
	"errors"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"workorders.dev/operator/api/v1alpha1"
	"workorders.dev/operator/controllers/steppod"
)

// refusal says why the API server refuses an object of that kind and name, a Pod mostly, in words for people. It reports false for errors that are no refusal
// but trouble of the API server's own, which a simple retry gets over.
func refusal(err error, kind, name string) (v1alpha1.StepError, bool) {
	text := err.Error()
	code := v1alpha1.ErrorCode("")
	switch {
	case apierrors.IsAlreadyExists(err):
		return v1alpha1.StepError{Code: v1alpha1.CodeNameConflict, Message: "a " + kind + " called " + name + " exists that is not the order's: delete it"}, true
	case apierrors.HasStatusCause(err, corev1.NamespaceTerminatingCause), apierrors.IsNotFound(err): // Nothing else is looked up.
		code = v1alpha1.CodeNamespaceTerminating
	case strings.Contains(text, "exceeded quota"), strings.Contains(text, "failed quota"):
		code = v1alpha1.CodeQuotaExceeded
	case strings.Contains(text, "violates PodSecurity"):
		code = v1alpha1.CodePodSecurity
	case strings.Contains(text, "error looking up service account"):
		code = v1alpha1.CodeServiceAccountNotFound
	case strings.Contains(text, "failed calling webhook"):
		code = v1alpha1.CodeAdmissionUnavailable
	case apierrors.IsForbidden(err), strings.Contains(text, "denied the request"), strings.Contains(text, "denied request"):
		code = v1alpha1.CodeForbidden
	case apierrors.IsInvalid(err), apierrors.IsBadRequest(err), apierrors.IsRequestEntityTooLargeError(err):
		code = v1alpha1.CodeInvalidPod
	default:
		return v1alpha1.StepError{}, false
	}
	return v1alpha1.StepError{Code: code, Message: steppod.Line(essence(err), steppod.MaxErrorMessage)}, true
}

// essence is what an error of the API server says, without the words that name the Pod before it.
func essence(err error) string {
	text := err.Error()
	var status apierrors.APIStatus
	if errors.As(err, &status) && status.Status().Message != "" {
		text = status.Status().Message
	}
	for _, mark := range []string{" is forbidden: ", " is invalid: "} {
		if _, after, found := strings.Cut(text, mark); found {
			return after
		}
	}
	return text
}
