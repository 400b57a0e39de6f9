package admission

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"maps"
	"sync/atomic"
	"time"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
)

const (
	// longestRest is after how long the certificates are looked at even if they are not to be renewed yet: a timer
	// knows nothing of a machine that slept.
	longestRest = 12 * time.Hour
	// racePause is after another replica was faster.
	racePause = time.Second
)

// keeper keeps the certificates: it renews what is in the Secret, makes it known to the API server, and serves it.
type keeper struct {
	// client reads from and writes to the API server itself.
	client client.Client
	issuer *issuer
	secret types.NamespacedName
	// configuration is the name of the ValidatingWebhookConfiguration.
	configuration string

	serving atomic.Pointer[tls.Certificate]
}

// Reconcile renews, publishes and serves, in this order: what is served must be trusted already.
func (k *keeper) Reconcile(ctx context.Context, _ reconcile.Request) (reconcile.Result, error) {
	now := time.Now()
	data, err := k.renew(ctx, now)
	if apierrors.IsConflict(err) {
		return reconcile.Result{RequeueAfter: racePause}, nil
	}
	if err != nil {
		return reconcile.Result{}, err
	}
	pair, next, err := k.issuer.pair(data)
	if err != nil {
		return reconcile.Result{}, err
	}
	err = k.publish(ctx, data[authorities])
	if err == nil || k.expired(now) {
		k.serving.Store(pair)
	}
	if err != nil && !apierrors.IsConflict(err) {
		return reconcile.Result{}, err
	}
	if err != nil {
		return reconcile.Result{RequeueAfter: racePause}, nil
	}
	return reconcile.Result{RequeueAfter: max(racePause, min(next.Sub(now), longestRest))}, nil
}

// renew is what the Secret holds, once what had to be renewed has been. It never makes the Secret: the right to do that
// could not be limited to one name.
func (k *keeper) renew(ctx context.Context, now time.Time) (map[string][]byte, error) {
	secret := &corev1.Secret{}
	if err := k.client.Get(ctx, k.secret, secret); err != nil {
		return nil, fmt.Errorf("read the Secret of the webhook's certificates, which is made by applying config/webhook: %w", err)
	}
	data, err := k.issuer.renewed(secret.Data, now)
	if err != nil || maps.EqualFunc(data, secret.Data, bytes.Equal) {
		return data, err
	}
	before := secret.DeepCopy()
	secret.Data = data
	if err := k.client.Patch(ctx, secret, client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{})); err != nil {
		return nil, fmt.Errorf("save the webhook's certificates: %w", err)
	}
	ctrl.LoggerFrom(ctx).Info("Renewed the webhook's certificates")
	return data, nil
}

// publish tells the API server whom to trust.
func (k *keeper) publish(ctx context.Context, bundle []byte) error {
	configuration := &admissionregistrationv1.ValidatingWebhookConfiguration{}
	if err := k.client.Get(ctx, types.NamespacedName{Name: k.configuration}, configuration); err != nil {
		return fmt.Errorf("read the webhook's configuration, which is made by applying config/webhook: %w", err)
	}
	before, known := configuration.DeepCopy(), true
	for i := range configuration.Webhooks {
		known = known && bytes.Equal(configuration.Webhooks[i].ClientConfig.CABundle, bundle)
		configuration.Webhooks[i].ClientConfig.CABundle = bundle
	}
	if known {
		return nil
	}
	// A patch of nothing but this, so that fields that this operator does not know yet are kept.
	patch := client.StrategicMergeFrom(before, client.MergeFromWithOptimisticLock{})
	if err := k.client.Patch(ctx, configuration, patch); err != nil {
		return fmt.Errorf("write the authority of the webhook's certificates into its configuration: %w", err)
	}
	return nil
}

// expired says whether nothing that anybody could trust is served.
func (k *keeper) expired(now time.Time) bool {
	serving := k.serving.Load()
	return serving == nil || !now.Before(serving.Leaf.NotAfter)
}

// certificate is what a client of the webhook is shown.
func (k *keeper) certificate(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	if serving := k.serving.Load(); serving != nil {
		return serving, nil
	}
	return nil, errors.New("there is no certificate yet")
}
