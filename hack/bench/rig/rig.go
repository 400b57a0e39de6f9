// Package rig is what a measurement is made with: a cluster, an operator that is started and stopped, nodes that are
// played, and what can be read off all of them.
package rig

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"workorders.dev/operator/api/v1alpha1"
)

// Rig is a cluster to measure on.
type Rig struct {
	client.WithWatch
	Config *rest.Config
	// Kubeconfig is the file that Config was read from.
	Kubeconfig string
	// Operator is the one that is measured.
	Operator *Operator
}

// New makes a rig of the cluster that a kubeconfig names, and of an operator's executable. If that ends by itself, or what plays
// the nodes does, died is told.
func New(kubeconfig, operator string, died func(error)) (*Rig, error) {
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		return nil, fmt.Errorf("no cluster to measure on; run `make bench`, which brings one up: %w", err)
	}
	config.QPS = -1
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{clientgoscheme.AddToScheme, v1alpha1.AddToScheme} {
		if err := add(scheme); err != nil {
			return nil, err
		}
	}
	c, err := client.NewWithWatch(config, client.Options{Scheme: scheme})
	if err != nil {
		return nil, fmt.Errorf("reach the cluster: %w", err)
	}
	return &Rig{WithWatch: c, Config: config, Kubeconfig: kubeconfig, Operator: &Operator{binary: operator, Kubeconfig: kubeconfig, Died: died}}, nil
}

// Version is the version of the API server.
func (r *Rig) Version() (string, error) {
	clients, err := kubernetes.NewForConfig(r.Config)
	if err != nil {
		return "", err
	}
	version, err := clients.ServerVersion()
	if err != nil {
		return "", err
	}
	return version.GitVersion, nil
}

// suffixLength is how long the random part of a namespace's name is. All names have the same length, as what is written
// in one namespace is written in another with the same number of bytes.
const suffixLength = 6

// NewNamespace makes a namespace for one measurement.
func (r *Rig) NewNamespace(ctx context.Context) (string, error) {
	name := make([]byte, suffixLength)
	for i := range name {
		name[i] = byte('a' + rand.IntN(26))
	}
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "bench-" + string(name), Labels: map[string]string{benchLabel: "true"}}}
	if err := r.Create(ctx, namespace); err != nil {
		return "", fmt.Errorf("make a namespace: %w", err)
	}
	account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: namespace.Name, Name: "default"}}
	err := Until(ctx, time.Minute, "a ServiceAccount in "+namespace.Name, func() (bool, error) {
		err := r.Get(ctx, client.ObjectKeyFromObject(account), account)
		return err == nil, client.IgnoreNotFound(err)
	})
	return namespace.Name, err
}

// clearTimeout is how long it may take until a namespace with all that a measurement has left in it is gone.
const clearTimeout = 45 * time.Minute

const benchLabel = "workorders.dev/bench"

// Clear removes all that measurements have left in the cluster, and returns when it is gone. Finished orders let go of
// their Pods only with an operator at work, so there has to be one.
func (r *Rig) Clear(ctx context.Context) error {
	namespaces := &corev1.NamespaceList{}
	if err := r.List(ctx, namespaces, client.HasLabels{benchLabel}); err != nil || len(namespaces.Items) == 0 {
		return err
	}
	if err := r.Operator.Start(ctx); err != nil {
		return err
	}
	for i := range namespaces.Items {
		if err := client.IgnoreNotFound(r.Delete(ctx, &namespaces.Items[i])); err != nil {
			return err
		}
	}
	for i := range namespaces.Items {
		key := client.ObjectKeyFromObject(&namespaces.Items[i])
		err := Until(ctx, clearTimeout, "namespace "+key.Name+" to go", func() (bool, error) {
			err := r.Get(ctx, key, &corev1.Namespace{})
			return apierrors.IsNotFound(err), client.IgnoreNotFound(err)
		})
		if err != nil {
			return err
		}
	}
	return r.Operator.Stop()
}

// Until asks ten times a second until something is so.
func Until(ctx context.Context, limit time.Duration, what string, ask func() (bool, error)) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	for {
		switch is, err := ask(); {
		case err != nil:
			return fmt.Errorf("wait for %s: %w", what, err)
		case is:
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait for %s: %w", what, context.Cause(ctx))
		case <-time.After(100 * time.Millisecond):
		}
	}
}
