package bare

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"golang.org/x/sync/errgroup"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"

	"workorders.dev/operator/api/v1alpha1"
	"workorders.dev/operator/hack/bench/rig"
)

// Replay writes for each of these orders what the script has, for so many orders at a time at the most: one that waits for a
// Pod makes room for another. The orders are new, and nobody else looks after them.
func (s *Script) Replay(ctx context.Context, r *rig.Rig, orders []v1alpha1.WorkOrder, atOnce int) error {
	transport, err := rest.TransportFor(r.Config)
	if err != nil {
		return err
	}
	ended, err := watchEnds(ctx, r, orders[0].Namespace)
	if err != nil {
		return err
	}
	defer ended.stop()
	group, ctx := errgroup.WithContext(ctx) // When one fails, the others are not worth anything.
	p := &player{Script: s, host: strings.TrimSuffix(r.Config.Host, "/"), transport: transport, ended: ended, slots: make(chan struct{}, atOnce)}
	for i := range orders {
		group.Go(func() error { return p.play(ctx, orders[i].DeepCopy()) })
	}
	return group.Wait()
}

// player writes a script for several orders at once.
type player struct {
	*Script
	host      string
	transport http.RoundTripper
	ended     *ends
	slots     chan struct{}
}

func (p *player) play(ctx context.Context, order *v1alpha1.WorkOrder) error {
	podUIDs := map[string]string{}
	if err := p.enter(ctx); err != nil {
		return err
	}
	defer p.leave()
	for _, w := range p.writes {
		if w.awaits != "" {
			if err := p.await(ctx, p.podFor(w.awaits, order)); err != nil {
				return err
			}
		}
		reply, err := p.send(ctx, w, order, podUIDs)
		if err != nil {
			return fmt.Errorf("order %s: %w", order.Name, err)
		}
		switch {
		case w.status:
			order.ResourceVersion = reply.ResourceVersion
		case w.creates != "":
			podUIDs[reply.Name] = string(reply.UID)
		}
	}
	return nil
}

// enter takes one of the places of those that write, and leave gives it back.
func (p *player) enter(ctx context.Context) error {
	select {
	case p.slots <- struct{}{}:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (p *player) leave() { <-p.slots }

// await waits for the end of a Pod, and lets others write meanwhile.
func (p *player) await(ctx context.Context, pod string) error {
	p.leave()
	err := p.ended.wait(ctx, pod)
	p.slots <- struct{}{} // Whoever has a place gives it back in the end.
	return err
}

// send sends one write, and reads of the reply what the next ones need.
func (p *player) send(ctx context.Context, w write, order *v1alpha1.WorkOrder, podUIDs map[string]string) (reply *metav1.PartialObjectMetadata, err error) {
	path, body := p.fit(w, order, podUIDs)
	request, err := http.NewRequestWithContext(ctx, w.Method, p.host+path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	request.Header.Set("Content-Type", w.ContentType)
	request.Header.Set("Accept", "application/json")
	response, err := p.transport.RoundTrip(request)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, response.Body.Close()) }()
	content, err := io.ReadAll(response.Body)
	if err != nil {
		return nil, err
	}
	if response.StatusCode != http.StatusOK && response.StatusCode != http.StatusCreated {
		return nil, fmt.Errorf("%s %s: %s: %s", w.Method, path, response.Status, content)
	}
	reply = &metav1.PartialObjectMetadata{}
	return reply, json.Unmarshal(content, reply)
}
