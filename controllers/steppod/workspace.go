package steppod

import (
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"workorders.dev/operator/api/v1alpha1"
)

// Where a workspace is found inside a step, and what it is called as a volume of its Pod.
const (
	WorkspacePath   = "/workspace"
	WorkspaceVolume = "workspace"
)

// WorkspaceName is the name of the PersistentVolumeClaim that is an order's workspace: that of the order, and a digest of
// its uid, so that an order of the same name never finds the data of the one before.
func WorkspaceName(order *v1alpha1.WorkOrder) string {
	return part(order.Name, orderPart) + "-workspace-" + Digest(hashPart, []byte(order.UID))
}

// Workspace is the claim that is the order's workspace, which it must have. It goes when the order goes.
func Workspace(order *v1alpha1.WorkOrder) *corev1.PersistentVolumeClaim {
	wanted := order.Spec.Workspace
	return &corev1.PersistentVolumeClaim{
		ObjectMeta: metav1.ObjectMeta{
			Name:            WorkspaceName(order),
			Namespace:       order.Namespace,
			Labels:          map[string]string{LabelOrder: order.Name, LabelOrderUID: string(order.UID)},
			OwnerReferences: OwnedBy(order),
		},
		Spec: corev1.PersistentVolumeClaimSpec{
			// Most storage can be mounted on one node at a time, so the steps that share it share a node.
			AccessModes:      []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce},
			StorageClassName: wanted.StorageClassName,
			Resources:        corev1.VolumeResourceRequirements{Requests: corev1.ResourceList{corev1.ResourceStorage: wanted.Storage}},
		},
	}
}

// share mounts the order's workspace into the step's container, and keeps its Pod on the node of the order's other Pods.
func share(order *v1alpha1.WorkOrder, pod *corev1.PodSpec) {
	pod.Volumes = append(pod.Volumes, corev1.Volume{Name: WorkspaceVolume, VolumeSource: corev1.VolumeSource{
		PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: WorkspaceName(order)},
	}})
	mounts := &pod.Containers[0].VolumeMounts
	*mounts = append([]corev1.VolumeMount{{Name: WorkspaceVolume, MountPath: WorkspacePath}}, *mounts...)
	affinity := &corev1.Affinity{}
	if pod.Affinity != nil {
		affinity = pod.Affinity.DeepCopy()
	}
	if affinity.PodAffinity == nil {
		affinity.PodAffinity = &corev1.PodAffinity{}
	}
	required := &affinity.PodAffinity.RequiredDuringSchedulingIgnoredDuringExecution
	*required = append(*required, corev1.PodAffinityTerm{
		LabelSelector: &metav1.LabelSelector{MatchLabels: map[string]string{LabelOrderUID: string(order.UID)}},
		TopologyKey:   corev1.LabelHostname,
	})
	pod.Affinity = affinity
}
