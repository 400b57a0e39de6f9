// Package admission holds the policy that leaves the log, the status and the Pods of a work order to the operator,
// and the test that a real API server enforces it.
package admission

import (
	"context"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"
	"sigs.k8s.io/yaml"

	"workorders.dev/operator/hack/reliability/report"
)

const (
	namespace = "default"
	finalizer = "workorders.dev/result"
)

// Who asks. All of them may do anything as far as RBAC goes (system:masters), so that only the policy can refuse.
var (
	operator         = user{"system:serviceaccount:workorders-system:workorder-operator", "system:serviceaccounts:workorders-system"}
	admin            = user{"alice", "admins"}
	namesake         = user{"system:serviceaccount:default:workorder-operator", "system:serviceaccounts:default"}
	garbageCollector = user{"system:serviceaccount:kube-system:generic-garbage-collector", "system:serviceaccounts:kube-system"}
	kubelet          = user{"system:node:node-1", "system:nodes"}
)

type user struct{ name, group string }

func (u user) client(t *testing.T, config *rest.Config) client.Client {
	t.Helper()
	config = rest.CopyConfig(config)
	config.Impersonate = rest.ImpersonationConfig{UserName: u.name, Groups: []string{u.group, "system:masters"}}
	c, err := client.New(config, client.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// startServer runs an API server with the CRDs and the policy in force.
func startServer(t *testing.T) *rest.Config {
	t.Helper()
	if os.Getenv("KUBEBUILDER_ASSETS") == "" {
		if os.Getenv("CI") == "true" {
			t.Fatal("KUBEBUILDER_ASSETS is not set: run make test-envtest, which sets it")
		}
		t.Skip("KUBEBUILDER_ASSETS is not set: run make test-envtest to run this")
	}
	server := &envtest.Environment{CRDDirectoryPaths: []string{"../crd/bases"}, ErrorIfCRDPathMissing: true}
	config, err := server.Start()
	if err != nil {
		t.Fatalf("the API server does not start: %v", err)
	}
	t.Cleanup(func() {
		if err := server.Stop(); err != nil {
			t.Error(err)
		}
	})
	asAdmin := admin.client(t, config)
	for _, file := range []string{"policy.yaml", "binding.yaml", "serviceaccounts/policy.yaml", "serviceaccounts/binding.yaml"} {
		if err := asAdmin.Create(t.Context(), readManifest(t, file)); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
	}
	waitUntilEnforced(t, asAdmin)
	return config
}

func readManifest(t *testing.T, file string) *unstructured.Unstructured {
	t.Helper()
	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	object := &unstructured.Unstructured{}
	if err := yaml.UnmarshalStrict(content, &object.Object); err != nil {
		t.Fatalf("%s: %v", file, err)
	}
	return object
}

// waitUntilEnforced asks until it is refused: the API server takes up a new policy a moment after it is stored.
func waitUntilEnforced(t *testing.T, asAdmin client.Client) {
	t.Helper()
	deadline := time.Now().Add(30 * time.Second)
	for {
		err := asAdmin.Create(t.Context(), newEvent("probe"), client.DryRunAll)
		if apierrors.IsForbidden(err) {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("the policy is not in force after 30 s; the last answer was %v", err)
		}
		time.Sleep(100 * time.Millisecond)
	}
}

func newOrder(name string) *unstructured.Unstructured {
	return &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "workorders.dev/v1alpha1", "kind": "WorkOrder",
		"metadata": map[string]any{"name": name, "namespace": namespace},
		"spec":     map[string]any{"steps": []any{map[string]any{"name": "classify", "run": map[string]any{"image": "workorders.dev/step:dev"}}}},
	}}
}

func newEvent(name string) *unstructured.Unstructured {
	return &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "workorders.dev/v1alpha1", "kind": "ProgressEvent",
		"metadata": map[string]any{
			"name": name, "namespace": namespace,
			"ownerReferences": []any{map[string]any{"apiVersion": "workorders.dev/v1alpha1", "kind": "WorkOrder", "name": "order", "uid": "uid-1", "controller": true}},
		},
		"spec": map[string]any{
			"workOrder": map[string]any{"name": "order", "uid": "uid-1"},
			"sequence":  int64(1),
			"type":      "Accepted",
			"time":      "2026-01-01T00:00:00Z",
			"changes":   map[string]any{"order": map[string]any{}},
		},
	}}
}

func newPod(name string, finalizers ...string) *corev1.Pod {
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			Name: name, Namespace: namespace, Finalizers: finalizers,
			Labels: map[string]string{
				"workorders.dev/order": "order", "workorders.dev/order-uid": "uid-1",
				"workorders.dev/step": "classify", "workorders.dev/epoch": "1",
			},
		},
		Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "step", Image: "workorders.dev/step:dev"}}},
	}
}

// request is one thing that somebody tries on an object that the operator made.
type request func(ctx context.Context, c client.Client, object client.Object) error

func create(ctx context.Context, c client.Client, object client.Object) error {
	return c.Create(ctx, object)
}

func remove(ctx context.Context, c client.Client, object client.Object) error {
	return c.Delete(ctx, object)
}

func merge(patch string) request {
	return func(ctx context.Context, c client.Client, object client.Object) error {
		return c.Patch(ctx, object, client.RawPatch(types.MergePatchType, []byte(patch)))
	}
}

func mergeStatus(patch string) request {
	return func(ctx context.Context, c client.Client, object client.Object) error {
		return c.Status().Patch(ctx, object, client.RawPatch(types.MergePatchType, []byte(patch)))
	}
}

// trial is one request and how it must end: allowed, or refused in words that contain refusal.
type trial struct {
	what    string
	who     user
	object  client.Object
	stored  bool
	try     request
	refusal string
}

const (
	refusesStatus = "Only the operator writes the status"
	refusesEvent  = "Only the operator writes ProgressEvents"
	refusesPod    = "Only the operator makes the Pods of steps"
	annotate      = `{"metadata":{"annotations":{"seen":"yes"}}}`
	own           = `{"metadata":{"ownerReferences":[{"apiVersion":"workorders.dev/v1alpha1","kind":"WorkOrder","name":"order","uid":"uid-1","controller":true}]}}`
	disown        = `{"metadata":{"ownerReferences":null}}`
	advance       = `{"status":{"sequence":7}}`
	finalize      = `{"metadata":{"finalizers":["workorders.dev/result"]}}`
	unfinalize    = `{"metadata":{"finalizers":null}}`
	relabel       = `{"metadata":{"labels":{"workorders.dev/epoch":"2"}}}`
	unlabel       = `{"metadata":{"labels":{"workorders.dev/step":null}}}`
)

func orderTrials() []trial {
	return []trial{
		{"the operator saves a status", operator, newOrder(""), true, mergeStatus(advance), ""},
		{"an admin forges a status", admin, newOrder(""), true, mergeStatus(advance), refusesStatus},
		{"a namesake of the operator in another namespace forges a status", namesake, newOrder(""), true, mergeStatus(advance), refusesStatus},
		{"an admin submits an order", admin, newOrder(""), false, create, ""},
		{"an admin cancels an order", admin, newOrder(""), true, merge(`{"spec":{"cancel":true}}`), ""},
		{"an admin deletes an order", admin, newOrder(""), true, remove, ""},
	}
}

func eventTrials() []trial {
	return []trial{
		{"the operator records an event", operator, newEvent(""), false, create, ""},
		{"the operator annotates an event", operator, newEvent(""), true, merge(annotate), ""},
		{"an admin forges an event", admin, newEvent(""), false, create, refusesEvent},
		{"a namesake of the operator in another namespace forges an event", namesake, newEvent(""), false, create, refusesEvent},
		{"an admin annotates an event", admin, newEvent(""), true, merge(annotate), refusesEvent},
		{"an admin takes an event from its order", admin, newEvent(""), true, merge(disown), refusesEvent},
		{"an admin deletes an event", admin, newEvent(""), true, remove, ""},
		{"the garbage collector forges an event", garbageCollector, newEvent(""), false, create, refusesEvent},
		{"the garbage collector lets an orphan go", garbageCollector, newEvent(""), true, merge(disown), ""},
		{"the garbage collector deletes an event", garbageCollector, newEvent(""), true, remove, ""},
	}
}

func podTrials() []trial {
	plain, step := newPod(""), newPod("", finalizer)
	controls := true
	bare := newPod("", finalizer)
	bare.Labels = nil
	owned := newPod("")
	for _, pod := range []*corev1.Pod{step, owned} {
		pod.OwnerReferences = []metav1.OwnerReference{{APIVersion: "workorders.dev/v1alpha1", Kind: "WorkOrder", Name: "order", UID: "uid-1", Controller: &controls}}
	}
	return []trial{
		{"the operator makes the Pod of a step", operator, step, false, create, ""},
		{"the operator finishes with a Pod", operator, step, true, merge(unfinalize), ""},
		{"an admin forges the Pod of a step", admin, step, false, create, refusesPod},
		{"a namesake of the operator in another namespace forges the Pod of a step", namesake, step, false, create, refusesPod},
		{"an admin forges it without the labels", admin, bare, false, create, refusesPod},
		{"an admin forges it without the finalizer", admin, owned, false, create, refusesPod},
		{"an admin gives a Pod of their own to an order", admin, plain, true, merge(own), refusesPod},
		{"an admin takes a step's Pod from its order", admin, step, true, merge(disown), refusesPod},
		{"an admin puts the finalizer back on", admin, owned, true, merge(finalize), refusesPod},
		{"an admin annotates a step's Pod that was let go", admin, owned, true, merge(annotate), ""},
		{"an admin makes a Pod of their own", admin, plain, false, create, ""},
		{"an admin makes a step's Pod of one of their own", admin, plain, true, merge(finalize), refusesPod},
		{"an admin makes a step's Pod the one of another epoch", admin, step, true, merge(relabel), refusesPod},
		{"an admin makes a step's Pod the one of no step", admin, step, true, merge(unlabel), refusesPod},
		{"an admin relabels a Pod of their own", admin, plain, true, merge(relabel), ""},
		{"an admin annotates a step's Pod", admin, step, true, merge(annotate), ""},
		{"an admin takes the finalizer off", admin, step, true, merge(unfinalize), ""},
		{"an admin deletes a step's Pod", admin, step, true, remove, ""},
		{"a kubelet annotates a step's Pod", kubelet, step, true, merge(annotate), ""},
		{"a kubelet reports on a step's Pod", kubelet, step, true, mergeStatus(`{"status":{"phase":"Running"}}`), ""},
		{"the garbage collector lets a step's Pod go", garbageCollector, step, true, merge(disown), ""},
	}
}

func TestOnlyTheOperatorWritesTheLogTheStatusAndThePods(t *testing.T) {
	config := startServer(t)
	asOperator := operator.client(t, config)
	trials, began, wrong := append(append(orderTrials(), eventTrials()...), podTrials()...), time.Now(), 0
	for i, trial := range trials {
		t.Run(trial.what, func(t *testing.T) {
			object := trial.object.DeepCopyObject().(client.Object)
			object.SetName(fmt.Sprintf("trial-%d", i))
			if trial.stored {
				if err := asOperator.Create(t.Context(), object); err != nil {
					t.Fatalf("cannot set the scene: %v", err)
				}
			}
			err := trial.try(t.Context(), trial.who.client(t, config), object)
			switch {
			case trial.refusal == "" && err != nil:
				t.Errorf("refused: %v", err)
			case trial.refusal != "" && err == nil:
				t.Error("allowed")
			case trial.refusal != "" && (!apierrors.IsForbidden(err) || !strings.Contains(err.Error(), trial.refusal)):
				t.Errorf("refused for another reason: %v", err)
			}
			if t.Failed() {
				wrong++
			}
		})
	}
	line := report.Line{Row: "R13", Harness: "unit", Cases: len(trials), Unit: "requests", Violations: wrong, Full: report.Full(), Notes: []string{
		"with the shipped admission policy at a real kube-apiserver: also of Pods with the order's own owner reference",
	}}
	if err := line.Since(began).Add(); err != nil {
		t.Error(err)
	}
}
