package admission

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/yaml"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	ctrlconfig "sigs.k8s.io/controller-runtime/pkg/config"
	"sigs.k8s.io/controller-runtime/pkg/envtest"
	logf "sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/log/zap"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"

	"workorders.dev/operator/api/v1alpha1"
	"workorders.dev/operator/controllers"
	"workorders.dev/operator/hack/freeport"
)

const (
	systemNamespace = "workorders-system"
	name            = "workorder-operator-webhook"
	operatorUser    = "system:serviceaccount:workorders-system:workorder-operator"
)

// The suite has a real API server ask a real operator, which has the rights that config hands out and no others, and
// makes its certificates itself. Only the address is another one: the operator is no Pod here, so no Service leads to it.
var (
	environment *envtest.Environment
	cluster     client.Client // May do anything.
	scheme      = runtime.NewScheme()
)

func TestWebhook(t *testing.T) {
	if os.Getenv("KUBEBUILDER_ASSETS") == "" {
		if os.Getenv("CI") == "true" {
			t.Fatal("KUBEBUILDER_ASSETS is not set: run `make test-envtest`")
		}
		t.Skip("SKIPPED: no kube-apiserver to test against; run `make test-envtest`, which builds one")
	}
	RegisterFailHandler(Fail)
	SetDefaultEventuallyTimeout(time.Minute)
	EnforceDefaultTimeoutsWhenUsingContexts()
	SetDefaultEventuallyPollingInterval(50 * time.Millisecond)
	RunSpecs(t, "The webhook, asked by a real kube-apiserver")
}

var _ = BeforeSuite(func(ctx SpecContext) {
	logf.SetLogger(zap.New(zap.WriteTo(GinkgoWriter), zap.UseDevMode(true)))
	Expect(clientgoscheme.AddToScheme(scheme)).To(Succeed())
	Expect(v1alpha1.AddToScheme(scheme)).To(Succeed())
	environment = &envtest.Environment{CRDDirectoryPaths: []string{"../../config/crd/bases"}, ErrorIfCRDPathMissing: true}
	config, err := environment.Start()
	Expect(err).NotTo(HaveOccurred())
	DeferCleanup(environment.Stop)
	cluster, err = client.New(config, client.Options{Scheme: scheme})
	Expect(err).NotTo(HaveOccurred())
	Expect(cluster.Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: systemNamespace}})).To(Succeed())
	for _, object := range manifests("../../config/rbac/*.yaml") {
		Expect(cluster.Create(ctx, object)).To(Succeed(), object.GetName())
	}
})

// manifests are the objects in some files.
func manifests(pattern string) (objects []*unstructured.Unstructured) {
	GinkgoHelper()
	files, err := filepath.Glob(pattern)
	Expect(err).NotTo(HaveOccurred())
	for _, file := range files {
		content, err := os.ReadFile(file)
		Expect(err).NotTo(HaveOccurred())
		for documents := yaml.NewYAMLOrJSONDecoder(bytes.NewReader(content), 4096); ; {
			object := &unstructured.Unstructured{}
			err := documents.Decode(object)
			if errors.Is(err, io.EOF) {
				break
			}
			Expect(err).NotTo(HaveOccurred(), file)
			if object.GetKind() != "Kustomization" {
				objects = append(objects, object)
			}
		}
	}
	Expect(objects).NotTo(BeEmpty())
	return objects
}

// install applies config/webhook, for an operator at that port of this machine, and removes it at the spec's end.
func install(ctx context.Context, port int) {
	GinkgoHelper()
	for _, object := range manifests("../../config/webhook/*.yaml") {
		if object.GetKind() == "ValidatingWebhookConfiguration" {
			direct(object, port)
		}
		Expect(cluster.Create(ctx, object)).To(Succeed())
		DeferCleanup(func(ctx SpecContext) { Expect(client.IgnoreNotFound(cluster.Delete(ctx, object))).To(Succeed()) })
	}
}

// direct replaces the Service by the address that it would lead to.
func direct(configuration *unstructured.Unstructured, port int) {
	GinkgoHelper()
	hooks, _, err := unstructured.NestedSlice(configuration.Object, "webhooks")
	Expect(err).NotTo(HaveOccurred())
	path, _, err := unstructured.NestedString(hooks[0].(map[string]any), "clientConfig", "service", "path")
	Expect(err).NotTo(HaveOccurred())
	hooks[0].(map[string]any)["clientConfig"] = map[string]any{"url": fmt.Sprintf("https://localhost:%d%s", port, path)}
	Expect(unstructured.SetNestedSlice(configuration.Object, hooks, "webhooks")).To(Succeed())
}

func freePort() int {
	GinkgoHelper()
	port, err := freeport.Next()
	Expect(err).NotTo(HaveOccurred())
	return port
}

// start runs an operator, webhook and controller, until the spec ends or the result is called.
func start(port int, l lifetimes, change ...func(*ctrl.Options)) (stop func()) {
	GinkgoHelper()
	config := rest.CopyConfig(environment.Config)
	config.Impersonate = rest.ImpersonationConfig{UserName: operatorUser}
	yes := true
	options := ctrl.Options{
		Scheme:     scheme,
		Metrics:    metricsserver.Options{BindAddress: "0"},
		Client:     client.Options{Cache: &client.CacheOptions{EnableReadYourWritesConsistency: &yes}},
		Controller: ctrlconfig.Controller{SkipNameValidation: &yes}, // There are several operators in this process.
	}
	for _, c := range change {
		c(&options)
	}
	mgr, err := ctrl.NewManager(config, options)
	Expect(err).NotTo(HaveOccurred())
	ctx, cancel := context.WithCancel(context.Background())
	Expect(controllers.Index(ctx, mgr)).To(Succeed())
	orders := &controllers.WorkOrderReconciler{Client: mgr.GetClient(), Live: mgr.GetAPIReader(), Recorder: mgr.GetEventRecorder("workorder-operator"), Clock: clock.RealClock{}}
	Expect(orders.SetupWithManager(mgr, controllers.Options{MaxConcurrentReconciles: 2})).To(Succeed())
	Expect(setUp(mgr, Options{Port: port, Name: name, Namespace: systemNamespace}, l)).To(Succeed())
	ended := make(chan error, 1)
	go func() { ended <- mgr.Start(ctx) }()
	stopped := false
	stop = func() {
		GinkgoHelper()
		if !stopped {
			stopped = true
			cancel()
			Eventually(ended).Should(Receive(Succeed()))
		}
	}
	DeferCleanup(func() { stop() })
	return stop
}

// submit creates an order in earnest.
func submit(ctx context.Context, manifest string) *v1alpha1.WorkOrder {
	GinkgoHelper()
	order := orderOf(GinkgoTB(), manifest)
	order.Namespace, order.Name, order.GenerateName = metav1.NamespaceDefault, "", "order-"
	Expect(cluster.Create(ctx, order)).To(Succeed())
	DeferCleanup(func(ctx SpecContext) {
		Expect(client.IgnoreNotFound(patch(ctx, order, `{"metadata": {"finalizers": null}}`))).To(Succeed())
		Expect(client.IgnoreNotFound(cluster.Delete(ctx, order))).To(Succeed())
	})
	return order
}

// ask is what the API server says to an order that is only tried.
func ask(ctx context.Context, manifest string) error {
	order := orderOf(GinkgoTB(), manifest)
	order.Namespace = metav1.NamespaceDefault
	return cluster.Create(ctx, order, client.DryRunAll)
}

// bundle is what the API server has been told to trust.
func bundle(ctx context.Context) []byte {
	GinkgoHelper()
	configuration := &admissionregistrationv1.ValidatingWebhookConfiguration{}
	Expect(cluster.Get(ctx, client.ObjectKey{Name: name}, configuration)).To(Succeed())
	return configuration.Webhooks[0].ClientConfig.CABundle
}

// shown is the certificate that an operator shows to who trusts the bundle.
func shown(bundle []byte, port int) (*x509.Certificate, error) {
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(bundle)
	connection, err := tls.Dial("tcp", fmt.Sprintf("localhost:%d", port), &tls.Config{RootCAs: pool, ServerName: name + "." + systemNamespace + ".svc"})
	if err != nil {
		return nil, err
	}
	defer connection.Close()
	return connection.ConnectionState().PeerCertificates[0], nil
}
