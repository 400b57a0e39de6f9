package controllers

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"workorders.dev/operator/api/v1alpha1"
	"workorders.dev/operator/controllers/plan"
)

var _ = Describe("The API server", func() {
	DescribeTable("refuses a spec that cannot run, with a sentence that says what to write",
		func(ctx SpecContext, spec, sentence string) {
			Expect(create(ctx, "order", spec)).To(MatchError(ContainSubstring(sentence)))
		},
		Entry("no steps at all", `{steps: []}`, "spec.steps in body should have at least 1 items"),
		Entry("no image", `{steps: [{name: a, run: {}}]}`, "spec.steps[0].run.image: Required value"),
		Entry("an empty image", `{steps: [{name: a, run: {image: ""}}]}`, "run.image in body should be at least 1 chars long"),
		Entry("two steps of one name", `{steps: [{name: a, wait: {seconds: 1}}, {name: a, wait: {seconds: 1}}]}`, `spec.steps[1]: Duplicate value: {"name":"a"}`),
		Entry("neither run nor wait", `{steps: [{name: a}]}`, "set either run (a container) or wait (a pause)"),
		Entry("both run and wait", `{steps: [{name: a, run: {image: i}, wait: {seconds: 1}}]}`, "set either run (a container) or wait (a pause)"),
		Entry("an unknown kind of step", `{steps: [{name: a, script: {}}]}`, `unknown field "spec.steps[0].script"`),
		Entry("a wait with a timeout", `{steps: [{name: a, wait: {seconds: 1}, timeoutSeconds: 5}]}`, "a wait ends by itself"),
		Entry("more dependencies than a step may have", `{strategy: Graph, steps: [{name: a, dependsOn: [`+numbered(17, "n%d")+`], wait: {seconds: 1}}]}`, "spec.steps[0].dependsOn: Too many: 17: must have at most 16 items"),
		Entry("more inputs than a step may have", `{steps: [{name: a, inputs: [`+numbered(17, "n%d")+`], wait: {seconds: 1}}]}`, "spec.steps[0].inputs: Too many: 17: must have at most 16 items"),
		Entry("more of finally than there may be", `{steps: [{name: a, wait: {seconds: 1}}], finally: [`+numbered(17, "{name: n%d, wait: {seconds: 1}}")+`]}`, "spec.finally: Too many: 17: must have at most 16 items"),
		Entry("a negative wait", `{steps: [{name: a, wait: {seconds: -1}}]}`, "should be greater than or equal to 0"),
		Entry("a name that is no label", `{steps: [{name: A_b, wait: {seconds: 1}}]}`, "spec.steps[0].name in body should match"),
		Entry("a name too long", `{steps: [{name: `+strings.Repeat("a", 41)+`, wait: {seconds: 1}}]}`, "Too long: may not be more than 40"),
		Entry("a timeout too short to be told from a stop", `{steps: [{name: a, run: {image: i}, timeoutSeconds: 1}]}`, "should be greater than or equal to 2"),
		Entry("a variable of the operator's", `{steps: [{name: a, run: {image: i, env: [{name: WORKORDER_EPOCH, value: "7"}]}}]}`, "variables that begin with WORKORDER_ are set by the operator"),
		Entry("an unknown strategy", `{strategy: Random, steps: [{name: a, wait: {seconds: 1}}]}`, `Unsupported value: "Random": supported values: "Sequence", "Graph"`),
		Entry("a graph's fields in a sequence", `{steps: [{name: a, wait: {seconds: 1}}, {name: b, dependsOn: [a], wait: {seconds: 1}}]}`, "dependsOn belongs to a Graph"),
		Entry("a limit to what a sequence runs at once", `{parallelism: 2, steps: [{name: a, wait: {seconds: 1}}]}`, "parallelism belongs to a Graph"),
		Entry("a step that needs itself", `{strategy: Graph, steps: [{name: a, dependsOn: [a], wait: {seconds: 1}}]}`, "a step cannot depend on itself"),
		Entry("a step of finally that depends on something", `{steps: [{name: a, wait: {seconds: 1}}], finally: [{name: f, dependsOn: [a], wait: {seconds: 1}}]}`, "a step of finally depends on nothing"),
		Entry("one step rewound twice", `{rewinds: [{step: a, toEpoch: 2}, {step: a, toEpoch: 3}], steps: [{name: a, wait: {seconds: 1}}]}`, "spec.rewinds[1]: Duplicate value"),
		Entry("a volume with two sources", `{pod: {volumes: [{name: v, emptyDir: {}, secret: {secretName: s}}]}, steps: [{name: a, wait: {seconds: 1}}]}`, "a volume has one source"),
		Entry("a volume on the node", `{pod: {volumes: [{name: v, hostPath: {path: /}}]}, steps: [{name: a, wait: {seconds: 1}}]}`, `unknown field "spec.pod.volumes[0].hostPath"`),
		Entry("two params of one name", `{params: [{name: p}, {name: p}], steps: [{name: a, wait: {seconds: 1}}]}`, `spec.params[1]: Duplicate value`),
		Entry("ten thousand steps", tenThousandSteps(), "spec.steps: Too many: 10000: must have at most 256 items"),
	)

	It("refuses a name that could not be a label of the Pods", func(ctx SpecContext) {
		Expect(create(ctx, strings.Repeat("n", 64), `{steps: [{name: a, wait: {seconds: 1}}]}`)).
			To(MatchError(ContainSubstring("the name of a work order has at most 63 characters")))
		Expect(create(ctx, strings.Repeat("n", 63), `{steps: [{name: a, wait: {seconds: 1}}]}`)).To(Succeed())
	})

	It("accepts every order that the documentation and the samples show", func(ctx SpecContext) {
		shown := 0
		for _, pattern := range []string{"../*.md", "../docs/*.md", "../docs/*/*.md", "../config/samples/*.yaml"} {
			files, err := filepath.Glob(pattern)
			Expect(err).NotTo(HaveOccurred())
			for _, file := range files {
				content, err := os.ReadFile(file)
				Expect(err).NotTo(HaveOccurred())
				for _, order := range ordersIn(string(content), filepath.Ext(file)) {
					order.SetNamespace("default")
					Expect(strictly(ctx, order)).To(Succeed(), file)
					typed := &v1alpha1.WorkOrder{}
					Expect(runtime.DefaultUnstructuredConverter.FromUnstructured(order.Object, typed)).To(Succeed(), file)
					Expect(plan.Validate(&typed.Spec)).To(BeNil(), "%s: %v", file, order.Object)
					shown++
				}
			}
		}
		Expect(shown).To(BeNumerically(">=", 15))
	})

	It("lets nobody change a ProgressEvent", func(ctx SpecContext) {
		c := newCrank(ctx, sequence("only"))
		c.turn(ctx)
		event := c.eventList(ctx)[0]
		event.Spec.Message = "never happened"
		Expect(c.Update(ctx, &event)).To(MatchError(ContainSubstring("a ProgressEvent is history and cannot be changed")))
	})

	It("finds the events of an order by its name, its uid, a step or a type", func(ctx SpecContext) {
		c := newCrank(ctx, sequence("only"))
		c.turn(ctx)
		c.ends(ctx, "only", 0, "")
		c.turn(ctx)
		for selector, count := range map[string]int{
			"spec.workOrder.name=" + c.order.Name:       2,
			"spec.workOrder.uid=" + string(c.order.UID): 2,
			"spec.step=only":                            1,
			"spec.type=Accepted":                        1,
		} {
			list := &v1alpha1.ProgressEventList{}
			Expect(mgr.GetAPIReader().List(ctx, list, client.InNamespace(c.namespace), &client.ListOptions{Raw: &metav1.ListOptions{FieldSelector: selector}})).To(Succeed())
			Expect(list.Items).To(HaveLen(count), selector)
		}
	})
})

// create submits an order as a strict client does: what the API does not know is an error.
func create(ctx SpecContext, name, spec string) error {
	GinkgoHelper()
	order := &unstructured.Unstructured{}
	Expect(yaml.Unmarshal([]byte("spec: "+spec), &order.Object)).To(Succeed())
	order.SetGroupVersionKind(v1alpha1.GroupVersion.WithKind("WorkOrder"))
	order.SetNamespace("default")
	order.SetName(name)
	return strictly(ctx, order)
}

func strictly(ctx SpecContext, order *unstructured.Unstructured) error {
	return client.WithFieldValidation(mgr.GetClient(), "Strict").Create(ctx, order, client.DryRunAll, client.DisableReadYourWritesConsistency)
}

var yamlBlock = regexp.MustCompile("(?s)```yaml\n(.*?)```")

// ordersIn are the WorkOrders in a manifest, or in the YAML blocks of a document.
func ordersIn(text, extension string) (orders []*unstructured.Unstructured) {
	GinkgoHelper()
	manifests := []string{text}
	if extension == ".md" {
		manifests = nil
		for _, block := range yamlBlock.FindAllStringSubmatch(text, -1) {
			switch {
			case strings.Contains(block[1], "kind: WorkOrder\n"):
				manifests = append(manifests, block[1])
			case strings.HasPrefix(block[1], "  "):
				manifests = append(manifests, whole(block[1]))
			}
		}
	}
	for _, manifest := range manifests {
		object := &unstructured.Unstructured{}
		Expect(yaml.Unmarshal([]byte(manifest), &object.Object)).To(Succeed())
		if object.GetKind() == "WorkOrder" {
			orders = append(orders, object)
		}
	}
	return orders
}

// whole is an order of which a document shows a part of the spec, or some steps.
func whole(part string) string {
	order := "apiVersion: workorders.dev/v1alpha1\nkind: WorkOrder\nmetadata: {name: part}\nspec:\n"
	switch {
	case strings.HasPrefix(part, "  - "):
		order += "  params: [{name: environment}]\n  steps:\n  - {name: smoke-test, wait: {seconds: 1}}\n"
	case !strings.Contains("\n"+part, "\n  steps:"):
		part += "  steps: [{name: deploy, wait: {seconds: 1}}, {name: test, wait: {seconds: 1}}]\n"
	}
	return order + part
}

func tenThousandSteps() string {
	return "{steps: [" + numbered(10_000, "{name: s%d, wait: {seconds: 0}}") + "]}"
}

// numbered is a list of so many things of that format.
func numbered(n int, format string) string {
	things := make([]string, n)
	for i := range things {
		things[i] = fmt.Sprintf(format, i)
	}
	return strings.Join(things, ", ")
}
