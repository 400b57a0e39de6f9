package proxy

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"k8s.io/client-go/rest"
)

// upstream is an API server that counts what reaches it, answers with the path, and tells watches whatever is sent to
// events, until that is closed.
type upstream struct {
	reached atomic.Int32
	events  chan string
}

func (u *upstream) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	u.reached.Add(1)
	if r.URL.Query().Get("watch") == "" {
		fmt.Fprint(w, r.URL.Path)
		return
	}
	w.(http.Flusher).Flush()
	for {
		select {
		case event, more := <-u.events:
			if !more {
				return
			}
			fmt.Fprintln(w, event)
			w.(http.Flusher).Flush()
		case <-r.Context().Done():
			return
		}
	}
}

func serve(t *testing.T, namespace string) (*Proxy, *upstream) {
	t.Helper()
	u := &upstream{events: make(chan string, 10)}
	server := httptest.NewServer(u)
	t.Cleanup(server.Close)
	p, err := New(&rest.Config{Host: server.URL}, namespace)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Close() })
	return p, u
}

// ask sends a request through the proxy, and returns its code and body; 0 if the connection was closed instead.
func ask(t *testing.T, p *Proxy, method, path string) (int, string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, "http://"+p.address+path, strings.NewReader("{}"))
	if err != nil {
		t.Fatal(err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return 0, ""
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, string(body)
}

const (
	orders = "/apis/workorders.dev/v1alpha1"
	status = orders + "/namespaces/ns/workorders/one/status"
	pods   = "/api/v1/namespaces/ns/pods"
)

func TestCallsAreToldApart(t *testing.T) {
	p, _ := serve(t, "")
	for _, request := range []string{
		"POST " + orders + "/namespaces/ns/progressevents", "PATCH " + status, "POST " + pods, "PATCH " + pods + "/a", "DELETE " + pods + "/a",
		"PATCH " + status, "GET " + pods + "/a", "GET /api/v1/pods?limit=500", "POST /apis/events.k8s.io/v1/namespaces/ns/events",
		"PUT /apis/coordination.k8s.io/v1/namespaces/ns/leases/l", "GET /apis", "GET /api/v1",
	} {
		method, path, _ := strings.Cut(request, " ")
		ask(t, p, method, path)
	}
	var got []string
	for _, call := range p.Calls() {
		if call.Class != Other {
			got = append(got, fmt.Sprintf("%d %d %s %s/%s", call.Class, call.Number, call.String(), call.Namespace, call.Name))
		}
	}
	if bytes := p.Calls()[0].Bytes; bytes != int64(len("{}")) {
		t.Errorf("a request of %d bytes", bytes)
	}
	want := []string{
		"1 1 create progressevents#1 ns/", "1 2 patch workorders/status#1 ns/one", "1 3 create pods#1 ns/", "1 4 patch pods#1 ns/a",
		"1 5 delete pods#1 ns/a", "1 6 patch workorders/status#2 ns/one", "2 0 get pods#1 ns/a", "2 0 list pods#1 /", "4 0 create events#1 ns/",
		"5 0 update leases#1 ns/l",
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if p.Count(Write) != 6 {
		t.Errorf("%d writes, want 6", p.Count(Write))
	}
	p.Begin(nil)
	if len(p.Calls()) != 0 {
		t.Error("Begin must forget the calls before")
	}
}

func TestWhatIsSentIsKeptIfThatIsWanted(t *testing.T) {
	p, u := serve(t, "")
	ask(t, p, http.MethodPost, pods)
	p.Keep()
	ask(t, p, http.MethodPost, pods)
	ask(t, p, http.MethodGet, pods+"/a")
	calls := p.Calls()
	if calls[0].Sent != nil || calls[2].Sent != nil {
		t.Error("what was sent before, and what is read, is not to be kept")
	}
	if sent := calls[1].Sent; sent == nil || sent.Method != http.MethodPost || sent.Path != pods || string(sent.Body) != "{}" {
		t.Errorf("kept: %+v", sent)
	}
	if reached := u.reached.Load(); reached != 3 {
		t.Errorf("%d requests came through, want 3", reached)
	}
}

func TestFaults(t *testing.T) {
	log := make(chan string, 10)
	noting := func(what string) func() { return func() { log <- what } }
	var busy func() bool
	noteBusy := func() { log <- fmt.Sprint(busy()) }
	for name, test := range map[string]struct {
		fault   Fault
		code    int
		reached int32
		log     int
	}{
		"none":        {Fault{}, 200, 1, 0},
		"refuse":      {Refuse(), 0, 0, 0},
		"lose reply":  {LoseReply(), 0, 1, 0},
		"kill before": {KillBefore(noting("killed")), 0, 0, 1},
		"kill after":  {KillAfter(noting("killed")), 0, 1, 1},
		"answer 409":  {Answer(409), 409, 0, 0},
		"answer 410":  {Answer(410), 410, 0, 0},
		"answer 429":  {Answer(429), 429, 0, 0},
		"answer 500":  {Answer(500), 500, 0, 0},
		"disown 504":  {Disown(504), 504, 1, 0},
		"look on":     {Fault{Before: noting("before"), After: noteBusy}, 200, 1, 2},
	} {
		t.Run(name, func(t *testing.T) {
			p, u := serve(t, "")
			busy = p.Busy
			defer func() {
				for len(log) > 0 {
					<-log
				}
			}()
			p.Begin(At("patch workorders/status", 2, test.fault))
			if code, _ := ask(t, p, http.MethodPatch, status); code != 200 || u.reached.Load() != 1 {
				t.Fatalf("the call before must pass, got %d", code)
			}
			code, _ := ask(t, p, http.MethodPatch, status)
			if reached := u.reached.Load() - 1; code != test.code || reached != test.reached || len(log) != test.log {
				t.Errorf("got %d, reached %d times, %d functions run", code, reached, len(log))
			}
			if name == "look on" && (<-log != "before" || <-log != "true" || p.Busy()) {
				t.Error("it must be busy meanwhile, and only then")
			}
			if called := p.Calls()[1].Fault; called != test.fault.Name {
				t.Errorf("the call's fault is called %q, want %q", called, test.fault.Name)
			}
		})
	}
}

func TestTheOperatorIsConfinedToANamespace(t *testing.T) {
	p, _ := serve(t, "mine")
	for path, want := range map[string]string{
		"/api/v1/pods":                         "/api/v1/namespaces/mine/pods",
		orders + "/workorders?limit=5":         orders + "/namespaces/mine/workorders",
		pods + "/a":                            pods + "/a",
		"/apis":                                "/apis",
		"/apis/workorders.dev/v1alpha1":        "/apis/workorders.dev/v1alpha1",
		"/api/v1/namespaces/other/pods?limit=": "/api/v1/namespaces/other/pods",
		"/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations": "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations",
	} {
		if _, got := ask(t, p, http.MethodGet, path); got != want {
			t.Errorf("%s became %s, want %s", path, got, want)
		}
	}
}

func TestAnOldListIsServedAgain(t *testing.T) {
	p, _ := serve(t, "")
	if _, err := p.Snapshot(t.Context(), "pods"); err == nil {
		t.Error("there is nothing to ask before the operator has asked")
	}
	ask(t, p, http.MethodGet, "/api/v1/pods?limit=500&resourceVersion=0")
	old, err := p.Snapshot(t.Context(), "pods")
	if err != nil || string(old) != "/api/v1/pods" {
		t.Fatalf("got %q, %v", old, err)
	}
	p.Replay("pods", []byte("old"))
	if _, got := ask(t, p, http.MethodGet, "/api/v1/pods"); got != "old" {
		t.Errorf("got %q", got)
	}
	p.Replay("pods", nil)
	if _, got := ask(t, p, http.MethodGet, "/api/v1/pods"); got != "/api/v1/pods" {
		t.Errorf("got %q", got)
	}
}

// watching opens a watch of Pods through the proxy; each call of the function it returns is the next line, or the error.
func watching(t *testing.T, p *Proxy) func() string {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+p.address+"/api/v1/pods?watch=true", nil)
	if err != nil {
		t.Fatal(err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = response.Body.Close() })
	lines := bufio.NewReader(response.Body)
	return func() string {
		line, err := lines.ReadString('\n')
		if err != nil {
			return err.Error()
		}
		return strings.TrimSpace(line)
	}
}

func TestAWatchIsFrozenAndThawed(t *testing.T) {
	p, u := serve(t, "")
	next := watching(t, p)
	u.events <- "one"
	if got := next(); got != "one" {
		t.Fatal(got)
	}
	p.Freeze("pods")
	p.Freeze("pods")
	if !p.Frozen() {
		t.Error("a proxy that holds a watch back must say so")
	}
	u.events <- "two"
	heard := make(chan string)
	go func() { heard <- next() }()
	select {
	case got := <-heard:
		t.Fatalf("%s came through a frozen watch", got)
	case <-time.After(50 * time.Millisecond):
	}
	p.Thaw("pods")
	if got := <-heard; got != "two" || p.Frozen() {
		t.Errorf("got %q, frozen: %t", got, p.Frozen())
	}
}

func TestAWatchIsCut(t *testing.T) {
	for gone, want := range map[bool]string{false: "EOF", true: `"code":410`} {
		p, u := serve(t, "")
		next := watching(t, p)
		u.events <- "one"
		next()
		p.Cut("workorders", gone)
		u.events <- "two"
		if got := next(); got != "two" {
			t.Errorf("the watch of another resource was cut: %s", got)
		}
		p.Freeze("pods") // A frozen watch can be cut too.
		p.Cut("pods", gone)
		if got := next(); !strings.Contains(got, want) {
			t.Errorf("got %q, want %q in it", got, want)
		}
		if got := next(); got != "EOF" {
			t.Errorf("got %q after the end", got)
		}
	}
}

func TestAnEventIsLost(t *testing.T) {
	p, u := serve(t, "")
	next := watching(t, p)
	p.Sift(func(resource string, nth int, _ []byte) bool { return resource == "pods" && nth == 2 })
	for _, event := range []string{"one", `{"type":"BOOKMARK"}`, "two", "three"} {
		u.events <- event
	}
	if got := next() + next() + next(); got != `one{"type":"BOOKMARK"}three` {
		t.Error(got)
	}
}
