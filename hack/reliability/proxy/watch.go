package proxy

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
)

// Sieve says of a watch event, the nth of that resource from 1 and as JSON, whether it is to be lost.
type Sieve func(resource string, nth int, event []byte) (lost bool)

// watches are the operator's watches that are open.
type watches struct {
	mu     sync.Mutex
	live   map[*stream]bool
	frozen map[string]chan struct{} // Closed when it thaws.
	seen   map[string]int
	// missing is how many of them were lost, and how often some may have been lost or late: a watch was cut, or frozen.
	missing int
	// late is how many were told by watches that began while they were frozen.
	late  int
	sieve Sieve
}

// Freeze holds back everything that watches of a resource have to say, those that are opened later too, until Thaw.
func (p *Proxy) Freeze(resource string) {
	w := &p.watches
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.frozen[resource] == nil {
		if w.frozen == nil {
			w.frozen = map[string]chan struct{}{}
		}
		w.frozen[resource] = make(chan struct{})
		w.missing++
	}
}

// Thaw lets it through.
func (p *Proxy) Thaw(resource string) {
	w := &p.watches
	w.mu.Lock()
	defer w.mu.Unlock()
	if thawed := w.frozen[resource]; thawed != nil {
		close(thawed)
		delete(w.frozen, resource)
	}
}

// Frozen says whether any resource's watches are held back.
func (p *Proxy) Frozen() bool {
	p.watches.mu.Lock()
	defer p.watches.mu.Unlock()
	return len(p.watches.frozen) > 0
}

// Cut ends the watches of a resource, or of all if it is empty. With gone, they are told first that the version they
// are at is too old to go on from, after which the operator must list anew.
func (p *Proxy) Cut(resource string, gone bool) {
	w := &p.watches
	w.mu.Lock()
	defer w.mu.Unlock()
	for s := range w.live {
		if resource == "" || s.resource == resource {
			w.missing++
			s.end(gone)
		}
	}
}

// Sift has sieve decide about every watch event, counted anew from 1; nil lets all through.
func (p *Proxy) Sift(sieve Sieve) {
	w := &p.watches
	w.mu.Lock()
	defer w.mu.Unlock()
	w.sieve, w.seen = sieve, map[string]int{}
}

// Lost is how many watch events the sieve has lost, and how often watches were cut or frozen with maybe one under way, since
// the counting began.
func (p *Proxy) Lost() int {
	p.watches.mu.Lock()
	defer p.watches.mu.Unlock()
	return p.watches.missing
}

// Late is how many events were told by watches that were opened while their resource was frozen, since the counting began. Who begins
// with an old list is told by these, one at a time, of what is history.
func (p *Proxy) Late() int {
	p.watches.mu.Lock()
	defer p.watches.mu.Unlock()
	return p.watches.late
}

// stream is one watch on its way to the operator, event by event.
type stream struct {
	ctx      context.Context
	all      *watches
	resource string
	body     io.ReadCloser
	lines    *bufio.Reader
	rest     []byte
	// past says that it was opened while its resource was frozen.
	past bool

	once sync.Once
	// cut is closed when the watch is to end; gone is set before that.
	cut  chan struct{}
	gone bool
}

func (w *watches) open(ctx context.Context, resource string, body io.ReadCloser) io.ReadCloser {
	s := &stream{ctx: ctx, all: w, resource: resource, body: body, lines: bufio.NewReader(body), cut: make(chan struct{})}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.live == nil {
		w.live = map[*stream]bool{}
	}
	w.live[s], s.past = true, w.frozen[resource] != nil
	return s
}

// end ends the watch, also one that waits for the API server's next word.
func (s *stream) end(gone bool) {
	s.once.Do(func() {
		s.gone = gone
		close(s.cut)
		_ = s.body.Close()
	})
}

// Close is called when the operator hangs up, or the watch has ended.
func (s *stream) Close() error {
	s.end(false)
	s.all.mu.Lock()
	defer s.all.mu.Unlock()
	delete(s.all.live, s)
	return nil
}

func (s *stream) Read(p []byte) (int, error) {
	if len(s.rest) == 0 {
		event, err := s.next()
		if err != nil {
			return 0, err
		}
		s.rest = event
	}
	n := copy(p, s.rest)
	s.rest = s.rest[n:]
	return n, nil
}

// next is the next event that gets through.
func (s *stream) next() ([]byte, error) {
	for {
		line, err := s.lines.ReadBytes('\n')
		if err == nil && !s.all.lost(s.resource, line) {
			err = s.thawed()
			if err == nil {
				s.count()
				return line, nil
			}
		}
		if err == nil {
			continue
		}
		select {
		case <-s.cut:
			return s.farewell()
		default:
			return nil, err
		}
	}
}

// farewell is the last word of a watch that was cut.
func (s *stream) farewell() ([]byte, error) {
	if !s.gone {
		return nil, io.EOF
	}
	s.gone = false
	return fmt.Appendf(nil, "{\"type\":\"ERROR\",\"object\":%s}\n", encoded(failure(http.StatusGone))), nil
}

var errCut = errors.New("cut")

// thawed waits until the resource is not frozen.
func (s *stream) thawed() error {
	s.all.mu.Lock()
	frozen := s.all.frozen[s.resource]
	s.all.mu.Unlock()
	if frozen == nil {
		return nil
	}
	select {
	case <-frozen:
		return nil
	case <-s.cut:
		return errCut
	case <-s.ctx.Done():
		return s.ctx.Err()
	}
}

// count counts an event that gets through, if it may be history.
func (s *stream) count() {
	if !s.past {
		return
	}
	s.all.mu.Lock()
	defer s.all.mu.Unlock()
	s.all.late++
}

// lost counts an event, and asks the sieve. Bookmarks tell of no object, and are let through.
func (w *watches) lost(resource string, event []byte) bool {
	if bytes.HasPrefix(event, []byte(`{"type":"BOOKMARK"`)) {
		return false
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.sieve == nil {
		return false
	}
	w.seen[resource]++
	lost := w.sieve(resource, w.seen[resource], event)
	if lost {
		w.missing++
	}
	return lost
}
