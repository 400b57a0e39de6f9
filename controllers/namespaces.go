package controllers

import (
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/util/wait"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"workorders.dev/operator/api/v1alpha1"
)

// Readable are those of some namespaces whose orders and Pods the operator may read, and the others: one that was deleted, with
// the operator's rights in it, must not keep it from the orders of all.
func Readable(ctx context.Context, api client.Reader, namespaces []string) (readable, others []string) {
	for _, namespace := range namespaces {
		if mayRead(ctx, api, namespace) {
			readable = append(readable, namespace)
		} else {
			others = append(others, namespace)
		}
	}
	return readable, others
}

// mayRead says whether the operator has the right to read orders and Pods of a namespace. What else may be wrong passes.
func mayRead(ctx context.Context, api client.Reader, namespace string) bool {
	for _, list := range []client.ObjectList{&v1alpha1.WorkOrderList{}, &corev1.PodList{}} {
		if err := api.List(ctx, list, client.InNamespace(namespace), client.Limit(1)); apierrors.IsForbidden(err) {
			return false
		}
	}
	return true
}

// Latecomers ends the operator, which is then started anew, as soon as it may read one of the namespaces that it could not
// read when it began.
type Latecomers struct {
	// API reads from the API server.
	API client.Reader
	// Namespaces are those that could not be read.
	Namespaces []string
	// Every is the pause between two looks.
	Every time.Duration
}

// Start implements [sigs.k8s.io/controller-runtime/pkg/manager.Runnable].
func (l *Latecomers) Start(ctx context.Context) error {
	var came []string
	err := wait.PollUntilContextCancel(ctx, l.Every, false, func(ctx context.Context) (bool, error) {
		came, _ = Readable(ctx, l.API, l.Namespaces)
		return len(came) > 0, nil
	})
	if err != nil {
		return nil // The operator ends.
	}
	return fmt.Errorf("the namespaces %v can be read now; start the operator anew to have their orders run", came)
}

// NeedLeaderElection is false: all replicas have to begin anew.
func (*Latecomers) NeedLeaderElection() bool { return false }
