// Package v1alpha1 is the API of work orders: WorkOrder, the multi-step work that people submit, and ProgressEvent,
// the log of what happened to it.
//
// +kubebuilder:object:generate=true
// +groupName=workorders.dev
package v1alpha1

import (
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

var (
	// GroupVersion is the group and version of every type in this package.
	GroupVersion = schema.GroupVersion{Group: "workorders.dev", Version: "v1alpha1"}

	schemeBuilder = runtime.NewSchemeBuilder(addKnownTypes)

	// AddToScheme makes the types of this package known to a scheme.
	AddToScheme = schemeBuilder.AddToScheme
)

func addKnownTypes(scheme *runtime.Scheme) error {
	scheme.AddKnownTypes(GroupVersion, &WorkOrder{}, &WorkOrderList{}, &ProgressEvent{}, &ProgressEventList{})
	metav1.AddToGroupVersion(scheme, GroupVersion)
	return nil
}
