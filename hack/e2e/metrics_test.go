package e2e

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"github.com/onsi/gomega/gbytes"
	"github.com/onsi/gomega/gexec"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"workorders.dev/operator/api/v1alpha1"
)

// endpoint is where an operator in the cluster tells its metrics, and the token of who asks; nobody in particular if it is empty.
type endpoint struct{ url, token string }

// forward makes the metrics of a Service or a Pod of the operator reachable from here.
func forward(ctx context.Context, to string) *endpoint {
	GinkgoHelper()
	command := exec.Command("kubectl", "port-forward", "--namespace="+system, to, ":8443")
	command.Env = withKubectl(ctx)
	session, err := gexec.Start(command, GinkgoWriter, GinkgoWriter)
	Expect(err).NotTo(HaveOccurred())
	DeferCleanup(func() { session.Kill().Wait() })
	Eventually(ctx, session).Should(gbytes.Say(`127\.0\.0\.1:\d+ ->`))
	_, port, _ := strings.Cut(string(session.Out.Contents()), "127.0.0.1:")
	port, _, _ = strings.Cut(port, " ")
	return &endpoint{url: "https://127.0.0.1:" + port + "/metrics"}
}

// letRead lets the ServiceAccount default of a namespace read the metrics, as long as a spec lasts.
func letRead(ctx context.Context, namespace string) {
	GinkgoHelper()
	kubectl(ctx, "create", "clusterrolebinding", namespace, "--clusterrole=workorder-operator-metrics-reader", "--serviceaccount="+namespace+":default")
	DeferCleanup(func(ctx SpecContext) { kubectl(ctx, "delete", "clusterrolebinding", namespace) })
}

// get asks for the metrics, and returns the code of the reply and what it says.
func (e *endpoint) get() (int, string) {
	GinkgoHelper()
	request, err := http.NewRequest(http.MethodGet, e.url, nil)
	Expect(err).NotTo(HaveOccurred())
	if e.token != "" {
		request.Header.Set("Authorization", "Bearer "+e.token)
	}
	transport := &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}} // It signs for itself.
	defer transport.CloseIdleConnections()
	reply, err := (&http.Client{Transport: transport, Timeout: 10 * time.Second}).Do(request)
	Expect(err).NotTo(HaveOccurred())
	defer reply.Body.Close()
	text, err := io.ReadAll(reply.Body)
	Expect(err).NotTo(HaveOccurred())
	return reply.StatusCode, string(text)
}

func (e *endpoint) status() int {
	GinkgoHelper()
	code, _ := e.get()
	return code
}

// usage is what the operator takes: memory in MiB, and all CPU seconds so far.
func (e *endpoint) usage() (memory, cpu float64) {
	GinkgoHelper()
	_, text := e.get()
	value := func(metric string) float64 {
		found := regexp.MustCompile("(?m)^" + metric + " (.*)$").FindStringSubmatch(text)
		Expect(found).NotTo(BeNil(), metric)
		number, err := strconv.ParseFloat(found[1], 64)
		Expect(err).NotTo(HaveOccurred())
		return number
	}
	return value("process_resident_memory_bytes") / (1 << 20), value("process_cpu_seconds_total")
}

// tellUsage reports what an operator takes while nothing happens, and checks that it is far from what its Pod may.
func tellUsage(ctx context.Context, when string, metrics *endpoint, pod string) {
	GinkgoHelper()
	said := kubectl(ctx, "get", "pod", pod, "--namespace="+system, "--output=jsonpath={.spec.containers[0].resources.limits.memory}")
	limit, err := resource.ParseQuantity(said)
	Expect(err).NotTo(HaveOccurred())
	const watched = 30 * time.Second
	_, before := metrics.usage()
	select {
	case <-ctx.Done():
	case <-time.After(watched):
	}
	memory, after := metrics.usage()
	AddReportEntry(when, fmt.Sprintf("%.0f MiB of memory, %.1f %% of a CPU, %.1f CPU seconds since its start", memory, 100*(after-before)/watched.Seconds(), after))
	Expect(memory).To(BeNumerically("<", float64(limit.Value())/(1<<20)/2))
}

// ofAThousand selects those orders.
var ofAThousand = client.MatchingLabels{"of": "a-thousand"}

// aThousand submits so many orders, of a step that is done at once and one that takes an hour, and waits until they are under way.
func aThousand(ctx context.Context, namespace string) {
	GinkgoHelper()
	pause := func(name string, seconds int64) v1alpha1.Step {
		return v1alpha1.Step{Name: name, Wait: &v1alpha1.Wait{Seconds: seconds}}
	}
	for i := range 1000 {
		Expect(cluster.Create(ctx, &v1alpha1.WorkOrder{
			ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: fmt.Sprintf("one-of-%d", i), Labels: ofAThousand},
			Spec:       v1alpha1.WorkOrderSpec{Steps: []v1alpha1.Step{pause("short", 0), pause("long", 3600)}},
		})).To(Succeed())
	}
	Eventually(ctx, func(g Gomega) (underWay int) {
		orders := &v1alpha1.WorkOrderList{}
		g.Expect(cluster.List(ctx, orders, client.InNamespace(namespace), ofAThousand)).To(Succeed())
		for _, order := range orders.Items {
			if order.Status.CurrentStep == "long" {
				underWay++
			}
		}
		return underWay
	}).WithTimeout(2 * time.Minute).Should(Equal(1000))
}
