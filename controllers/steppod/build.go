package steppod

import (
	"maps"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"workorders.dev/operator/api/v1alpha1"
)

// FinallyTimeout is the timeoutSeconds of a step of finally that says nothing else, so that none can hold up the end of an
// order for ever.
const FinallyTimeout = 600

// Timeout is how many seconds an attempt of the step may take; nil means no limit.
func Timeout(step *v1alpha1.Step, finally bool) *int64 {
	if step.TimeoutSeconds == nil && finally {
		seconds := int64(FinallyTimeout)
		return &seconds
	}
	return step.TimeoutSeconds
}

// Build is the Pod that does a step of the order in the epoch and attempt of its status, with the outputs of the steps
// named as its inputs. The step must have a run.
func Build(order *v1alpha1.WorkOrder, step *v1alpha1.Step, status *v1alpha1.StepStatus, inputs []string) *corev1.Pod {
	settings := order.Spec.Pod
	if settings == nil {
		settings = &v1alpha1.PodSettings{}
	}
	pod := skeleton(order, step.Name, status.Epoch)
	maps.Copy(pod.Labels, foreign(settings.Labels))
	pod.Annotations = foreign(settings.Annotations)
	pod.Annotations[AnnotationSpecHash] = status.SpecHash
	pod.Finalizers = []string{Finalizer}
	pod.Spec = podSpec(settings)
	pod.Spec.ActiveDeadlineSeconds = Timeout(step, status.Finally)
	pod.Spec.Containers = []corev1.Container{container(order, step, status, inputs)}
	if order.Spec.Workspace != nil {
		share(order, &pod.Spec)
	}
	return pod
}

// Seal is a Pod that never runs. It takes the name of the Pod of a step and epoch that was started and must not be any
// more, so that a controller which slept through that decision cannot create the real one when it wakes.
func Seal(order *v1alpha1.WorkOrder, step string, epoch int64) *corev1.Pod {
	pod := skeleton(order, step, epoch)
	pod.Spec = podSpec(&v1alpha1.PodSettings{})
	pod.Spec.SchedulingGates = []corev1.PodSchedulingGate{{Name: GateSealed}}
	// The strictest Pod security level, so that it passes at every level.
	yes, no, user := true, false, int64(65532)
	pod.Spec.SecurityContext = &corev1.PodSecurityContext{
		RunAsNonRoot:   &yes,
		RunAsUser:      &user,
		SeccompProfile: &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault},
	}
	pod.Spec.Containers = []corev1.Container{{
		Name:  ContainerName,
		Image: "workorders.dev/sealed",
		SecurityContext: &corev1.SecurityContext{
			AllowPrivilegeEscalation: &no,
			Capabilities:             &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}},
		},
	}}
	return pod
}

// skeleton is what identifies a Pod of an order, for the operator and for garbage collection.
func skeleton(order *v1alpha1.WorkOrder, step string, epoch int64) *corev1.Pod {
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			Name:      Name(order.Name, order.UID, step, epoch),
			Namespace: order.Namespace,
			Labels: map[string]string{
				LabelOrder:    order.Name,
				LabelOrderUID: string(order.UID),
				LabelStep:     step,
				LabelEpoch:    strconv.FormatInt(epoch, 10),
			},
			OwnerReferences: OwnedBy(order),
		},
	}
}

// OwnedBy are the owner references of what belongs to an order and goes when it goes, without holding up its removal.
func OwnedBy(order *v1alpha1.WorkOrder) []metav1.OwnerReference {
	controller := true
	return []metav1.OwnerReference{{
		APIVersion: v1alpha1.GroupVersion.String(),
		Kind:       "WorkOrder",
		Name:       order.Name,
		UID:        order.UID,
		Controller: &controller,
	}}
}

func podSpec(settings *v1alpha1.PodSettings) corev1.PodSpec {
	automount := settings.AutomountServiceAccountToken
	no := false
	if automount == nil {
		automount = &no
	}
	return corev1.PodSpec{
		RestartPolicy:                 corev1.RestartPolicyNever,
		EnableServiceLinks:            &no,
		AutomountServiceAccountToken:  automount,
		ServiceAccountName:            settings.ServiceAccountName,
		ImagePullSecrets:              settings.ImagePullSecrets,
		NodeSelector:                  settings.NodeSelector,
		Tolerations:                   settings.Tolerations,
		Affinity:                      settings.Affinity,
		TopologySpreadConstraints:     settings.TopologySpreadConstraints,
		PriorityClassName:             settings.PriorityClassName,
		RuntimeClassName:              settings.RuntimeClassName,
		SecurityContext:               settings.SecurityContext,
		HostAliases:                   settings.HostAliases,
		TerminationGracePeriodSeconds: settings.TerminationGracePeriodSeconds,
		Volumes:                       volumes(settings.Volumes),
	}
}

func container(order *v1alpha1.WorkOrder, step *v1alpha1.Step, status *v1alpha1.StepStatus, inputs []string) corev1.Container {
	run := step.Run
	return corev1.Container{
		Name:                     ContainerName,
		Image:                    run.Image,
		ImagePullPolicy:          run.ImagePullPolicy,
		Command:                  run.Command,
		Args:                     run.Args,
		WorkingDir:               run.WorkingDir,
		Env:                      environment(order, step, status, inputs),
		EnvFrom:                  run.EnvFrom,
		Resources:                run.Resources,
		VolumeMounts:             run.VolumeMounts,
		SecurityContext:          run.SecurityContext,
		TerminationMessagePolicy: corev1.TerminationMessageFallbackToLogsOnError,
	}
}

// environment is what a step is told. The operator's variables come first, so that the user's may refer to them.
func environment(order *v1alpha1.WorkOrder, step *v1alpha1.Step, status *v1alpha1.StepStatus, inputs []string) []corev1.EnvVar {
	env := []corev1.EnvVar{
		{Name: "WORKORDER_NAME", Value: order.Name},
		{Name: "WORKORDER_UID", Value: string(order.UID)},
		{Name: "WORKORDER_STEP", Value: step.Name},
		{Name: "WORKORDER_EPOCH", Value: strconv.FormatInt(status.Epoch, 10)},
		{Name: "WORKORDER_ATTEMPT", Value: strconv.FormatInt(status.Attempt, 10)},
		{Name: "WORKORDER_IDEMPOTENCY_KEY", Value: IdempotencyKey(order.UID, step.Name, status.Attempt)},
	}
	for _, param := range order.Spec.Params {
		env = append(env, corev1.EnvVar{Name: Variable("PARAM", param.Name), Value: verbatim(param.Value)})
	}
	for _, input := range inputs {
		env = append(env, corev1.EnvVar{Name: Variable("STEP", input) + "_OUTPUT", Value: verbatim(outputOf(order, input))})
	}
	return append(env, step.Run.Env...)
}

// outputOf is the output of a step that has succeeded, as the status keeps it; empty for one that was skipped.
func outputOf(order *v1alpha1.WorkOrder, step string) string {
	for i := range order.Status.Steps {
		if s := &order.Status.Steps[i]; s.Name == step && s.Phase == v1alpha1.StepSucceeded {
			return s.Output
		}
	}
	return ""
}

// verbatim doubles every dollar sign, which Kubernetes makes single again, so that a value arrives byte for byte and
// never refers to another variable.
func verbatim(value string) string { return strings.ReplaceAll(value, "$", "$$") }

// foreign is the labels or annotations without those that only the operator may set.
func foreign(wanted map[string]string) map[string]string {
	kept := map[string]string{}
	maps.Copy(kept, wanted)
	maps.DeleteFunc(kept, func(key, _ string) bool { return strings.HasPrefix(key, "workorders.dev/") })
	return kept
}

func volumes(wanted []v1alpha1.Volume) []corev1.Volume {
	made := make([]corev1.Volume, 0, len(wanted))
	for _, v := range wanted {
		made = append(made, corev1.Volume{Name: v.Name, VolumeSource: corev1.VolumeSource{
			ConfigMap:             v.ConfigMap,
			Secret:                v.Secret,
			EmptyDir:              v.EmptyDir,
			PersistentVolumeClaim: v.PersistentVolumeClaim,
			Projected:             v.Projected,
			Image:                 v.Image,
			Ephemeral:             v.Ephemeral,
		}})
	}
	return made
}
