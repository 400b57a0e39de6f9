// Command workorder-operator runs WorkOrders on a Kubernetes cluster.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net/http"
	"os"
	"runtime/debug"
	"strings"
	"time"

	"go.uber.org/zap/zapcore"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/selection"
	"k8s.io/apimachinery/pkg/util/validation"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	toolscache "k8s.io/client-go/tools/cache"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/healthz"
	"sigs.k8s.io/controller-runtime/pkg/log/zap"
	"sigs.k8s.io/controller-runtime/pkg/metrics"
	"sigs.k8s.io/controller-runtime/pkg/metrics/filters"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"

	"workorders.dev/operator/api/v1alpha1"
	"workorders.dev/operator/controllers"
	"workorders.dev/operator/controllers/admission"
	"workorders.dev/operator/controllers/steppod"
	"workorders.dev/operator/controllers/traces"
)

// settings are what can be set on the command line.
type settings struct {
	metricsAddress, probeAddress, pprofAddress string
	traceCollector                             string
	metricsSecure                              bool
	leaderElect                                bool
	leaderElectionNamespace, leaderElectionID  string
	namespaces                                 namespaces
	controllers                                controllers.Options
	webhook                                    bool
	admission                                  admission.Options
	log                                        zap.Options
}

// namespaces is a list of them, as a flag: separated by commas, and set as a whole.
type namespaces []string

// String implements flag.Value.
func (n *namespaces) String() string { return strings.Join(*n, ",") }

// Set implements flag.Value.
func (n *namespaces) Set(list string) error {
	*n = nil
	for name := range strings.SplitSeq(list, ",") {
		if name = strings.TrimSpace(name); name == "" {
			continue
		}
		if problems := validation.IsDNS1123Label(name); len(problems) > 0 {
			return fmt.Errorf("%q is no name of a namespace: %s", name, problems[0])
		}
		*n = append(*n, name)
	}
	return nil
}

// garbage may gather up to so many percent of what is in use, unless GOGC says otherwise: most of that is caches, which stay, and Go's
// own 100 would double them.
const garbage = 50

func main() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(garbage)
	}
	s := parse(flag.CommandLine, os.Args[1:])
	ctrl.SetLogger(zap.New(zap.UseFlagOptions(&s.log)))
	if err := run(ctrl.SetupSignalHandler(), s); err != nil {
		ctrl.Log.Error(err, "The operator ends")
		os.Exit(1)
	}
}

func parse(flags *flag.FlagSet, args []string) settings {
	// Errors here are about the cluster, not the code: where in the code they were met helps nobody.
	s := settings{log: zap.Options{TimeEncoder: zapcore.RFC3339TimeEncoder, StacktraceLevel: zapcore.PanicLevel}}
	flags.StringVar(&s.metricsAddress, "metrics-bind-address", ":8080", "Address that serves Prometheus metrics; 0 serves none.")
	flags.BoolVar(&s.metricsSecure, "metrics-secure", false, "Serve metrics by HTTPS, with a certificate made at each start, and only to those whom RBAC lets get the path /metrics.")
	flags.StringVar(&s.probeAddress, "health-probe-bind-address", ":8081", "Address that serves /healthz and /readyz.")
	flags.StringVar(&s.pprofAddress, "pprof-bind-address", "", "Address that serves Go's profiles, to whoever reaches it; empty serves none.")
	flags.StringVar(&s.traceCollector, "trace-collector", "", "URL of an OpenTelemetry collector, as http://collector.monitoring:4318, to which traces are sent by OTLP over HTTP; empty sends none.")
	flags.BoolVar(&s.leaderElect, "leader-elect", false, "Let only one of several replicas be at work.")
	flags.StringVar(&s.leaderElectionNamespace, "leader-election-namespace", "", "Namespace of the election's Lease; in a Pod its own is the default.")
	flags.StringVar(&s.leaderElectionID, "leader-election-id", "workorder-operator.workorders.dev", "Name of that Lease.")
	flags.Var(&s.namespaces, "namespaces", "Namespaces, separated by commas, whose orders are run; empty are all.")
	flags.IntVar(&s.controllers.MaxConcurrentReconciles, "max-concurrent-reconciles", 8, "How many orders are moved on at the same time.")
	flags.IntVar(&s.controllers.MaxRunningOrders, "max-running-orders", 0, "How many orders run at the same time at most; the others wait, the oldest first and namespaces by turns. 0 is no limit.")
	flags.IntVar(&s.controllers.MaxRunningOrdersPerNamespace, "max-running-orders-per-namespace", 0, "How many orders of one namespace run at the same time at most. 0 is no limit.")
	flags.StringVar(&s.controllers.MetricsTemplateLabel, "metrics-template-label", "", "Label of orders, as example.com/template, by whose value, and by their names, the metrics tell steps apart, and by which traces are named. Empty tells none apart.")
	flags.BoolVar(&s.webhook, "webhook", false, "Serve the webhook by which orders that cannot run are refused; config/webhook has the API server ask it.")
	flags.IntVar(&s.admission.Port, "webhook-port", 9443, "Port of the webhook.")
	flags.StringVar(&s.admission.Name, "webhook-name", "workorder-operator-webhook", "Name of the webhook's Service, of its Secret and of its ValidatingWebhookConfiguration.")
	flags.StringVar(&s.admission.Namespace, "webhook-namespace", "", "Namespace of that Service and Secret; in a Pod its own is the default.")
	s.log.BindFlags(flags)
	_ = flags.Parse(args) // ExitOnError.
	return s
}

// lastTraces is how long the operator waits at its end until its last traces are sent.
const lastTraces = 3 * time.Second

func run(ctx context.Context, s settings) error {
	mgr, err := newManager(ctx, s)
	if err != nil {
		return err
	}
	if err := controllers.Index(ctx, mgr); err != nil {
		return fmt.Errorf("index the Pods: %w", err)
	}
	orders := &controllers.WorkOrderReconciler{
		Client:   mgr.GetClient(),
		Live:     mgr.GetAPIReader(),
		Recorder: mgr.GetEventRecorder("workorder-operator"),
		Clock:    clock.RealClock{},
	}
	if s.traceCollector != "" {
		if orders.Traces, err = traces.Start(ctx, s.traceCollector, ctrl.Log); err != nil {
			return err
		}
		defer sendLast(orders.Traces)
	}
	s.controllers.Metrics = metrics.Registry
	if err := orders.SetupWithManager(mgr, s.controllers); err != nil {
		return fmt.Errorf("set up the controller of work orders: %w", err)
	}
	held := &controllers.HeldPodReconciler{Client: mgr.GetClient(), Live: mgr.GetAPIReader()}
	if err := held.SetupWithManager(mgr); err != nil {
		return fmt.Errorf("set up the controller of held Pods: %w", err)
	}
	if err := keepWarm(ctx, mgr); err != nil {
		return err
	}
	if s.webhook {
		if err := admission.SetupWithManager(mgr, s.admission); err != nil {
			return fmt.Errorf("set up the webhook: %w", err)
		}
	}
	return mgr.Start(ctx)
}

// sendLast sends the traces that have not been sent when the operator ends.
func sendLast(tracer *traces.Tracer) {
	ctx, cancel := context.WithTimeout(context.Background(), lastTraces)
	defer cancel()
	if err := tracer.Stop(ctx); err != nil {
		ctrl.Log.Info("The last traces were not sent", "cause", err.Error())
	}
}

func newManager(ctx context.Context, s settings) (ctrl.Manager, error) {
	scheme := runtime.NewScheme()
	if err := clientgoscheme.AddToScheme(scheme); err != nil {
		return nil, err
	}
	if err := v1alpha1.AddToScheme(scheme); err != nil {
		return nil, err
	}
	config, err := ctrl.GetConfig()
	if err != nil {
		return nil, fmt.Errorf("no cluster to work on; set KUBECONFIG or run in a Pod: %w", err)
	}
	config.QPS = -1 // The API server's own priority and fairness limits how much it is asked.
	in, late, err := readable(ctx, config, scheme, s.namespaces)
	if err != nil {
		return nil, err
	}
	mgr, err := ctrl.NewManager(config, ctrl.Options{
		Scheme:                        scheme,
		Metrics:                       metricsOptions(s),
		HealthProbeBindAddress:        s.probeAddress,
		PprofBindAddress:              s.pprofAddress,
		LeaderElection:                s.leaderElect,
		LeaderElectionID:              s.leaderElectionID,
		LeaderElectionNamespace:       s.leaderElectionNamespace,
		LeaderElectionReleaseOnCancel: true,
		Cache:                         cacheOptions(in),
		Client:                        clientOptions(in),
	})
	if err != nil {
		return nil, fmt.Errorf("make the manager: %w", err)
	}
	if len(late) > 0 {
		if err := mgr.Add(&controllers.Latecomers{API: mgr.GetAPIReader(), Namespaces: late, Every: time.Minute}); err != nil {
			return nil, err
		}
	}
	if err := mgr.AddHealthzCheck("ping", healthz.Ping); err != nil {
		return nil, err
	}
	return mgr, mgr.AddReadyzCheck("caches", filled(mgr))
}

// readable are those of the namespaces that the operator may read, and the others. All of them is none.
func readable(ctx context.Context, config *rest.Config, scheme *runtime.Scheme, all namespaces) (in, late namespaces, err error) {
	if len(all) == 0 {
		return nil, nil, nil
	}
	api, err := client.New(config, client.Options{Scheme: scheme})
	if err != nil {
		return nil, nil, fmt.Errorf("reach the API server: %w", err)
	}
	in, late = controllers.Readable(ctx, api, all)
	if len(in) == 0 {
		return nil, nil, fmt.Errorf("none of the namespaces %s can be read: bind the operator's role there", &all)
	}
	if len(late) > 0 {
		ctrl.Log.Info("The orders of some namespaces are not run, as the operator may not read them; it ends as soon as it may", "namespaces", late)
	}
	return in, late, nil
}

// metricsOptions serve the metrics to everybody, or to those whom the API server vouches for.
func metricsOptions(s settings) metricsserver.Options {
	options := metricsserver.Options{BindAddress: s.metricsAddress}
	if s.metricsSecure {
		options.SecureServing = true
		options.FilterProvider = filters.WithAuthenticationAndAuthorization
	}
	return options
}

// keepWarm has a replica read orders and Pods although it does not lead, so as to have them when it does.
func keepWarm(ctx context.Context, mgr ctrl.Manager) error {
	for _, object := range []client.Object{&v1alpha1.WorkOrder{}, &corev1.Pod{}} {
		if _, err := mgr.GetCache().GetInformer(ctx, object, cache.BlockUntilSynced(false)); err != nil {
			return fmt.Errorf("watch orders and their Pods: %w", err)
		}
	}
	return nil
}

// filled says whether the caches have been filled: only then can this replica go on where another one stopped.
func filled(mgr ctrl.Manager) healthz.Checker {
	return func(request *http.Request) error {
		ctx, cancel := context.WithTimeout(request.Context(), time.Second/2)
		defer cancel()
		if !mgr.GetCache().WaitForCacheSync(ctx) {
			return errors.New("the orders and Pods that exist are still being read")
		}
		return nil
	}
}

// cacheOptions keeps only what the operator looks at: of all Pods, those of orders, and of these what it decides by.
func cacheOptions(in namespaces) cache.Options {
	ofOrders, err := labels.NewRequirement(steppod.LabelOrderUID, selection.Exists, nil)
	if err != nil {
		panic(err) // A constant that is a valid label.
	}
	options := cache.Options{
		DefaultTransform:  cache.TransformStripManagedFields(),
		DefaultNamespaces: map[string]cache.Config{},
		ByObject: map[client.Object]cache.ByObject{
			&corev1.Pod{}:         {Label: labels.NewSelector().Add(*ofOrders), Transform: trimmed(steppod.Trim)},
			&v1alpha1.WorkOrder{}: {Transform: trimmed(trimOrder)},
		},
	}
	for _, namespace := range in {
		options.DefaultNamespaces[namespace] = cache.Config{}
	}
	return options
}

// trimmed has a cache keep only what is left of an object.
func trimmed[T any](trim func(T)) toolscache.TransformFunc {
	return func(object any) (any, error) {
		if o, is := object.(T); is { // Or it tells that one is gone.
			trim(o)
		}
		return object, nil
	}
}

// trimOrder takes out of an order what kubectl keeps in it for itself: the whole spec once more.
func trimOrder(order *v1alpha1.WorkOrder) {
	order.ManagedFields = nil
	delete(order.Annotations, corev1.LastAppliedConfigAnnotation)
}

// clientOptions lets the read of an object wait until the cache has seen this process's own writes to it, which spares
// turns that would decide on what is already history. Nothing rests on it: names and locks make a stale decision harmless. The
// library cannot do it for several namespaces.
func clientOptions(in namespaces) client.Options {
	wait := len(in) <= 1
	return client.Options{Cache: &client.CacheOptions{EnableReadYourWritesConsistency: &wait}}
}
