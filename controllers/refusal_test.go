package controllers

import (
	"encoding/json"
	"errors"
	"fmt"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"workorders.dev/operator/controllers/steppod"
	"workorders.dev/operator/hack/reliability/hostile"
)

// An API server, a webhook and a quota quote in a refusal what a user wrote.
func TestARefusalSaysNothingHarmful(t *testing.T) {
	pods := corev1.Resource("pods")
	for _, text := range hostile.Texts {
		for what, err := range map[string]error{
			"a quota":             apierrors.NewForbidden(pods, "p", fmt.Errorf("exceeded quota: %s", text)),
			"Pod security":        apierrors.NewForbidden(pods, "p", fmt.Errorf("violates PodSecurity %q: %s", "restricted", text)),
			"a ServiceAccount":    apierrors.NewForbidden(pods, "p", fmt.Errorf("error looking up service account %s", text)),
			"a webhook":           apierrors.NewForbidden(pods, "p", fmt.Errorf("admission webhook %q denied the request: %s", "w", text)),
			"a webhook's absence": apierrors.NewInternalError(fmt.Errorf("failed calling webhook %q: %s", "w", text)),
			"the API server":      apierrors.NewBadRequest(text),
			"a size":              apierrors.NewRequestEntityTooLargeError(text),
			"something wrapped":   fmt.Errorf("create: %w", apierrors.NewForbidden(pods, text, errors.New(text))),
		} {
			why, refused := refusal(err, "Pod", "p")
			encoded, encodeErr := json.Marshal(why.Message)
			if encodeErr != nil {
				t.Fatal(encodeErr)
			}
			if flaw := hostile.LineFlaw(why.Message); !refused || flaw != "" || len(encoded)-2 > steppod.MaxErrorMessage {
				t.Errorf("%s says %.40q: refused %v, %s, %d bytes: %.100q", what, text, refused, flaw, len(encoded)-2, why.Message)
			}
		}
	}
}
