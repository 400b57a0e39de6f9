package reliability

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"time"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"workorders.dev/operator/api/v1alpha1"
	"workorders.dev/operator/controllers/admission"
	"workorders.dev/operator/hack/freeport"
	"workorders.dev/operator/hack/reliability/specs"
)

// served is a lane whose operator serves its webhook, which the API server asks about the orders of that lane.
type served struct {
	*lane
	secret        *corev1.Secret
	configuration *admissionregistrationv1.ValidatingWebhookConfiguration
	// address is where the webhook is.
	address string
}

// newServed makes such a lane, and waits until the webhook is asked.
func newServed(ctx context.Context) (*served, error) {
	port, err := freeport.Next()
	if err != nil {
		return nil, err
	}
	meta := metav1.ObjectMeta{Namespace: metav1.NamespaceDefault, Name: fmt.Sprintf("webhook-%d", port)}
	s := &served{secret: &corev1.Secret{ObjectMeta: meta}, address: fmt.Sprintf("https://localhost:%d%s", port, admission.Path)}
	if s.configuration, err = shippedWebhook(meta.Name); err != nil {
		return nil, err
	}
	if s.lane, err = newLane(ctx, setup{args: []string{
		"--webhook", fmt.Sprintf("--webhook-port=%d", port), "--webhook-name=" + meta.Name, "--webhook-namespace=" + meta.Namespace,
	}}); err != nil {
		return nil, err
	}
	hook := &s.configuration.Webhooks[0]
	hook.ClientConfig = admissionregistrationv1.WebhookClientConfig{URL: &s.address}
	hook.NamespaceSelector = s.only()
	if err := errors.Join(s.cluster.Create(ctx, s.secret), s.cluster.Create(ctx, s.configuration)); err != nil {
		s.remove(ctx)
		return nil, err
	}
	if err := s.asked(ctx); err != nil {
		s.remove(ctx)
		return nil, err
	}
	return s, nil
}

// shippedWebhook is the configuration of the webhook as it is shipped, under another name, and not as patient.
func shippedWebhook(name string) (*admissionregistrationv1.ValidatingWebhookConfiguration, error) {
	content, err := os.ReadFile("../../config/webhook/configuration.yaml")
	if err != nil {
		return nil, err
	}
	shipped, second := &admissionregistrationv1.ValidatingWebhookConfiguration{}, int32(1)
	if err := yaml.UnmarshalStrict(content, shipped); err != nil {
		return nil, err
	}
	shipped.Name, shipped.Webhooks[0].TimeoutSeconds = name, &second
	return shipped, nil
}

func (s *served) remove(ctx context.Context) {
	_ = client.IgnoreNotFound(s.cluster.Delete(ctx, s.configuration)) // What is left is of no other lane's concern.
	_ = client.IgnoreNotFound(s.cluster.Delete(ctx, s.secret))
	s.close()
}

// circle is an order that cannot run, as only the webhook and the operator can see.
func circle() v1alpha1.WorkOrderSpec { return runnable(specs.All()["circle"]) }

// asked waits until the webhook is asked, and refuses what cannot run.
func (s *served) asked(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		err := client.NewDryRunClient(s.cluster).Create(ctx, &v1alpha1.WorkOrder{
			ObjectMeta: metav1.ObjectMeta{Namespace: s.namespace, GenerateName: "probe-"}, Spec: circle(),
		})
		if apierrors.IsInvalid(err) && strings.Contains(err.Error(), "circle") {
			return nil
		}
		if ctx.Err() != nil {
			return fmt.Errorf("the webhook is not asked: %w", errors.Join(err, ctx.Err()))
		}
		wait(ctx, 50*time.Millisecond)
	}
}

// redirect has the API server ask elsewhere.
func (s *served) redirect(ctx context.Context, address string) error {
	fresh := &admissionregistrationv1.ValidatingWebhookConfiguration{}
	if err := s.cluster.Get(ctx, client.ObjectKeyFromObject(s.configuration), fresh); err != nil {
		return err
	}
	before := fresh.DeepCopy()
	fresh.Webhooks[0].ClientConfig.URL = &address
	return s.cluster.Patch(ctx, fresh, client.MergeFrom(before))
}

// taken makes an order that cannot run, as soon as nobody refuses it any more.
func (s *served) taken(ctx context.Context) (*v1alpha1.WorkOrder, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		order, err := s.submit(ctx, circle())
		if !apierrors.IsInvalid(err) || ctx.Err() != nil {
			return order, err
		}
		wait(ctx, 50*time.Millisecond) // API servers learn of new configurations by watches of their own.
	}
}

// absence brings it about that the operator's own webhook is away, and returns what ends it.
type absence func(ctx context.Context, s *served) (back func() error, err error)

// operatorDown is the absence in which orders cannot go on before it ends.
const operatorDown = "the operator is down"

// absences are the ways in which it may be away.
var absences = map[string]absence{
	"nobody answers": func(ctx context.Context, s *served) (func() error, error) {
		return func() error { return s.redirect(ctx, s.address) }, s.redirect(ctx, "https://127.0.0.1:1/")
	},
	"it hangs": func(ctx context.Context, s *served) (func() error, error) {
		listener, err := net.Listen("tcp", "127.0.0.1:0") // Nobody ever accepts what the kernel does.
		if err != nil {
			return nil, err
		}
		back := func() error { return errors.Join(s.redirect(ctx, s.address), listener.Close()) }
		return back, s.redirect(ctx, "https://"+listener.Addr().String()+"/")
	},
	operatorDown: func(_ context.Context, s *served) (func() error, error) {
		s.operator().stop()
		return s.operator().start, nil
	},
}

// withoutWebhook makes orders while the operator's own webhook is away: one goes on as ever; one that cannot run is taken,
// stalls, and comes back when it is mended.
func withoutWebhook(how string) func(context.Context, *lane) []string {
	return func(ctx context.Context, _ *lane) []string {
		s, err := newServed(ctx)
		if err != nil {
			return []string{err.Error()}
		}
		defer s.remove(context.WithoutCancel(ctx))
		s.proxy().Begin(nil)
		back, err := absences[how](ctx, s)
		if err != nil {
			return []string{err.Error()}
		}
		unfit, err := s.taken(ctx)
		if err != nil {
			return []string{"an order is refused while nobody can be asked: " + err.Error(), fmt.Sprint(back())}
		}
		fit, err := s.submit(ctx, journey())
		if how == operatorDown {
			err = errors.Join(err, back())
		}
		if err == nil {
			err = s.seen.settle(ctx, fit)
		}
		newest, stalling := s.settles(ctx, unfit)
		if err := errors.Join(err, stalling); err != nil {
			return []string{"I5: " + err.Error()}
		}
		violations := succeeded(s.lane, []*v1alpha1.WorkOrder{fit})
		if stalled(newest) == nil {
			violations = append(violations, "what cannot run does not say so: "+newest.Status.Message)
		}
		if how != operatorDown {
			err = back()
		}
		if err := errors.Join(err, s.asked(ctx)); err != nil {
			return append(violations, err.Error())
		}
		violations = append(violations, s.mended(ctx, unfit)...)
		return append(violations, s.finish(ctx, fit, unfit)...)
	}
}

// outage are the cases of R21: what has a say in admission is away, be it others' webhook or the operator's own.
func outage(ctx context.Context) (*row, []trial) {
	r, trials := refusing("R21", outages())(ctx)
	for how := range absences {
		trials = append(trials, trial{name: "R21/own webhook/" + how, run: withoutWebhook(how)})
	}
	r.lanes = len(trials)
	return r, trials
}
