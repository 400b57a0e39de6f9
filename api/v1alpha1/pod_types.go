package v1alpha1

import corev1 "k8s.io/api/core/v1"

// Run is a container that runs to its end. It is a chosen part of a Kubernetes container: what could run it a second
// time behind the epoch's back is left out.
//
// +kubebuilder:validation:XValidation:rule="!has(self.env) || self.env.all(e, !e.name.startsWith('WORKORDER_'))",message="variables that begin with WORKORDER_ are set by the operator: choose another name"
type Run struct {
	// image is the container image.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=1024
	Image string `json:"image"`

	// imagePullPolicy is Always, IfNotPresent or Never, as in a Pod.
	// +optional
	// +kubebuilder:validation:Enum=Always;IfNotPresent;Never
	ImagePullPolicy corev1.PullPolicy `json:"imagePullPolicy,omitempty"`

	// command replaces the image's entrypoint. $(NAME) becomes the value of the variable NAME.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=256
	Command []string `json:"command,omitempty"`

	// args are the entrypoint's arguments. $(PARAM_REQUEST) becomes the value of the param "request"; inside a shell's script write "$PARAM_REQUEST" instead, or the value would be read as code.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=256
	Args []string `json:"args,omitempty"`

	// workingDir is the directory that the container starts in. Unset means the image's own.
	// +optional
	// +kubebuilder:validation:MaxLength=4096
	WorkingDir string `json:"workingDir,omitempty"`

	// env are variables for the container, besides those that the operator sets: WORKORDER_… and PARAM_….
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=128
	Env []corev1.EnvVar `json:"env,omitempty"`

	// envFrom takes all variables of a ConfigMap or a Secret.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=32
	EnvFrom []corev1.EnvFromSource `json:"envFrom,omitempty"`

	// resources are the container's requests and limits.
	// +optional
	Resources corev1.ResourceRequirements `json:"resources,omitempty,omitzero"`

	// volumeMounts mount the volumes of spec.pod.volumes.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=64
	VolumeMounts []corev1.VolumeMount `json:"volumeMounts,omitempty"`

	// securityContext is the container's, as in a Pod.
	// +optional
	SecurityContext *corev1.SecurityContext `json:"securityContext,omitempty"`
}

// PodSettings is what the Pods of all steps have in common: a chosen part of a Kubernetes PodSpec.
type PodSettings struct {
	// serviceAccountName is the ServiceAccount that the steps run as. Unset means "default".
	// +optional
	// +kubebuilder:validation:MaxLength=253
	ServiceAccountName string `json:"serviceAccountName,omitempty"`

	// automountServiceAccountToken gives the steps that account's token. Unset means false: a step has no rights in the cluster.
	// +optional
	AutomountServiceAccountToken *bool `json:"automountServiceAccountToken,omitempty"`

	// imagePullSecrets name Secrets to pull images with.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=16
	ImagePullSecrets []corev1.LocalObjectReference `json:"imagePullSecrets,omitempty"`

	// nodeSelector are labels that the node must have.
	// +optional
	NodeSelector map[string]string `json:"nodeSelector,omitempty"`

	// tolerations are the node taints that the Pods tolerate.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=64
	Tolerations []corev1.Toleration `json:"tolerations,omitempty"`

	// affinity says near what, or far from what, the Pods run.
	// +optional
	Affinity *corev1.Affinity `json:"affinity,omitempty"`

	// topologySpreadConstraints spread the Pods over zones or nodes.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=16
	TopologySpreadConstraints []corev1.TopologySpreadConstraint `json:"topologySpreadConstraints,omitempty"`

	// priorityClassName is the PriorityClass of the Pods.
	// +optional
	// +kubebuilder:validation:MaxLength=253
	PriorityClassName string `json:"priorityClassName,omitempty"`

	// runtimeClassName is the RuntimeClass of the Pods, a sandbox for instance.
	// +optional
	// +kubebuilder:validation:MaxLength=253
	RuntimeClassName *string `json:"runtimeClassName,omitempty"`

	// securityContext is the Pods', as in a Pod.
	// +optional
	SecurityContext *corev1.PodSecurityContext `json:"securityContext,omitempty"`

	// hostAliases are added to the Pods' hosts file.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=64
	HostAliases []corev1.HostAlias `json:"hostAliases,omitempty"`

	// terminationGracePeriodSeconds is how long a step that is stopped has to end by itself. Unset means 30.
	// +optional
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=86400
	TerminationGracePeriodSeconds *int64 `json:"terminationGracePeriodSeconds,omitempty"`

	// labels are added to the Pods; those under workorders.dev are the operator's.
	// +optional
	Labels map[string]string `json:"labels,omitempty"`

	// annotations are added to the Pods; those under workorders.dev are the operator's.
	// +optional
	Annotations map[string]string `json:"annotations,omitempty"`

	// volumes can be mounted by the steps' volumeMounts.
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=32
	Volumes []Volume `json:"volumes,omitempty"`
}

// Volume is a volume that steps can mount. No host paths: an order must not reach into the node.
//
// +kubebuilder:validation:XValidation:rule="[has(self.configMap), has(self.secret), has(self.emptyDir), has(self.persistentVolumeClaim), has(self.projected), has(self.image), has(self.ephemeral)].exists_one(set, set)",message="a volume has one source: set exactly one of configMap, secret, emptyDir, persistentVolumeClaim, projected, image, ephemeral"
type Volume struct {
	// name is what volumeMounts call it.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	Name string `json:"name"`

	// configMap mounts a ConfigMap.
	// +optional
	ConfigMap *corev1.ConfigMapVolumeSource `json:"configMap,omitempty"`

	// secret mounts a Secret.
	// +optional
	Secret *corev1.SecretVolumeSource `json:"secret,omitempty"`

	// emptyDir is scratch space that lives as long as the step's Pod.
	// +optional
	EmptyDir *corev1.EmptyDirVolumeSource `json:"emptyDir,omitempty"`

	// persistentVolumeClaim mounts a claim of the same namespace.
	// +optional
	PersistentVolumeClaim *corev1.PersistentVolumeClaimVolumeSource `json:"persistentVolumeClaim,omitempty"`

	// projected mounts several sources into one directory.
	// +optional
	Projected *corev1.ProjectedVolumeSource `json:"projected,omitempty"`

	// image mounts the contents of a container image.
	// +optional
	Image *corev1.ImageVolumeSource `json:"image,omitempty"`

	// ephemeral is a claim of its own for each Pod.
	// +optional
	Ephemeral *corev1.EphemeralVolumeSource `json:"ephemeral,omitempty"`
}
