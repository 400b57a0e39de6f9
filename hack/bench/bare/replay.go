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

// Replay writes for each of these orders what the script has, with so many requests under way at the most. The orders
// are new, and nobody else looks after them.
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
	for _, w := range p.writes {
		if w.awaits != "" {
			if err := p.ended.wait(ctx, p.podFor(w.awaits, order)); err != nil {
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

// send sends one write, and reads of the reply what the next ones need.
func (p *player) send(ctx context.Context, w write, order *v1alpha1.WorkOrder, podUIDs map[string]string) (reply *metav1.PartialObjectMetadata, err error) {
	select {
	case p.slots <- struct{}{}:
		defer func() { <-p.slots }()
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
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
