package reliability

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"workorders.dev/operator/api/v1alpha1"
	"workorders.dev/operator/hack/reliability/proxy"
)

// refused is a reason for which an API server refuses something that the operator needs.
type refused struct {
	name string
	// code is what the order says of it; empty if the refusal holds up nothing, or is of the very status that would say so.
	code v1alpha1.ErrorCode
	// outlast says that work goes on meanwhile, for longer than the refusal lasts.
	outlast bool
	// pod is what is special about the order's Pods.
	pod *v1alpha1.PodSettings
	// impose brings the reason about, and lift takes it away again.
	impose, lift func(ctx context.Context, l *lane) error
}

// refusals are those that R22 tells apart.
func refusals() []refused {
	return append([]refused{
		{name: "quota", code: v1alpha1.CodeQuotaExceeded, impose: imposeQuota, lift: lift(&corev1.ResourceQuota{ObjectMeta: metav1.ObjectMeta{Name: "full"}})},
		{name: "pod-security", code: v1alpha1.CodePodSecurity, impose: labelled(`"restricted"`), lift: labelled("null")},
		{
			name: "no-service-account", code: v1alpha1.CodeServiceAccountNotFound, pod: &v1alpha1.PodSettings{ServiceAccountName: "coder"},
			impose: func(context.Context, *lane) error { return nil },
			lift: func(ctx context.Context, l *lane) error {
				return l.cluster.Create(ctx, &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: l.namespace, Name: "coder"}})
			},
		},
		{name: "policy", code: v1alpha1.CodeForbidden, impose: imposePolicy, lift: func(ctx context.Context, l *lane) error {
			policy, binding := policyOf(l)
			return errors.Join(l.cluster.Delete(ctx, binding), l.cluster.Delete(ctx, policy))
		}},
		withdrawn("pods", v1alpha1.CodeForbidden), withdrawn("progressevents", ""), withdrawn("workorders/status", ""),
	}, outages()...)
}

// outages are those that R21 is about: what has to be asked does not answer.
func outages() []refused {
	return []refused{{name: "webhook-down", code: v1alpha1.CodeAdmissionUnavailable, impose: imposeWebhook, lift: func(ctx context.Context, l *lane) error {
		return l.cluster.Delete(ctx, webhookOf(l))
	}}}
}

// lift is the removal of an object of the lane's.
func lift(object client.Object) func(context.Context, *lane) error {
	return func(ctx context.Context, l *lane) error {
		fresh := object.DeepCopyObject().(client.Object)
		fresh.SetNamespace(l.namespace)
		return l.cluster.Delete(ctx, fresh)
	}
}

// inForce waits until Pods are refused with that text: API servers learn of new rules by watches of their own.
func (l *lane) inForce(ctx context.Context, c client.Client, text string) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		err := client.NewDryRunClient(c).Create(ctx, &corev1.Pod{
			ObjectMeta: metav1.ObjectMeta{Namespace: l.namespace, GenerateName: "probe-"},
			Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "probe", Image: "probe"}}},
		})
		if err != nil && strings.Contains(err.Error(), text) {
			return nil
		}
		if ctx.Err() != nil {
			return fmt.Errorf("no Pod is refused with %q: %w", text, errors.Join(err, ctx.Err()))
		}
		wait(ctx, 50*time.Millisecond)
	}
}

// imposeQuota limits the namespace to no Pods, as the controller of quotas would.
func imposeQuota(ctx context.Context, l *lane) error {
	none := corev1.ResourceList{corev1.ResourcePods: resource.MustParse("0")}
	quota := &corev1.ResourceQuota{ObjectMeta: metav1.ObjectMeta{Namespace: l.namespace, Name: "full"}, Spec: corev1.ResourceQuotaSpec{Hard: none}}
	if err := l.cluster.Create(ctx, quota); err != nil {
		return err
	}
	quota.Status = corev1.ResourceQuotaStatus{Hard: none, Used: none}
	if err := l.cluster.Status().Update(ctx, quota); err != nil {
		return err
	}
	return l.inForce(ctx, l.cluster, "exceeded quota")
}

// labelled sets the namespace's level of Pod security.
func labelled(level string) func(context.Context, *lane) error {
	return func(ctx context.Context, l *lane) error {
		patch := `{"metadata":{"labels":{"pod-security.kubernetes.io/enforce":` + level + `}}}`
		namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: l.namespace}}
		if err := l.cluster.Patch(ctx, namespace, client.RawPatch(types.MergePatchType, []byte(patch))); err != nil || level == "null" {
			return err
		}
		return l.inForce(ctx, l.cluster, "violates PodSecurity")
	}
}

// only selects the lane's namespace.
func (l *lane) only() *metav1.LabelSelector {
	return &metav1.LabelSelector{MatchLabels: map[string]string{corev1.LabelMetadataName: l.namespace}}
}

// onPods are the rules that have a policy or a webhook asked about every new Pod.
func onPods() []admissionregistrationv1.RuleWithOperations {
	return []admissionregistrationv1.RuleWithOperations{{
		Operations: []admissionregistrationv1.OperationType{admissionregistrationv1.Create},
		Rule:       admissionregistrationv1.Rule{APIGroups: []string{""}, APIVersions: []string{"v1"}, Resources: []string{"pods"}},
	}}
}

// policyOf is a policy that refuses every Pod of the lane.
func policyOf(l *lane) (*admissionregistrationv1.ValidatingAdmissionPolicy, *admissionregistrationv1.ValidatingAdmissionPolicyBinding) {
	rule := admissionregistrationv1.NamedRuleWithOperations{RuleWithOperations: onPods()[0]}
	policy := &admissionregistrationv1.ValidatingAdmissionPolicy{
		ObjectMeta: metav1.ObjectMeta{Name: l.namespace},
		Spec: admissionregistrationv1.ValidatingAdmissionPolicySpec{
			MatchConstraints: &admissionregistrationv1.MatchResources{
				ResourceRules: []admissionregistrationv1.NamedRuleWithOperations{rule}, NamespaceSelector: l.only(),
			},
			Validations: []admissionregistrationv1.Validation{{Expression: "false", Message: "not on a Saturday"}},
		},
	}
	binding := &admissionregistrationv1.ValidatingAdmissionPolicyBinding{
		ObjectMeta: metav1.ObjectMeta{Name: l.namespace},
		Spec: admissionregistrationv1.ValidatingAdmissionPolicyBindingSpec{
			PolicyName: l.namespace, ValidationActions: []admissionregistrationv1.ValidationAction{admissionregistrationv1.Deny},
		},
	}
	return policy, binding
}

func imposePolicy(ctx context.Context, l *lane) error {
	policy, binding := policyOf(l)
	if err := errors.Join(l.cluster.Create(ctx, policy), l.cluster.Create(ctx, binding)); err != nil {
		return err
	}
	return l.inForce(ctx, l.cluster, "not on a Saturday")
}

// webhookOf is a webhook that must be asked about every Pod of the lane, and that nobody answers for.
func webhookOf(l *lane) *admissionregistrationv1.ValidatingWebhookConfiguration {
	nobody, fail, none, second := "https://127.0.0.1:1/", admissionregistrationv1.Fail, admissionregistrationv1.SideEffectClassNone, int32(1)
	return &admissionregistrationv1.ValidatingWebhookConfiguration{
		ObjectMeta: metav1.ObjectMeta{Name: l.namespace},
		Webhooks: []admissionregistrationv1.ValidatingWebhook{{
			Name: "pods.example.com", ClientConfig: admissionregistrationv1.WebhookClientConfig{URL: &nobody}, Rules: onPods(),
			FailurePolicy: &fail, SideEffects: &none, TimeoutSeconds: &second, AdmissionReviewVersions: []string{"v1"}, NamespaceSelector: l.only(),
		}},
	}
}

func imposeWebhook(ctx context.Context, l *lane) error {
	if err := l.cluster.Create(ctx, webhookOf(l)); err != nil {
		return err
	}
	return l.inForce(ctx, l.cluster, "failed calling webhook")
}

// limitedUser is who the operators are whose rights are those that the operator is shipped with.
const limitedUser = "operator"

// rights are what the operator is shipped with.
func rights() ([]rbacv1.PolicyRule, error) {
	content, err := os.ReadFile("../../config/rbac/role.yaml")
	if err != nil {
		return nil, err
	}
	shipped := &rbacv1.ClusterRole{}
	return shipped.Rules, yaml.UnmarshalStrict(content, shipped)
}

// entitle gives the limited user the shipped rights in the lane's namespace.
func (l *lane) entitle(ctx context.Context) error {
	rules, err := rights()
	if err != nil {
		return err
	}
	meta := metav1.ObjectMeta{Namespace: l.namespace, Name: "operator"}
	binding := &rbacv1.RoleBinding{
		ObjectMeta: meta, RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: meta.Name},
		Subjects: []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: rbacv1.UserKind, Name: limitedUser}},
	}
	return errors.Join(l.cluster.Create(ctx, &rbacv1.Role{ObjectMeta: meta, Rules: rules}), l.cluster.Create(ctx, binding))
}

// allow sets the limited user's rights in the lane's namespace to those that are shipped, less those to a resource.
func (l *lane) allow(ctx context.Context, but string) error {
	rules, err := rights()
	if err != nil {
		return err
	}
	for i := range rules {
		if slices.Contains(rules[i].Resources, but) {
			rules[i].Verbs = slices.DeleteFunc(rules[i].Verbs, func(verb string) bool { return verb == "create" || verb == "patch" })
			rules[i].Verbs = append(rules[i].Verbs, "watch") // A rule needs a verb.
		}
	}
	return l.cluster.Update(ctx, &rbacv1.Role{ObjectMeta: metav1.ObjectMeta{Namespace: l.namespace, Name: "operator"}, Rules: rules})
}

// withdrawn is the right to write a resource, taken away.
func withdrawn(what string, code v1alpha1.ErrorCode) refused {
	return refused{
		name: "no-right-to-" + strings.ReplaceAll(what, "/", "-"), code: code, outlast: what == "progressevents",
		impose: func(ctx context.Context, l *lane) error {
			if err := l.allow(ctx, what); err != nil || what != "pods" {
				return err
			}
			config := rest.CopyConfig(l.config)
			config.Impersonate.UserName = limitedUser
			limited, err := client.New(config, client.Options{Scheme: l.cluster.Scheme()})
			if err != nil {
				return err
			}
			return l.inForce(ctx, limited, "cannot create resource")
		},
		lift: func(ctx context.Context, l *lane) error { return l.allow(ctx, "") },
	}
}

// The pauses between tries at a Pod that is refused: what is tested is that they double, and where they end.
const (
	firstPause   = time.Second
	longestPause = 30 * time.Second
)

// meet makes an order meet the refusal, for a while, and says what was wrong with what it did.
func (f *refused) meet(ctx context.Context, l *lane, during time.Duration) []string {
	l.proxy().Begin(nil)
	if err := f.impose(ctx, l); err != nil {
		return []string{err.Error()}
	}
	last := step("second")
	if f.outlast {
		last = step("second", "--duration="+(during+firstPause).String())
	}
	order, err := l.submit(ctx, v1alpha1.WorkOrderSpec{Pod: f.pod, Steps: []v1alpha1.Step{step("first", "--output=done"), last}})
	if err == nil && f.code != "" {
		err = l.says(ctx, order, f.code)
	}
	if err != nil {
		return []string{err.Error()}
	}
	before := l.writes()
	wait(ctx, during)
	violations := f.churn(l.writes()[len(before):], during)
	if err := f.lift(ctx, l); err != nil {
		return append(violations, err.Error())
	}
	violations = append(violations, l.finish(ctx, order)...)
	record, err := l.recordOf(ctx, order)
	if err != nil {
		return append(violations, err.Error())
	}
	if phase := record.Order.Status.Phase; phase != v1alpha1.WorkOrderSucceeded {
		violations = append(violations, fmt.Sprintf("it ended %s: %s", phase, record.Order.Status.Message))
	}
	told := map[v1alpha1.EventType]int{}
	for _, event := range record.Events {
		told[event.Spec.Type]++
	}
	if f.code != "" && (told[v1alpha1.EventStepWaiting] != 1 || told[v1alpha1.EventStepRunning] != 1) {
		violations = append(violations, fmt.Sprintf("%d events say that it waits and %d that it runs, want one of each",
			told[v1alpha1.EventStepWaiting], told[v1alpha1.EventStepRunning]))
	}
	return violations
}

// says waits until an order says of a step that it waits for that reason.
func (l *lane) says(ctx context.Context, order *v1alpha1.WorkOrder, code v1alpha1.ErrorCode) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	var newest *v1alpha1.WorkOrder
	err := l.seen.await(ctx, func() bool {
		newest = l.seen.newest(order.UID)
		return newest != nil && slices.ContainsFunc(newest.Status.Steps, func(s v1alpha1.StepStatus) bool {
			return s.Error != nil && s.Error.Code == code
		})
	})
	if err == nil || newest == nil {
		return err
	}
	return fmt.Errorf("the order does not say %s, but %s: %w", code, newest.Status.Message, err)
}

// churn says what was written of an order while it had nothing to say but that it waits. What cannot be said at all is tried
// again and again, an event and a status a turn, with pauses that grow.
func (f *refused) churn(writes []proxy.Call, during time.Duration) (violations []string) {
	if most := 2 * failing(during); f.code == "" && len(writes) > most {
		violations = append(violations, fmt.Sprintf("%d writes while they were refused, want at most %d", len(writes), most))
	}
	if f.code == "" {
		return violations
	}
	for _, call := range writes {
		if call.Resource != "pods" {
			violations = append(violations, "while the refusal lasted there was "+call.String())
		}
	}
	return append(violations, untimely(writes)...)
}

// untimely says which tries at a Pod came too early: each pause is twice the one before, up to the longest.
func untimely(writes []proxy.Call) (violations []string) {
	pause := firstPause
	var last time.Time
	for _, call := range writes {
		if call.Description() != "create pods" {
			continue
		}
		if !last.IsZero() {
			// On a busy machine a try takes its time to come through, and the next one may not. Pauses that do not double are
			// half as long.
			if gap := call.At.Sub(last); gap < pause*2/3 {
				violations = append(violations, fmt.Sprintf("try %s came %s after the one before, which should be about %s", call.String(), gap, pause))
			}
			pause = min(2*pause, longestPause)
		}
		last = call.At
	}
	return violations
}

// refusing is a row whose cases are refusals.
func refusing(id string, kinds []refused) hazard {
	return func(context.Context) (*row, []trial) {
		r := newRow(id, "refusals")
		during := either(100*time.Second, 4*time.Second)
		r.user, r.lanes = limitedUser, len(kinds)
		r.note("each lasts %s", during)
		var trials []trial
		for _, kind := range kinds {
			trials = append(trials, trial{name: id + "/" + kind.name, run: func(ctx context.Context, l *lane) []string {
				return kind.meet(ctx, l, during)
			}})
		}
		return r, trials
	}
}
