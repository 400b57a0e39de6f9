package bare

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"workorders.dev/operator/api/v1alpha1"
	"workorders.dev/operator/controllers/steppod"
	"workorders.dev/operator/hack/bench/rig"
	"workorders.dev/operator/hack/reliability/proxy"
)

// OrderName is the name of an order by its number. All are of one length.
func OrderName(number int) string { return fmt.Sprintf("bench-%05d", number) }

// recorded is the number of the order that scripts are taken from.
const recorded = 99_999

// Script is what the operator wrote to carry one order from its creation to its end.
type Script struct {
	// Spec is that of the order.
	Spec v1alpha1.WorkOrderSpec
	// Transitions is how many there were, and Bytes how many bytes the operator sent for all.
	Transitions, Bytes int
	// Writes is how many requests that were.
	Writes int
	// Stored is how many bytes the order and its events have, at its end, as they are kept.
	Stored int

	writes               []write
	name, uid, namespace string
}

// write is one request.
type write struct {
	proxy.Sent
	// creates and changes name the Pod, or are empty.
	creates, changes string
	// awaits is the Pod that must have ended before this is written.
	awaits string
	// status says that it saves the order's status.
	status bool
}

// Record has an operator carry out an order, with a proxy before the API server that keeps what it sends.
func Record(ctx context.Context, r *rig.Rig, spec v1alpha1.WorkOrderSpec) (script *Script, err error) {
	namespace, err := r.NewNamespace(ctx)
	if err != nil {
		return nil, err
	}
	between, err := proxy.New(r.Config, namespace)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, between.Close()) }()
	stop, err := operate(ctx, r, between)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, stop()) }()
	between.Keep()
	order := &v1alpha1.WorkOrder{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: OrderName(recorded)}, Spec: spec}
	if err := r.Create(ctx, order); err != nil {
		return nil, fmt.Errorf("create the order that is recorded: %w", err)
	}
	sent := -1
	err = rig.Until(ctx, 5*time.Minute, "the order that is recorded to end", func() (bool, error) {
		before := sent
		sent = between.Count(proxy.Write)
		err := r.Get(ctx, client.ObjectKeyFromObject(order), order)
		// Its last Pod is let go after its end.
		return order.Status.CompletionTime != nil && !between.Busy() && sent == before, err
	})
	if err != nil {
		return nil, err
	}
	if order.Status.Phase != v1alpha1.WorkOrderSucceeded {
		return nil, fmt.Errorf("the order that is recorded is %s: %s", order.Status.Phase, order.Status.Message)
	}
	script = &Script{Spec: spec, name: order.Name, uid: string(order.UID), namespace: namespace}
	if err := script.take(between.Calls()); err != nil {
		return nil, err
	}
	return script, script.measure(ctx, r, order)
}

// operate starts an operator behind a proxy, instead of the one that is measured.
func operate(ctx context.Context, r *rig.Rig, between *proxy.Proxy) (stop func() error, err error) {
	if err := r.Operator.Stop(); err != nil {
		return nil, err
	}
	kubeconfig, err := between.Kubeconfig()
	if err != nil {
		return nil, err
	}
	folder, err := os.MkdirTemp("", "bench-proxy-")
	if err != nil {
		return nil, err
	}
	file := filepath.Join(folder, "kubeconfig")
	if err := os.WriteFile(file, kubeconfig, 0o600); err != nil {
		return nil, err
	}
	operator := *r.Operator
	operator.Kubeconfig = file
	stop = func() error { return errors.Join(operator.Stop(), os.RemoveAll(folder)) }
	if err := operator.Start(ctx); err != nil {
		return nil, errors.Join(err, stop())
	}
	return stop, nil
}

// take takes the writes out of what the operator asked for.
func (s *Script) take(calls []proxy.Call) error {
	steps := map[string]string{} // The Pod of each step.
	for _, call := range calls {
		if call.Sent == nil {
			continue
		}
		w := write{Sent: *call.Sent}
		switch call.Description() {
		case "create progressevents":
			event := &v1alpha1.ProgressEvent{}
			if err := json.Unmarshal(w.Body, event); err != nil {
				return fmt.Errorf("read what the operator sent: %w", err)
			}
			w.awaits = steps[event.Spec.Step]
			s.Transitions++
		case "patch workorders/status":
			w.status = true
		case "create pods":
			pod, step, err := podIn(w.Sent)
			if err != nil {
				return err
			}
			w.creates, steps[step] = pod, pod
		case "patch pods":
			w.changes = call.Name
		default:
			return fmt.Errorf("the operator does what no script knows: %s", call.Description())
		}
		s.Bytes += len(w.Body)
		s.Writes++
		s.writes = append(s.writes, w)
	}
	return nil
}

// measure adds what is stored of the order in the end.
func (s *Script) measure(ctx context.Context, r *rig.Rig, order *v1alpha1.WorkOrder) error {
	events := &v1alpha1.ProgressEventList{}
	if err := r.List(ctx, events, client.InNamespace(order.Namespace)); err != nil {
		return err
	}
	for i := range events.Items {
		encoded, err := json.Marshal(&events.Items[i])
		if err != nil {
			return err
		}
		s.Stored += len(encoded)
	}
	encoded, err := json.Marshal(order)
	s.Stored += len(encoded)
	return err
}

// version is where the save names the version of the order that it was made from.
var version = regexp.MustCompile(`("path":"/metadata/resourceVersion","value":)"[0-9]+"`)

// podUID is where a change of a Pod says of which.
var podUID = regexp.MustCompile(`"uid":"[^"]*"`)

// fit makes a write of the script one for another order. What replaces is as long as what is replaced, so that it is as
// many bytes, and no length that is written beside them becomes wrong.
func (s *Script) fit(w write, order *v1alpha1.WorkOrder, podUIDs map[string]string) (path string, body []byte) {
	body = w.Body
	path = w.Path
	for was, is := range map[string]string{s.name: order.Name, s.uid: string(order.UID), s.namespace: order.Namespace} {
		body = bytes.ReplaceAll(body, []byte(was), []byte(is))
		path = strings.ReplaceAll(path, was, is)
	}
	switch {
	case w.status:
		body = version.ReplaceAll(body, []byte(`$1"`+order.ResourceVersion+`"`))
	case w.changes != "":
		body = podUID.ReplaceAll(body, []byte(`"uid":"`+podUIDs[s.podFor(w.changes, order)]+`"`))
	}
	return path, body
}

// podFor is the name that a Pod of the script has for another order.
func (s *Script) podFor(pod string, order *v1alpha1.WorkOrder) string {
	return strings.ReplaceAll(pod, s.name, order.Name)
}

// podIn is the name of the Pod that is created, and of its step.
func podIn(sent proxy.Sent) (name, step string, err error) {
	object, _, err := clientgoscheme.Codecs.UniversalDeserializer().Decode(sent.Body, nil, nil)
	if err != nil {
		return "", "", fmt.Errorf("read the Pod that the operator sent: %w", err)
	}
	pod, isPod := object.(*corev1.Pod)
	if !isPod {
		return "", "", fmt.Errorf("the operator sent a %T instead of a Pod", object)
	}
	return pod.Name, pod.Labels[steppod.LabelStep], nil
}
