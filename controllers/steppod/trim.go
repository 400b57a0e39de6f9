package steppod

import corev1 "k8s.io/api/core/v1"

// Trim takes out of a Pod what nobody decides by, which is most of it: of many thousand Pods, a cache then has room for what they
// say. Read says the same of a Pod before and after. What is trimmed must not be written back.
func Trim(pod *corev1.Pod) {
	pod.ManagedFields = nil
	said := map[string]string{}
	for _, name := range []string{AnnotationSpecHash, AnnotationStopped} {
		if value, is := pod.Annotations[name]; is {
			said[name] = value
		}
	}
	pod.Annotations = said
	pod.Spec = corev1.PodSpec{
		NodeName:              pod.Spec.NodeName,
		ActiveDeadlineSeconds: pod.Spec.ActiveDeadlineSeconds,
		SchedulingGates:       pod.Spec.SchedulingGates,
	}
	status := corev1.PodStatus{
		Phase: pod.Status.Phase, Reason: pod.Status.Reason, Message: pod.Status.Message, StartTime: pod.Status.StartTime,
	}
	for _, c := range pod.Status.Conditions {
		if c.Type == corev1.PodScheduled && c.Status == corev1.ConditionFalse || c.Type == corev1.DisruptionTarget {
			status.Conditions = append(status.Conditions, c)
		}
	}
	for _, c := range pod.Status.ContainerStatuses {
		if c.Name == ContainerName {
			status.ContainerStatuses = append(status.ContainerStatuses, corev1.ContainerStatus{Name: c.Name, State: c.State})
		}
	}
	pod.Status = status
}
