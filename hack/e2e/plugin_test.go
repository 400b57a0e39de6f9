package e2e

import (
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"github.com/onsi/gomega/gbytes"
	"github.com/onsi/gomega/gexec"

	"workorders.dev/operator/api/v1alpha1"
)

// plugin is the file of the kubectl plugin, built once.
var plugin = sync.OnceValues(func() (string, error) { return gexec.Build("workorders.dev/operator/cmd/kubectl-workorder") })

// workorder begins to run the plugin in a namespace.
func workorder(namespace string, args ...string) *gexec.Session {
	GinkgoHelper()
	file, err := plugin()
	Expect(err).NotTo(HaveOccurred())
	session, err := gexec.Start(exec.Command(file, append([]string{"--namespace", namespace}, args...)...), GinkgoWriter, GinkgoWriter)
	Expect(err).NotTo(HaveOccurred())
	DeferCleanup(func() { session.Kill().Wait() })
	return session
}

// expectExit waits for the end of the plugin, and checks its exit code.
func expectExit(ctx context.Context, session *gexec.Session, code int) {
	GinkgoHelper()
	Eventually(ctx, session).WithTimeout(2 * time.Minute).Should(gexec.Exit())
	Expect(session.ExitCode()).To(Equal(code), "%s%s", session.Out.Contents(), session.Err.Contents())
}

// said is what the plugin has printed.
func said(session *gexec.Session) string { return string(session.Out.Contents()) }

// expectCall runs the plugin to its end, and checks how that is.
func expectCall(ctx context.Context, namespace string, code int, says OmegaMatcher, args ...string) {
	GinkgoHelper()
	session := workorder(namespace, args...)
	expectExit(ctx, session, code)
	Expect(said(session)+string(session.Err.Contents())).To(says, strings.Join(args, " "))
}

// sequences are the numbers of the events in lines of JSON.
func sequences(lines string) (numbers []int64) {
	GinkgoHelper()
	for line := range strings.Lines(lines) {
		event := struct{ Sequence int64 }{}
		Expect(json.Unmarshal([]byte(line), &event)).To(Succeed(), line)
		numbers = append(numbers, event.Sequence)
	}
	return numbers
}

// upTo are the numbers from 1 on.
func upTo(last int64) (numbers []int64) {
	for n := range last {
		numbers = append(numbers, n+1)
	}
	return numbers
}

var _ = Describe("The kubectl plugin", func() {
	It("runs an order, shows it to its end, and tells its story in every way", func(ctx SpecContext) {
		namespace := newNamespace(ctx, nil)
		file := filepath.Join(GinkgoT().TempDir(), "order.yaml")
		Expect(os.WriteFile(file, []byte(`
apiVersion: workorders.dev/v1alpha1
kind: WorkOrder
metadata: {name: story}
spec:
  params: [{name: request, value: nothing}]
  retry: {limit: 1, backoff: {initialSeconds: 0}}
  steps:
  - name: plan
    run: {image: `+stepImage+`, args: ["--output=$(PARAM_REQUEST)"]}
  - name: build
    run: {image: `+stepImage+`, args: [--fail-epochs=1, "--output=\u200bred"]}
`), 0o600)).To(Succeed())
		expectCall(ctx, namespace, 0, ContainSubstring("story is in order"), "validate", "-f", file)
		run := workorder(namespace, "run", "-f", file, "--param", "request=a plan", "--watch")
		expectExit(ctx, run, 0)
		Expect(said(run)).To(And(ContainSubstring("succeeded: a plan"), ContainSubstring("(supersedes 3)"), ContainSubstring(`succeeded: \u200bred`)))
		Expect(string(run.Err.Contents())).To(Equal("story created\n"))

		expectCall(ctx, namespace, 0, And(ContainSubstring("✘ build"), ContainSubstring("(superseded)"), ContainSubstring("✔ build")), "status", "story")
		expectCall(ctx, namespace, 0, ContainSubstring("2/2"), "list")
		expectCall(ctx, namespace, 0, ContainSubstring("events, folded, are the status"), "replay", "story")
		expectCall(ctx, namespace, 0, And(ContainSubstring("StepSucceeded"), Not(ContainSubstring("StepFailed"))), "events", "story", "--collapse")
		expectCall(ctx, namespace, 0, ContainSubstring("story Succeeded"), "wait", "story")
		expectCall(ctx, namespace, 0, ContainSubstring("build/2 | "), "logs", "story")
		all, rest := workorder(namespace, "events", "story", "-o", "json"), workorder(namespace, "events", "story", "--after", "2", "-f", "-o", "json")
		expectExit(ctx, all, 0)
		expectExit(ctx, rest, 0)
		numbers := sequences(said(all))
		Expect(numbers).To(Equal(upTo(int64(len(numbers)))))
		Expect(sequences(said(rest))).To(Equal(numbers[2:]), "who has read up to a number goes on from there")

		Expect(numbers).NotTo(BeEmpty())
		order := &v1alpha1.WorkOrder{}
		status := workorder(namespace, "status", "story", "-o", "json")
		expectExit(ctx, status, 0)
		Expect(json.Unmarshal(status.Out.Contents(), order)).To(Succeed())
		Expect(order).To(And(HaveField("Kind", "WorkOrder"), HaveField("Status.Phase", v1alpha1.WorkOrderSucceeded)))
		Expect(said(status)).To(And(ContainSubstring(`\u200bred`), Not(ContainSubstring("\u200b"))), "what is not to be seen is escaped")

		expectCall(ctx, namespace, 0, ContainSubstring("runs plan again, in epoch 2"), "rewind", "story", "plan", "--reason", "once more")
		expectCall(ctx, namespace, 0, ContainSubstring("story Succeeded"), "wait", "story", "--timeout", "1m")
		reread(ctx, order)(Default)
		Expect(order.Status).To(And(HaveField("Phase", v1alpha1.WorkOrderSucceeded), HaveField("Rewinds", BeEquivalentTo(3))), "it waits for the end that is yet to come")
		Expect(order.Annotations).To(HaveKeyWithValue("kubernetes.io/change-cause", "rewind of plan: once more"))
	})

	It("follows the logs of an order from step to step and from epoch to epoch", func(ctx SpecContext) {
		namespace := newNamespace(ctx, nil)
		order := submit(ctx, namespace, "talks", v1alpha1.WorkOrderSpec{
			Retry: &v1alpha1.Retry{Limit: pointer(int32(1)), Backoff: &v1alpha1.Backoff{InitialSeconds: pointer(int32(0))}},
			Steps: []v1alpha1.Step{step("one", "--duration=1s"), step("two", "--duration=1s", "--fail-epochs=1"), step("three")},
		})
		followed, only := workorder(namespace, "logs", "talks", "-f"), workorder(namespace, "logs", "talks", "two", "--epoch", "2", "-f")
		expectPhase(ctx, order, v1alpha1.WorkOrderSucceeded)
		expectExit(ctx, followed, 0)
		expectExit(ctx, only, 0)
		var attempts []string
		for line := range strings.Lines(said(followed)) {
			if attempt, _, _ := strings.Cut(line, " | "); len(attempts) == 0 || attempts[len(attempts)-1] != attempt {
				attempts = append(attempts, attempt)
			}
		}
		Expect(attempts).To(Equal([]string{"one/1", "two/1", "two/2", "three/1"}), said(followed))
		again := workorder(namespace, "logs", "talks")
		expectExit(ctx, again, 0)
		Expect(said(again)).To(Equal(said(followed)), "to follow shows each line once")
		Expect(said(only)).To(And(Not(BeEmpty()), Not(ContainSubstring(" | "))))
	})

	It("says by its exit code how it went", func(ctx SpecContext) {
		namespace := newNamespace(ctx, nil)
		submit(ctx, namespace, "fails", v1alpha1.WorkOrderSpec{Steps: []v1alpha1.Step{step("build", "--fail-epochs=9")}})
		submit(ctx, namespace, "lasts", v1alpha1.WorkOrderSpec{Steps: []v1alpha1.Step{step("build", "--duration=10m"), step("next")}})
		expectCall(ctx, namespace, 1, ContainSubstring("StepFailed"), "watch", "fails")
		expectCall(ctx, namespace, 1, ContainSubstring("fails Failed"), "wait", "fails")
		expectCall(ctx, namespace, 2, ContainSubstring("see kubectl workorder watch --help"), "watch")
		expectCall(ctx, namespace, 1, ContainSubstring(`did you mean "lasts"?`), "watch", "lsts")
		expectCall(ctx, namespace, 1, ContainSubstring(`did you mean "build"?`), "rewind", "lasts", "bild")
		expectCall(ctx, namespace, 124, ContainSubstring("not finished after 1s"), "watch", "lasts", "--timeout", "1s")
		expectCall(ctx, namespace, 124, ContainSubstring("not finished after 1s"), "wait", "lasts", "--timeout", "1s")
		interrupted := workorder(namespace, "watch", "lasts")
		Eventually(ctx, interrupted).Should(gbytes.Say("Accepted"))
		expectExit(ctx, interrupted.Interrupt(), 130)

		watched := workorder(namespace, "watch", "lasts", "-o", "json")
		expectCall(ctx, namespace, 0, ContainSubstring("is suspended"), "suspend", "lasts")
		expectCall(ctx, namespace, 0, ContainSubstring("goes on"), "resume", "lasts")
		expectCall(ctx, namespace, 0, ContainSubstring("is being cancelled"), "cancel", "lasts")
		expectExit(ctx, watched, 1) // An order that was cancelled has not succeeded.
		numbers := sequences(said(watched))
		Expect(numbers).To(Equal(upTo(int64(len(numbers)))))
		expectCall(ctx, namespace, 1, ContainSubstring("has finished"), "cancel", "lasts")
	})
})

var _ = Describe("The kubectl plugin while the API server is killed", Label(labelOutage), func() {
	It("loses nothing that it shows, and shows nothing twice", func(ctx SpecContext) {
		ownCluster()
		_, err := plugin() // It may have to be built, and the order would not wait for that.
		Expect(err).NotTo(HaveOccurred())
		order := submit(ctx, newNamespace(ctx, nil), "through", v1alpha1.WorkOrderSpec{
			Retry: &v1alpha1.Retry{Limit: pointer(int32(1)), Backoff: &v1alpha1.Backoff{InitialSeconds: pointer(int32(0))}},
			Steps: []v1alpha1.Step{step("first", "--duration=2s"), step("second", "--duration=8s", "--fail-epochs=1"), step("third", "--duration=2s")},
		})
		watched := workorder(order.Namespace, "watch", order.Name, "-o", "json")
		Eventually(ctx, watched.Out).Should(gbytes.Say("Accepted"), "it has to be under way")
		expectRunning(ctx, order, "second")
		killComponent("kube-apiserver")
		Eventually(ctx, watched.Err).Should(gbytes.Say("trying again"))
		clusterUp(ctx)
		expectExit(ctx, watched, 0)
		reread(ctx, order)(Default)
		Expect(sequences(said(watched))).To(Equal(upTo(order.Status.Sequence)))
	})
})
