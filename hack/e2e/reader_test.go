package e2e

import (
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"workorders.dev/operator/api/v1alpha1"
)

// collapsing is the command with which the documentation shows a log without what is void.
var collapsing = regexp.MustCompile("(?s)```sh\n(kubectl get progressevents [^`]* -o go-template=.*?)```")

var _ = Describe("A reader who has nothing but kubectl", func() {
	It("sees the log without what rewinds made void, as docs/progress.md says", func(ctx SpecContext) {
		spec := three("--duration=2s")
		spec.Retry = &v1alpha1.Retry{Limit: pointer(int32(1)), Backoff: &v1alpha1.Backoff{InitialSeconds: pointer(int32(0))}}
		spec.Steps[0].Run.Args = append(spec.Steps[0].Run.Args, "--fail-epochs=1")
		order := submit(ctx, newNamespace(ctx, nil), "turned", spec)
		expectRunning(ctx, order, "c")
		edit(ctx, order, `{"spec":{"rewinds":[{"step":"b","toEpoch":2}]}}`)
		expectPhase(ctx, order, v1alpha1.WorkOrderSucceeded)

		page, err := os.ReadFile("../../docs/progress.md")
		Expect(err).NotTo(HaveOccurred())
		found := collapsing.FindSubmatch(page)
		Expect(found).NotTo(BeNil(), "the page has no such command any more")
		words := strings.NewReplacer("retry-and-rewind", order.Name, "kubectl get", "kubectl --namespace="+order.Namespace+" get")
		command := exec.CommandContext(ctx, "bash", "-c", words.Replace(string(found[1])))
		command.Env, command.Stderr = withKubectl(ctx), GinkgoWriter
		said, err := command.Output()
		Expect(err).NotTo(HaveOccurred())

		log := logOf(ctx, Default, order)
		var shown, live []string
		for line := range strings.Lines(string(said)) {
			shown = append(shown, strings.Fields(line)[0])
		}
		for _, event := range log.Collapse() {
			live = append(live, strconv.FormatInt(event.Spec.Sequence, 10))
		}
		Expect(shown).To(Equal(live), string(said))
		Expect(len(live)).To(BeNumerically("<", len(log.Events)), "nothing was void: that shows nothing")
	})
})
