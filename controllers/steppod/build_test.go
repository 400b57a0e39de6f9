package steppod

import (
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"sigs.k8s.io/randfill"

	"workorders.dev/operator/api/v1alpha1"
)

func ptr[T any](value T) *T { return &value }

// testOrder is an order that is as simple as can be.
func testOrder() *v1alpha1.WorkOrder {
	return &v1alpha1.WorkOrder{
		ObjectMeta: metav1.ObjectMeta{Name: "add-dark-mode", Namespace: "team", UID: "uid-1",
			Labels: map[string]string{"gitops": "prune-me"}, Annotations: map[string]string{"gitops": "prune-me"}},
		Spec: v1alpha1.WorkOrderSpec{Steps: []v1alpha1.Step{{Name: "build", Run: &v1alpha1.Run{Image: "registry/agent:1"}}}},
	}
}

var second = &v1alpha1.StepStatus{Name: "build", Epoch: 3, Attempt: 2, SpecHash: "v1-x"}

func TestThePodOfAStepHasAllThatItsOrderSays(t *testing.T) {
	order := testOrder()
	order.Spec.Params = []v1alpha1.Param{{Name: "git-ref", Value: "costs $5, $(HOME) $$"}}
	run := v1alpha1.Run{
		Image: "registry/agent:2", ImagePullPolicy: corev1.PullAlways, Command: []string{"agent"}, Args: []string{"$(PARAM_GIT_REF)"}, WorkingDir: "/src",
		Env:             []corev1.EnvVar{{Name: "MINE", Value: "$(PARAM_GIT_REF)"}},
		EnvFrom:         []corev1.EnvFromSource{{Prefix: "P_", SecretRef: &corev1.SecretEnvSource{LocalObjectReference: corev1.LocalObjectReference{Name: "s"}}}},
		Resources:       corev1.ResourceRequirements{Limits: corev1.ResourceList{"cpu": resource.MustParse("1")}},
		VolumeMounts:    []corev1.VolumeMount{{Name: "v", MountPath: "/v"}},
		SecurityContext: &corev1.SecurityContext{RunAsUser: ptr(int64(7))},
	}
	order.Spec.Steps[0].Run, order.Spec.Steps[0].TimeoutSeconds = &run, ptr(int64(60))
	settings := v1alpha1.PodSettings{
		ServiceAccountName: "coder", AutomountServiceAccountToken: ptr(true), ImagePullSecrets: []corev1.LocalObjectReference{{Name: "pull"}},
		NodeSelector: map[string]string{"disk": "fast"}, Tolerations: []corev1.Toleration{{Key: "gpu"}}, Affinity: &corev1.Affinity{PodAffinity: &corev1.PodAffinity{}},
		TopologySpreadConstraints: []corev1.TopologySpreadConstraint{{TopologyKey: "zone"}}, PriorityClassName: "low", RuntimeClassName: ptr("gvisor"),
		SecurityContext: &corev1.PodSecurityContext{RunAsNonRoot: ptr(true)}, HostAliases: []corev1.HostAlias{{IP: "10.0.0.1"}}, TerminationGracePeriodSeconds: ptr(int64(5)),
		Labels: map[string]string{"team": "red"}, Annotations: map[string]string{"note": "hello"},
		Volumes: []v1alpha1.Volume{{Name: "v", EmptyDir: &corev1.EmptyDirVolumeSource{}}},
	}
	order.Spec.Pod = &settings
	want := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			Name: Name("add-dark-mode", "uid-1", "build", 3), Namespace: "team", Finalizers: []string{Finalizer}, Annotations: map[string]string{"note": "hello", AnnotationSpecHash: "v1-x"},
			Labels:          map[string]string{"team": "red", LabelOrder: "add-dark-mode", LabelOrderUID: "uid-1", LabelStep: "build", LabelEpoch: "3"},
			OwnerReferences: []metav1.OwnerReference{{APIVersion: "workorders.dev/v1alpha1", Kind: "WorkOrder", Name: "add-dark-mode", UID: "uid-1", Controller: ptr(true)}},
		},
		Spec: corev1.PodSpec{
			RestartPolicy: corev1.RestartPolicyNever, EnableServiceLinks: ptr(false), ActiveDeadlineSeconds: ptr(int64(60)),
			ServiceAccountName: "coder", AutomountServiceAccountToken: ptr(true), ImagePullSecrets: settings.ImagePullSecrets, NodeSelector: settings.NodeSelector,
			Tolerations: settings.Tolerations, Affinity: settings.Affinity, TopologySpreadConstraints: settings.TopologySpreadConstraints,
			PriorityClassName: "low", RuntimeClassName: ptr("gvisor"), SecurityContext: settings.SecurityContext, HostAliases: settings.HostAliases, TerminationGracePeriodSeconds: ptr(int64(5)),
			Volumes: []corev1.Volume{{Name: "v", VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}}},
			Containers: []corev1.Container{{
				Name: ContainerName, Image: run.Image, ImagePullPolicy: run.ImagePullPolicy, Command: run.Command, Args: run.Args, WorkingDir: run.WorkingDir,
				EnvFrom: run.EnvFrom, Resources: run.Resources, VolumeMounts: run.VolumeMounts, SecurityContext: run.SecurityContext,
				TerminationMessagePolicy: corev1.TerminationMessageFallbackToLogsOnError,
				Env: []corev1.EnvVar{
					{Name: "WORKORDER_NAME", Value: "add-dark-mode"}, {Name: "WORKORDER_UID", Value: "uid-1"}, {Name: "WORKORDER_STEP", Value: "build"},
					{Name: "WORKORDER_EPOCH", Value: "3"}, {Name: "WORKORDER_ATTEMPT", Value: "2"},
					{Name: "WORKORDER_IDEMPOTENCY_KEY", Value: IdempotencyKey("uid-1", "build", 2)},
					{Name: "PARAM_GIT_REF", Value: "costs $$5, $$(HOME) $$$$"}, {Name: "MINE", Value: "$(PARAM_GIT_REF)"},
				},
			}},
		},
	}
	if diff := cmp.Diff(want, Build(order, &order.Spec.Steps[0], second, nil)); diff != "" {
		t.Error(diff)
	}
}

func TestAPodHasNoRightsAndNoDeadlineUnlessItsOrderSaysSo(t *testing.T) {
	order := testOrder()
	pod := Build(order, &order.Spec.Steps[0], second, nil)
	if token := pod.Spec.AutomountServiceAccountToken; token == nil || *token {
		t.Error("the step is given a token")
	}
	if pod.Spec.ActiveDeadlineSeconds != nil || pod.Spec.RestartPolicy != corev1.RestartPolicyNever {
		t.Errorf("unexpected %+v", pod.Spec)
	}
	if _, copied := pod.Labels["gitops"]; copied || len(pod.Annotations) > 1 {
		t.Error("the order's own labels or annotations are on the Pod: GitOps tools would prune it")
	}
}

func TestNobodyButTheOperatorSetsItsLabelsAndAnnotations(t *testing.T) {
	order := testOrder()
	theirs := map[string]string{LabelOrderUID: "stolen", LabelEpoch: "99", "workorders.dev/other": "x", AnnotationStopped: "Cancelled", "fine": "yes"}
	order.Spec.Pod = &v1alpha1.PodSettings{Labels: theirs, Annotations: theirs}
	pod := Build(order, &order.Spec.Steps[0], second, nil)
	want := map[string]string{LabelOrder: "add-dark-mode", LabelOrderUID: "uid-1", LabelStep: "build", LabelEpoch: "3", "fine": "yes"}
	if diff := cmp.Diff(want, pod.Labels); diff != "" {
		t.Error("labels:", diff)
	}
	if diff := cmp.Diff(map[string]string{"fine": "yes", AnnotationSpecHash: "v1-x"}, pod.Annotations); diff != "" {
		t.Error("annotations:", diff)
	}
	if len(theirs) != 5 {
		t.Error("the order itself was changed")
	}
}

// What a step may set of its Pod and container, and what the operator sets. A field that Kubernetes adds tomorrow is on
// neither list.
var (
	podFields = []string{
		"Volumes", "Containers", "RestartPolicy", "TerminationGracePeriodSeconds", "ActiveDeadlineSeconds", "NodeSelector", "ServiceAccountName",
		"AutomountServiceAccountToken", "SecurityContext", "ImagePullSecrets", "Affinity", "Tolerations", "HostAliases", "PriorityClassName",
		"RuntimeClassName", "EnableServiceLinks", "TopologySpreadConstraints",
	}
	containerFields = []string{
		"Name", "Image", "Command", "Args", "WorkingDir", "EnvFrom", "Env", "Resources", "VolumeMounts", "TerminationMessagePolicy", "ImagePullPolicy", "SecurityContext",
	}
	volumeFields = []string{"EmptyDir", "Secret", "PersistentVolumeClaim", "ConfigMap", "Projected", "Ephemeral", "Image"}
)

func TestNoOtherFieldOfAPodIsEverSet(t *testing.T) {
	fill := randfill.NewWithSeed(1).NilChance(0).NumElements(1, 2).MaxDepth(12).Funcs(
		func(q *resource.Quantity, _ randfill.Continue) { *q = resource.MustParse("1") },
		func(i *intstr.IntOrString, _ randfill.Continue) { *i = intstr.FromInt32(1) },
	)
	for range 20 {
		order := testOrder()
		order.Spec.Pod, order.Spec.Steps[0].Run = &v1alpha1.PodSettings{}, &v1alpha1.Run{}
		fill.Fill(order.Spec.Pod)
		fill.Fill(order.Spec.Steps[0].Run)
		fill.Fill(&order.Spec.Steps[0].TimeoutSeconds)
		pod := Build(order, &order.Spec.Steps[0], second, nil)
		checkFields(t, pod.Spec, podFields)
		checkFields(t, pod.Spec.Containers[0], containerFields)
		checkFields(t, pod.Spec.Volumes[0].VolumeSource, volumeFields)
		checkFields(t, pod.ObjectMeta, []string{"Name", "Namespace", "Labels", "Annotations", "OwnerReferences", "Finalizers"})
		if len(pod.Spec.Containers) != 1 || pod.Spec.RestartPolicy != corev1.RestartPolicyNever {
			t.Fatal("something could run twice behind the epoch's back")
		}
	}
}

// checkFields fails for every field that is set and not on the list, and for every one on the list that is never set.
func checkFields(t *testing.T, object any, allowed []string) {
	t.Helper()
	value := reflect.ValueOf(object)
	for i := range value.NumField() {
		name := value.Type().Field(i).Name
		if set := !value.Field(i).IsZero(); set != slices.Contains(allowed, name) {
			t.Errorf("%s.%s: set is %v", value.Type(), name, set)
		}
	}
}

func TestAValueReachesItsStepByteForByte(t *testing.T) {
	for _, value := range []string{"", "$", "$$", "$(HOME)", "$$(HOME)", "a$b$(c", "$()", "100 %"} {
		if got := expand(verbatim(value)); got != value {
			t.Errorf("%q arrives as %q", value, got)
		}
	}
}

// expand is what Kubernetes makes of a value: "$$" is a dollar sign, "$(NAME)" a reference.
func expand(value string) string {
	var out strings.Builder
	for i := 0; i < len(value); i++ {
		switch rest := value[i:]; {
		case strings.HasPrefix(rest, "$$"):
			out.WriteByte('$')
			i++
		case strings.HasPrefix(rest, "$("):
			return out.String() + "<a reference>"
		default:
			out.WriteByte(value[i])
		}
	}
	return out.String()
}

func TestASealedPodCanNeverRunAndNoNamespaceRefusesIt(t *testing.T) {
	order := testOrder()
	order.Spec.Pod = &v1alpha1.PodSettings{NodeSelector: map[string]string{"a": "b"}, SecurityContext: &corev1.PodSecurityContext{RunAsUser: ptr(int64(0))}}
	pod := Seal(order, "build", 3)
	if len(pod.Spec.SchedulingGates) != 1 || pod.Spec.NodeName != "" {
		t.Error("it could be scheduled")
	}
	if len(pod.Finalizers) > 0 {
		t.Error("a finalizer holds it, though it has no result")
	}
	if report, ours := Read(pod, order); !ours || !report.Sealed || report.End == nil || report.End.Verdict != Stopped || report.Attempt != (Attempt{"build", 3}) {
		t.Errorf("it reads as %+v", report)
	}
	// https://kubernetes.io/docs/concepts/security/pod-security-standards/#restricted
	spec, c := pod.Spec.SecurityContext, pod.Spec.Containers[0].SecurityContext
	restricted := *spec.RunAsNonRoot && *spec.RunAsUser != 0 && spec.SeccompProfile.Type == corev1.SeccompProfileTypeRuntimeDefault &&
		!*c.AllowPrivilegeEscalation && slices.Equal(c.Capabilities.Drop, []corev1.Capability{"ALL"}) && len(c.Capabilities.Add) == 0 &&
		len(pod.Spec.Volumes) == 0 && !pod.Spec.HostNetwork && !pod.Spec.HostPID && !pod.Spec.HostIPC
	if !restricted {
		t.Error("it does not fit the restricted level")
	}
}

func TestTheDigestOfASpecChangesWithTheWorkAndWithNothingElse(t *testing.T) {
	base := func() *v1alpha1.Step {
		return &v1alpha1.Step{Name: "build", Run: &v1alpha1.Run{Image: "registry/agent:1", Args: []string{"go"}}}
	}
	const golden = "v2-gz4pwdyzp256"
	needs := []string{"fetch", "configure"}
	if got := SpecHash(base(), needs); got != golden {
		t.Errorf("the digest is %s and was %s: every running step of every order would start again at the next update of the operator; raise hashVersion", got, golden)
	}
	changes := map[string]func(*v1alpha1.Step){
		"the image":       func(s *v1alpha1.Step) { s.Run.Image = "registry/agent:2" },
		"an argument":     func(s *v1alpha1.Step) { s.Run.Args = []string{"stop"} },
		"a variable":      func(s *v1alpha1.Step) { s.Run.Env = []corev1.EnvVar{{Name: "A"}} },
		"the timeout":     func(s *v1alpha1.Step) { s.TimeoutSeconds = ptr(int64(5)) },
		"a wait instead":  func(s *v1alpha1.Step) { s.Run, s.Wait = nil, &v1alpha1.Wait{} },
		"a limit":         func(s *v1alpha1.Step) { s.Run.Resources.Limits = corev1.ResourceList{"cpu": resource.MustParse("1")} },
		"the condition":   func(s *v1alpha1.Step) { s.When = "true" },
		"an input":        func(s *v1alpha1.Step) { s.Inputs = []string{"fetch"} },
		"the working dir": func(s *v1alpha1.Step) { s.Run.WorkingDir = "/" },
	}
	for what, change := range changes {
		if step := base(); SameSpec(func() *v1alpha1.Step { change(step); return step }(), needs, golden) {
			t.Errorf("%s is edited unnoticed", what)
		}
	}
	for what, change := range map[string]func(*v1alpha1.Step){
		"the agent":         func(s *v1alpha1.Step) { s.Agent = "someone" },
		"the retries":       func(s *v1alpha1.Step) { s.Retry = &v1alpha1.Retry{Limit: ptr(int32(9))} },
		"the start timeout": func(s *v1alpha1.Step) { s.StartTimeoutSeconds = ptr(int64(9)) },
		"an empty list":     func(s *v1alpha1.Step) { s.Run.Env = []corev1.EnvVar{} },
	} {
		if step := base(); !SameSpec(func() *v1alpha1.Step { change(step); return step }(), needs, golden) {
			t.Errorf("%s makes it other work", what)
		}
	}
	for _, others := range [][]string{nil, {"fetch"}, {"fetch", "configure", "more"}} {
		if SameSpec(base(), others, golden) {
			t.Errorf("that it needs %v instead is unnoticed", others)
		}
	}
	if !SameSpec(base(), []string{"configure", "fetch"}, golden) {
		t.Error("the order of what it needs makes it other work")
	}
	for _, unknown := range []string{"", "v1-something", "v20-something"} {
		if !SameSpec(base(), needs, unknown) {
			t.Errorf("a digest %q of another operator is taken for an edit", unknown)
		}
	}
}

func TestAStepGetsTheOutputsOfItsInputsByteForByte(t *testing.T) {
	order := testOrder()
	order.Status.Steps = []v1alpha1.StepStatus{
		{Name: "find-plan", Phase: v1alpha1.StepSucceeded, Output: "costs $5\n$(HOME)"},
		{Name: "lint", Phase: v1alpha1.StepSkipped},
	}
	env := map[string]string{}
	for _, v := range Build(order, &order.Spec.Steps[0], second, []string{"find-plan", "lint"}).Spec.Containers[0].Env {
		env[v.Name] = expand(v.Value)
	}
	if got, found := env["STEP_FIND_PLAN_OUTPUT"]; got != "costs $5\n$(HOME)" || !found {
		t.Errorf("find-plan's arrives as %q", got)
	}
	if got, found := env["STEP_LINT_OUTPUT"]; got != "" || !found {
		t.Errorf("that of a step that was skipped arrives as %q", got)
	}
}

func TestAStepOfFinallyHasATimeoutUnlessItSaysOtherwise(t *testing.T) {
	order, status := testOrder(), *second
	status.Finally = true
	step := order.Spec.Steps[0]
	step.TimeoutSeconds = nil
	if got := Build(order, &step, &status, nil).Spec.ActiveDeadlineSeconds; got == nil || *got != FinallyTimeout {
		t.Errorf("it has %v", got)
	}
	step.TimeoutSeconds = ptr(int64(5))
	if got := Build(order, &step, &status, nil).Spec.ActiveDeadlineSeconds; *got != 5 {
		t.Errorf("it has %d", *got)
	}
}

func TestStepsThatShareAWorkspaceMountItAndShareANode(t *testing.T) {
	order := testOrder()
	order.Spec.Workspace = &v1alpha1.Workspace{Storage: resource.MustParse("1Gi")}
	own := corev1.PodAffinityTerm{TopologyKey: "zone"}
	order.Spec.Pod = &v1alpha1.PodSettings{Affinity: &corev1.Affinity{PodAffinity: &corev1.PodAffinity{
		RequiredDuringSchedulingIgnoredDuringExecution: []corev1.PodAffinityTerm{own},
	}}}
	before := order.DeepCopy()
	pod := Build(order, &order.Spec.Steps[0], second, nil)
	if !cmp.Equal(before, order) {
		t.Error("the order was changed")
	}
	claim := Workspace(order)
	if mount := pod.Spec.Containers[0].VolumeMounts[0]; mount.MountPath != "/workspace" || mount.Name != pod.Spec.Volumes[len(pod.Spec.Volumes)-1].Name {
		t.Errorf("it is mounted as %+v", mount)
	}
	if source := pod.Spec.Volumes[len(pod.Spec.Volumes)-1].PersistentVolumeClaim; source == nil || source.ClaimName != claim.Name {
		t.Errorf("it is %+v", source)
	}
	terms := pod.Spec.Affinity.PodAffinity.RequiredDuringSchedulingIgnoredDuringExecution
	if len(terms) != 2 || !cmp.Equal(terms[0], own) || terms[1].TopologyKey != "kubernetes.io/hostname" || pod.Labels[LabelOrderUID] != terms[1].LabelSelector.MatchLabels[LabelOrderUID] {
		t.Errorf("the nodes it may run on: %+v", terms)
	}
	if !cmp.Equal(claim.OwnerReferences, OwnedBy(order)) || claim.Spec.Resources.Requests.Storage().String() != "1Gi" || len(claim.Name) > 63 {
		t.Errorf("the claim is %+v", claim)
	}
}
