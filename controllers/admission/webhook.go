package admission

import (
	"context"
	"crypto/tls"
	"fmt"
	"math"
	"os"
	"strings"
	"time"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/workqueue"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"
	"sigs.k8s.io/controller-runtime/pkg/webhook"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"
)

// Options say where the webhook is, and how the cluster calls it.
type Options struct {
	// Port is the port on which it is served.
	Port int
	// Name is that of its Service, of the Secret with its certificates, and of its ValidatingWebhookConfiguration.
	Name string
	// Namespace is where the Service and the Secret are. Empty means that of the Pod that this is.
	Namespace string
}

// Path is where on its port the webhook is found.
const Path = "/validate-workorders-dev-v1alpha1-workorder"

// Pauses between tries to do something about the certificates.
const (
	firstPause   = time.Second
	longestPause = 5 * time.Minute
)

// SetupWithManager has the manager serve the webhook, and keep its certificates. All of that is done by every replica, and
// none of it can hold up or end the manager, unless the port is taken.
func SetupWithManager(mgr ctrl.Manager, options Options) error {
	return setUp(mgr, options, usualLifetimes)
}

func setUp(mgr ctrl.Manager, options Options, l lifetimes) error {
	if options.Namespace == "" {
		namespace, err := os.ReadFile("/var/run/secrets/kubernetes.io/serviceaccount/namespace")
		if err != nil {
			return fmt.Errorf("this is no Pod, so the namespace of the webhook's Secret has to be set: %w", err)
		}
		options.Namespace = strings.TrimSpace(string(namespace))
	}
	live, err := client.New(mgr.GetConfig(), client.Options{HTTPClient: mgr.GetHTTPClient(), Scheme: mgr.GetScheme(), Mapper: mgr.GetRESTMapper()})
	if err != nil {
		return err
	}
	k := &keeper{
		client:        live,
		issuer:        newIssuer(options.Name+"."+options.Namespace+".svc", l),
		secret:        types.NamespacedName{Namespace: options.Namespace, Name: options.Name},
		configuration: options.Name,
	}
	if err := k.setUp(mgr); err != nil {
		return err
	}
	server := webhook.NewServer(webhook.Options{
		Port:    options.Port,
		TLSOpts: []func(*tls.Config){func(config *tls.Config) { config.GetCertificate = k.certificate }},
	})
	server.Register(Path, admission.WithValidator(mgr.GetScheme(), validator{}))
	return mgr.Add(server)
}

// setUp has the keeper look at the certificates whenever the Secret or the configuration has changed, and when it said.
func (k *keeper) setUp(mgr ctrl.Manager) error {
	watched, err := k.watched(mgr)
	if err != nil {
		return err
	}
	if err := mgr.Add(everywhere{watched}); err != nil {
		return err
	}
	look := reconcile.Request{NamespacedName: k.secret}
	changed := handler.EnqueueRequestsFromMapFunc(func(context.Context, client.Object) []reconcile.Request { return []reconcile.Request{look} })
	atStart := source.Func(func(_ context.Context, queue workqueue.TypedRateLimitingInterface[reconcile.Request]) error {
		queue.Add(look) // Whether there is something to watch or not.
		return nil
	})
	no := false
	return ctrl.NewControllerManagedBy(mgr).
		Named("workorder-certificates").
		WatchesRawSource(atStart).
		WatchesRawSource(source.Kind[client.Object](watched, &corev1.Secret{}, changed)).
		WatchesRawSource(source.Kind[client.Object](watched, &admissionregistrationv1.ValidatingWebhookConfiguration{}, changed)).
		WithOptions(controller.Options{
			NeedLeaderElection: &no,
			CacheSyncTimeout:   math.MaxInt64, // Without the right to watch the Secret it waits for that, and ends nothing.
			RateLimiter:        workqueue.NewTypedItemExponentialFailureRateLimiter[reconcile.Request](firstPause, longestPause),
		}).
		Complete(k)
}

// watched are the Secret and the ValidatingWebhookConfiguration, and no others: so much may be allowed by name. It is no
// part of the manager's cache, all of which has to be there before any controller begins.
func (k *keeper) watched(mgr ctrl.Manager) (cache.Cache, error) {
	return cache.New(mgr.GetConfig(), cache.Options{
		HTTPClient: mgr.GetHTTPClient(),
		Scheme:     mgr.GetScheme(),
		Mapper:     mgr.GetRESTMapper(),
		ByObject: map[client.Object]cache.ByObject{
			&corev1.Secret{}: {
				Namespaces: map[string]cache.Config{k.secret.Namespace: {}},
				Field:      fields.OneTermEqualSelector(metav1.ObjectNameField, k.secret.Name),
			},
			&admissionregistrationv1.ValidatingWebhookConfiguration{}: {
				Field: fields.OneTermEqualSelector(metav1.ObjectNameField, k.configuration),
			},
		},
	})
}

// everywhere is a cache that is kept by every replica, the leader or not.
type everywhere struct{ cache.Cache }

// NeedLeaderElection is false: the others serve the webhook too.
func (everywhere) NeedLeaderElection() bool { return false }
