package rows

import (
	"context"
	"errors"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"workorders.dev/operator/api/v1alpha1"
	"workorders.dev/operator/hack/bench/bare"
	"workorders.dev/operator/hack/bench/result"
)

// probe writes into the status of an order, which is what most of the operator's writes are: a condition that is not the
// operator's.
type probe struct {
	b     *Bench
	order client.ObjectKey
	// at is the place of the condition.
	at int
}

const probed = "example.com/Probed"

// newProbe makes an order to write to. It has finished, so that the operator has nothing to do with it any more.
func (b *Bench) newProbe(ctx context.Context) (*probe, error) {
	namespace, err := b.NewNamespace(ctx)
	if err != nil {
		return nil, err
	}
	w, err := newWitness(ctx, b.Rig, namespace, false)
	if err != nil {
		return nil, err
	}
	defer w.close()
	orders, err := b.submit(ctx, namespace, v1alpha1.WorkOrderSpec{Steps: steps(1, noWait())}, 1)
	if err != nil {
		return nil, err
	}
	if err := w.wait(ctx, 1); err != nil {
		return nil, err
	}
	order := &orders[0]
	if err := b.Get(ctx, client.ObjectKeyFromObject(order), order); err != nil {
		return nil, err
	}
	p := &probe{b: b, order: client.ObjectKeyFromObject(order), at: len(order.Status.Conditions)}
	return p, p.patch(ctx, fmt.Sprintf(`[{"op":"add","path":"/status/conditions/-","value":{"type":%q,"status":"True","reason":"Probed","message":"","lastTransitionTime":%q}}]`,
		probed, time.Now().UTC().Format(time.RFC3339)))
}

func (p *probe) patch(ctx context.Context, patch string) error {
	order := &v1alpha1.WorkOrder{ObjectMeta: metav1.ObjectMeta{Namespace: p.order.Namespace, Name: p.order.Name}}
	return p.b.Status().Patch(ctx, order, client.RawPatch(types.JSONPatchType, []byte(patch)))
}

// once is the round trip of one write, in milliseconds.
func (p *probe) once(ctx context.Context, number int) (float64, error) {
	began := time.Now()
	err := p.patch(ctx, fmt.Sprintf(`[{"op":"replace","path":"/status/conditions/%d/message","value":"the write number %d"}]`, p.at, number))
	return milliseconds(time.Since(began)), err
}

// trips are the round trips of writes that are sent one after the other, while nothing else happens.
func (p *probe) trips(ctx context.Context) (trips []float64, err error) {
	for number := range either(p.b, 200, 50) {
		trip, err := p.once(ctx, number)
		if err != nil {
			return nil, fmt.Errorf("take the round trip of a write: %w", err)
		}
		trips = append(trips, trip)
	}
	return trips, nil
}

// Yardstick is how long it takes to write a small ConfigMap while nothing else happens, in milliseconds.
func (b *Bench) Yardstick(ctx context.Context) (float64, error) {
	namespace, err := b.NewNamespace(ctx)
	if err != nil {
		return 0, err
	}
	small := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "yardstick"}, Data: map[string]string{"written": ""}}
	if err := b.Create(ctx, small); err != nil {
		return 0, fmt.Errorf("make a ConfigMap: %w", err)
	}
	var trips []float64
	for number := range either(b, 200, 50) {
		began := time.Now()
		patch := fmt.Sprintf(`[{"op":"replace","path":"/data/written","value":"%d"}]`, number)
		if err := b.Patch(ctx, small, client.RawPatch(types.JSONPatchType, []byte(patch))); err != nil {
			return 0, fmt.Errorf("write a ConfigMap: %w", err)
		}
		trips = append(trips, milliseconds(time.Since(began)))
	}
	return result.Middle(trips), nil
}

// tripsAtOnce are the round trips of so many writes that are sent at the same time, each to an order of its own that
// nobody looks after.
func (b *Bench) tripsAtOnce(ctx context.Context, count int) ([]float64, error) {
	if err := b.Operator.Stop(); err != nil {
		return nil, err
	}
	namespace, err := b.NewNamespace(ctx)
	if err != nil {
		return nil, err
	}
	if _, err := b.submit(ctx, namespace, v1alpha1.WorkOrderSpec{Steps: steps(1, noWait())}, count); err != nil {
		return nil, err
	}
	trips := make([]float64, count)
	// That a burst needs more connections is no part of it, as it is none of what comes after.
	if err := inParallel(count, count, func(i int) error {
		return b.Get(ctx, client.ObjectKey{Namespace: namespace, Name: bare.OrderName(i)}, &v1alpha1.WorkOrder{})
	}); err != nil {
		return nil, err
	}
	err = inParallel(count, count, func(i int) error {
		p := &probe{b: b, order: client.ObjectKey{Namespace: namespace, Name: bare.OrderName(i)}}
		began := time.Now()
		err := p.patch(ctx, `[{"op":"add","path":"/status/message","value":"the write of `+bare.OrderName(i)+`"}]`)
		trips[i] = milliseconds(time.Since(began))
		return err
	})
	return trips, errors.Join(err, b.Clear(ctx))
}

// milliseconds is a time as it stands in the tables.
func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
