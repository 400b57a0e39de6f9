package model

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/strategicpatch"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"workorders.dev/operator/api/v1alpha1"
	"workorders.dev/operator/controllers/steppod"
)

// The one order of the model.
const (
	namespace = "default"
	orderName = "order"
)

// The API server keeps what Kubernetes promises and nothing more: writes to one object are in order, a name is taken
// once, a finalizer holds what is deleted. resourceVersions count the writes to one object, so that states in which the
// same happened to an object are the same whatever happened elsewhere meanwhile; controllers never compare others.

// put stores an object and returns its number.
func (m *machine) put(object client.Object) int32 {
	encoded := encode(object)
	return m.objects.number(kindOf(object)+string(encoded), func() client.Object {
		switch object.(type) {
		case *v1alpha1.WorkOrder:
			return decode[v1alpha1.WorkOrder](encoded)
		case *v1alpha1.ProgressEvent:
			return decode[v1alpha1.ProgressEvent](encoded)
		default:
			return decode[corev1.Pod](encoded)
		}
	})
}

// set is the number of a set of objects, which is kept sorted by name.
func (m *machine) set(members []int32) int32 {
	if len(members) == 0 {
		return 0
	}
	slices.SortFunc(members, func(a, b int32) int {
		return cmp.Compare(m.objects.values[a].GetName(), m.objects.values[b].GetName())
	})
	return m.sets.number(fmt.Sprint(members), func() []int32 { return members })
}

// without is a set less the object of that name, and with the other in its place, unless that is 0.
func (m *machine) without(set int32, name string, instead int32) int32 {
	var members []int32
	for _, n := range m.sets.values[set] {
		if m.objects.values[n].GetName() != name {
			members = append(members, n)
		}
	}
	if instead != 0 {
		members = append(members, instead)
	}
	return m.set(members)
}

func (m *machine) order(number int32) *v1alpha1.WorkOrder {
	if number == 0 {
		return nil
	}
	return m.objects.values[number].(*v1alpha1.WorkOrder)
}

func (m *machine) podsOf(set int32) []*corev1.Pod {
	pods := make([]*corev1.Pod, 0, len(m.sets.values[set]))
	for _, n := range m.sets.values[set] {
		pods = append(pods, m.objects.values[n].(*corev1.Pod))
	}
	return pods
}

// find is the number of the object of that name in a set; 0 if there is none.
func (m *machine) find(set int32, name string) int32 {
	for _, n := range m.sets.values[set] {
		if m.objects.values[n].GetName() == name {
			return n
		}
	}
	return 0
}

// setOrder is a write to the order; nil removes it.
func (s *step) setOrder(order *v1alpha1.WorkOrder) {
	if order == nil {
		s.showOrder(0)
		return
	}
	order.ResourceVersion = following(order.ResourceVersion)
	s.showOrder(s.put(order))
}

// showOrder makes the order the one of that number.
func (s *step) showOrder(number int32) {
	s.world.order = number
	s.world.orders = append(slices.Clip(s.world.orders), s.world.order)
	s.woken()
}

// setPod is a write to a Pod.
func (s *step) setPod(pod *corev1.Pod) {
	pod.ResourceVersion = following(pod.ResourceVersion)
	s.showPod(s.put(pod))
}

// showPod makes a Pod of that number the one of its name. One that is deleted, and that nothing holds or needs any more,
// goes.
func (s *step) showPod(number int32) {
	pod := s.objects.values[number].(*corev1.Pod)
	if pod.DeletionTimestamp != nil && len(pod.Finalizers) == 0 && (ended(pod) || pod.Spec.NodeName == "" || *pod.DeletionGracePeriodSeconds == 0) {
		number = 0
		s.vanished(pod)
	}
	s.world.pods = s.without(s.world.pods, pod.Name, number)
	s.world.podSets = append(slices.Clip(s.world.podSets), s.world.pods)
	s.woken()
}

// following is the resourceVersion after a write.
func following(version string) string {
	n, err := strconv.Atoi(version)
	if err != nil {
		panic(err)
	}
	return strconv.Itoa(n + 1)
}

// lives is by how much resourceVersions of one name grow from one object to the next.
const lives = 1000

var errQuota = errors.New("exceeded quota: pods, used: 1, limited: 1")

// What the API server answers when it does not simply obey.
func (r *request) resource() schema.GroupResource {
	if r.kind == "Pod" {
		return schema.GroupResource{Resource: "pods"}
	}
	return schema.GroupResource{Group: v1alpha1.GroupVersion.Group, Resource: strings.ToLower(r.kind) + "s"}
}

func (r *request) fail(err error) answer { return answer{err: err, key: err.Error()} }

func (r *request) conflict(why string) answer {
	return r.fail(apierrors.NewConflict(r.resource(), r.name, errors.New(why)))
}

// trouble is what a controller is told when its request, or the reply to it, was lost.
func (r *request) trouble() answer {
	return r.fail(apierrors.NewTimeoutError("the request timed out", 1))
}

// serve obeys a request of a controller, or does not, and answers it. Reads of a cache are not served here.
func (s *step) serve(r *request) answer {
	switch {
	case r.verb == get:
		return s.serveGet(r)
	case r.verb == create && r.kind == "ProgressEvent":
		return s.createEvent(r)
	case r.verb == create:
		return s.createPod(r)
	case r.verb == patchStatus:
		return s.saveStatus(r)
	case r.verb == patch:
		return s.changePod(r)
	case r.verb == remove:
		return s.deletePod(r)
	}
	panic("the model cannot " + r.String())
}

func (s *step) serveGet(r *request) answer {
	n := s.world.order
	switch r.kind {
	case "Pod":
		n = s.find(s.world.pods, r.name)
	case "ProgressEvent":
		n = s.find(s.world.events, r.name)
	}
	return s.found(r, n)
}

func (s *step) createEvent(r *request) answer {
	switch {
	case s.world.refuseEvents:
		return r.fail(apierrors.NewForbidden(r.resource(), r.name, errors.New("exceeded quota: events")))
	case s.setup.reduced && s.find(s.world.events, r.name) != 0:
		return s.found(r, s.find(s.world.events, r.name)) // It is told apart by a live read, which finds it equal.
	case s.find(s.world.events, r.name) != 0:
		return r.fail(apierrors.NewAlreadyExists(r.resource(), r.name))
	}
	n := s.remembered(r.name, 0, func() int32 {
		event := r.object.DeepCopyObject().(*v1alpha1.ProgressEvent)
		event.UID, event.ResourceVersion = types.UID("uid of "+event.Name), "1"
		return s.put(event)
	})
	s.world.events = s.without(s.world.events, "", n)
	return s.found(r, n)
}

func (s *step) createPod(r *request) answer {
	pod := r.object.DeepCopyObject().(*corev1.Pod)
	switch {
	case s.find(s.world.pods, r.name) != 0:
		return r.fail(apierrors.NewAlreadyExists(r.resource(), r.name))
	case s.world.refusePods || s.world.refuseSeals && steppod.Sealed(pod):
		return r.fail(apierrors.NewForbidden(r.resource(), r.name, errQuota))
	}
	s.change("created "+r.name, func(g *ghost) { g.Created[r.name]++ })
	created := s.ghost().Created[r.name]
	pod.UID, pod.ResourceVersion = types.UID(fmt.Sprintf("uid of %s, %d", pod.Name, created)), strconv.Itoa(created*lives)
	pod.CreationTimestamp = metav1.NewTime(s.now())
	pod.Status.Phase = corev1.PodPending
	s.setPod(pod)
	return s.found(r, s.find(s.world.pods, r.name))
}

// patching is a patch and what it is applied to; patched is what comes of it.
type patching struct {
	request *request
	object  int32
}

type patched struct {
	// version and uid are what the patch asks for.
	version string
	uid     types.UID
	// object is the number of what is stored then; the old one if nothing is changed.
	object int32
	err    error
}

// making is something that happens to an object, or to the ghost, of a number.
type making struct {
	what   string
	number int32
}

// remembered is the number of what comes of something, which is found out once.
func (m *machine) remembered(what string, number int32, find func() int32) int32 {
	key := making{what, number}
	result, known := m.made[key]
	if !known {
		result = find()
		m.made[key] = result
	}
	return result
}

// patch applies a patch, unless it knows already what comes of that.
func (m *machine) patch(r *request, n int32) patched {
	key := patching{r, n}
	known, found := m.patches[key]
	if !found {
		if r.kind == "WorkOrder" {
			known = m.patchOrder(r, n)
		} else {
			known = m.patchPod(r, n)
		}
		m.patches[key] = known
	}
	return known
}

// patchOrder is a JSON patch of an order's status.
func (m *machine) patchOrder(r *request, n int32) patched {
	before := m.order(n)
	merged, err := applyJSON(encode(before), r.patch)
	if err != nil {
		return patched{err: err}
	}
	wanted, after := decode[v1alpha1.WorkOrder](merged), before.DeepCopy()
	after.Status, after.ResourceVersion = wanted.Status, following(before.ResourceVersion)
	return patched{version: wanted.ResourceVersion, uid: wanted.UID, object: m.put(after)}
}

// patchPod is a strategic merge patch of a Pod. One that changes nothing is no write.
func (m *machine) patchPod(r *request, n int32) patched {
	before := m.objects.values[n].(*corev1.Pod)
	merged, err := strategicpatch.StrategicMergePatch(encode(before), r.patch, corev1.Pod{})
	if err != nil {
		return patched{err: err}
	}
	after := decode[corev1.Pod](merged)
	result := patched{version: after.ResourceVersion, uid: after.UID, object: n}
	if m.put(after) != n {
		after.ResourceVersion = following(before.ResourceVersion)
		result.object = m.put(after)
	}
	return result
}

// saveStatus is a JSON patch of the order's status. As in the real thing it is applied before versions are compared, and
// one that does not fit is invalid, whatever its version.
func (s *step) saveStatus(r *request) answer {
	before := s.order(s.world.order)
	if before == nil {
		return s.found(r, 0)
	}
	after := s.patch(r, s.world.order)
	if after.err != nil {
		return r.fail(apierrors.NewGenericServerResponse(http.StatusUnprocessableEntity, "patch", r.resource(), r.name, after.err.Error(), 0, false))
	}
	if after.version != before.ResourceVersion && s.setup.without != guardLock {
		return r.conflict("the object has been modified")
	}
	s.showOrder(after.object)
	s.saved(before, s.order(s.world.order))
	return s.found(r, s.world.order)
}

func (s *step) changePod(r *request) answer {
	n := s.find(s.world.pods, r.name)
	if n == 0 {
		return s.found(r, 0)
	}
	before, after := s.objects.values[n].(*corev1.Pod), s.patch(r, n)
	switch {
	case after.err != nil:
		return r.fail(apierrors.NewBadRequest(after.err.Error()))
	case after.uid != before.UID:
		return r.conflict("Precondition failed: UID in precondition: " + string(after.uid))
	case after.version != before.ResourceVersion && s.setup.without != guardSeen:
		return r.conflict("the object has been modified")
	case after.object != n:
		s.stopped(before, s.objects.values[after.object].(*corev1.Pod))
		s.showPod(after.object)
	}
	return s.found(r, after.object) // As it was last, if it is gone now.
}

func (s *step) deletePod(r *request) answer {
	n := s.find(s.world.pods, r.name)
	if n == 0 {
		return s.found(r, 0)
	}
	pod := s.objects.values[n].(*corev1.Pod)
	if r.uid != "" && pod.UID != r.uid {
		return r.conflict("Precondition failed: UID in precondition: " + string(r.uid))
	}
	if r.version != "" && pod.ResourceVersion != r.version {
		return r.conflict("Precondition failed: ResourceVersion in precondition: " + r.version)
	}
	s.cleaned(pod)
	s.deleteGracefully(pod.DeepCopy())
	return s.found(r, n)
}

// deleteGracefully deletes a Pod: at once if it has ended or never had a node, else after its grace period.
func (s *step) deleteGracefully(pod *corev1.Pod) {
	if pod.DeletionTimestamp != nil {
		return
	}
	grace := int64(30)
	if ended(pod) || pod.Spec.NodeName == "" {
		grace = 0
	}
	s.markDeleted(pod, grace)
	s.setPod(pod)
}

func (s *step) markDeleted(pod *corev1.Pod, grace int64) {
	pod.DeletionTimestamp = &metav1.Time{Time: s.now().Add(time.Duration(grace) * time.Second)}
	pod.DeletionGracePeriodSeconds = &grace
}

func ended(pod *corev1.Pod) bool {
	return pod.Status.Phase == corev1.PodSucceeded || pod.Status.Phase == corev1.PodFailed
}

// operation is one operation of a JSON patch.
type operation struct {
	Op, Path string
	Value    json.RawMessage
}

// versionIn is the resourceVersion that a JSON patch asks for.
func versionIn(patch []byte) string {
	for _, o := range *decode[[]operation](patch) {
		if o.Path == "/metadata/resourceVersion" {
			return *decode[string](o.Value)
		}
	}
	return ""
}

// applyJSON applies a JSON patch, as far as the controllers use them: operations on fields, and replacing an entry of
// a list.
func applyJSON(document, patch []byte) ([]byte, error) {
	operations := *decode[[]operation](patch)
	root := *decode[map[string]any](document)
	for _, o := range operations {
		path := strings.Split(o.Path, "/")[1:]
		var value any
		if o.Op != "remove" {
			value = *decode[any](o.Value)
		}
		if err := applyOne(root, path, o.Op, value); err != nil {
			return nil, fmt.Errorf("%s %s: %w", o.Op, o.Path, err)
		}
	}
	return encode(root), nil
}

func applyOne(at any, path []string, op string, value any) error {
	name, last := path[0], len(path) == 1
	switch at := at.(type) {
	case map[string]any:
		child, found := at[name]
		switch {
		case !last && found:
			return applyOne(child, path[1:], op, value)
		case !found && (!last || op != "add"):
			return errors.New("there is no such field")
		case op == "remove":
			delete(at, name)
		default:
			at[name] = value
		}
		return nil
	case []any:
		i, err := strconv.Atoi(name)
		if err != nil || i >= len(at) || !last || op != "replace" {
			return errors.New("there is no such entry")
		}
		at[i] = value
		return nil
	}
	return errors.New("that is neither an object nor a list")
}
