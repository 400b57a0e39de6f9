package model

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	testingclock "k8s.io/utils/clock/testing"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"workorders.dev/operator/api/v1alpha1"
)

// verb is what is asked of the API server, or of a cache.
type verb string

const (
	get         verb = "get"
	list        verb = "list"
	create      verb = "create"
	patch       verb = "patch"
	patchStatus verb = "patch status of"
	remove      verb = "delete"
)

// request is one request of a controller.
type request struct {
	verb   verb
	live   bool // to the API server itself, and not to a cache
	kind   string
	name   string
	object client.Object // to be created
	patch  []byte
	// uid is that of the order whose Pods are to be listed. For a deletion, uid and version are preconditions; for a patch
	// of a status, version is the one that it was made from.
	uid     types.UID
	version string
}

func (r *request) reads() bool { return r.verb == get || r.verb == list }

func (r *request) String() string {
	where := ""
	if r.live {
		where = "live "
	}
	return fmt.Sprintf("%s%s %s %s", where, r.verb, r.kind, r.name)
}

// answer is the reply to a request: an object, or a list of Pods, or an error. The key tells it from other replies.
type answer struct {
	object client.Object
	pods   []*corev1.Pod
	err    error
	key    string
	// now is what the controller's clock shows by then, if that is another time than before.
	now time.Time
}

// errCut ends a turn at the first request to which there is no reply yet.
var errCut = errors.New("the model goes on with this turn later")

// session is a turn as far as there are replies for it.
type session struct {
	replies []answer
	pending *request
	clock   *testingclock.FakePassiveClock
}

// ask is the reply to the next request of the turn. It does not return if there is none yet.
func (s *session) ask(r *request) answer {
	if len(s.replies) == 0 {
		s.pending = r
		panic(errCut)
	}
	reply := s.replies[0]
	s.replies = s.replies[1:]
	if !reply.now.IsZero() {
		s.clock.SetTime(reply.now)
	}
	return reply
}

// fill puts the object of a reply where the controller wants it.
func fill(into client.Object, reply answer) error {
	if reply.err != nil {
		return reply.err
	}
	switch into := into.(type) {
	case *v1alpha1.WorkOrder:
		reply.object.(*v1alpha1.WorkOrder).DeepCopyInto(into)
	case *v1alpha1.ProgressEvent:
		reply.object.(*v1alpha1.ProgressEvent).DeepCopyInto(into)
	case *corev1.Pod:
		reply.object.(*corev1.Pod).DeepCopyInto(into)
	}
	return nil
}

// cutClient is the client of a controller in the model. What it does not implement, the controllers do not use.
type cutClient struct {
	client.Client
	*session
}

func (c cutClient) Get(_ context.Context, key client.ObjectKey, into client.Object, _ ...client.GetOption) error {
	return fill(into, c.ask(&request{verb: get, kind: kindOf(into), name: key.Name}))
}

func (c cutClient) List(_ context.Context, into client.ObjectList, options ...client.ListOption) error {
	chosen := (&client.ListOptions{}).ApplyOptions(options)
	index, uid, _ := strings.Cut(chosen.FieldSelector.String(), "=")
	if index != "workorders.dev/order-uid" {
		return fmt.Errorf("the cache has no index %s", index)
	}
	reply := c.ask(&request{verb: list, kind: "Pod", uid: types.UID(uid)})
	pods := into.(*corev1.PodList)
	for _, pod := range reply.pods {
		pods.Items = append(pods.Items, *pod) // Shared with the cache, as the controllers ask for.
	}
	return reply.err
}

func (c cutClient) Create(_ context.Context, object client.Object, _ ...client.CreateOption) error {
	asked := object.DeepCopyObject().(client.Object)
	return fill(object, c.ask(&request{verb: create, live: true, kind: kindOf(object), name: object.GetName(), object: asked}))
}

func (c cutClient) Patch(_ context.Context, object client.Object, p client.Patch, _ ...client.PatchOption) error {
	if p.Type() != types.StrategicMergePatchType {
		return fmt.Errorf("the model has no %s", p.Type())
	}
	return c.patch(patch, object, p)
}

func (c cutClient) patch(verb verb, object client.Object, p client.Patch) error {
	data, err := p.Data(object)
	if err != nil {
		return err
	}
	r := &request{verb: verb, live: true, kind: kindOf(object), name: object.GetName(), patch: data}
	if verb == patchStatus {
		r.version = versionIn(data)
	}
	return fill(object, c.ask(r))
}

func (c cutClient) Delete(_ context.Context, object client.Object, options ...client.DeleteOption) error {
	r := &request{verb: remove, live: true, kind: kindOf(object), name: object.GetName()}
	if p := (&client.DeleteOptions{}).ApplyOptions(options).Preconditions; p != nil {
		r.uid, r.version = *cmp.Or(p.UID, new(types.UID)), *cmp.Or(p.ResourceVersion, new(string))
	}
	return c.ask(r).err
}

func (c cutClient) Status() client.SubResourceWriter { return cutStatus{session: c} }

// cutStatus writes the status of orders.
type cutStatus struct {
	client.SubResourceWriter
	session cutClient
}

func (s cutStatus) Patch(_ context.Context, object client.Object, p client.Patch, _ ...client.SubResourcePatchOption) error {
	if p.Type() != types.JSONPatchType {
		return fmt.Errorf("the model has no %s of a status", p.Type())
	}
	return s.session.patch(patchStatus, object, p)
}

// liveReader reads from the API server itself.
type liveReader struct {
	client.Reader
	*session
}

func (c liveReader) Get(_ context.Context, key client.ObjectKey, into client.Object, _ ...client.GetOption) error {
	return fill(into, c.ask(&request{verb: get, live: true, kind: kindOf(into), name: key.Name}))
}

func kindOf(object client.Object) string {
	switch object.(type) {
	case *v1alpha1.WorkOrder:
		return "WorkOrder"
	case *v1alpha1.ProgressEvent:
		return "ProgressEvent"
	default:
		return "Pod"
	}
}
