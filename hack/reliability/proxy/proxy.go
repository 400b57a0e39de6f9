package proxy

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
)

// Proxy stands between one operator and the API server.
type Proxy struct {
	target    *url.URL
	upstream  http.RoundTripper
	namespace string
	server    *http.Server
	address   string
	watches   watches

	mu     sync.Mutex
	script Script
	calls  []*Call
	keep   bool
	writes int
	nth    map[string]int
	// underWay are the calls that have not been answered, but for watches.
	underWay int
	// lists are the requests by which the operator last asked for all of a resource.
	lists map[string]*url.URL
	// answers are the lists that are to be served instead of the true ones.
	answers map[string][]byte
}

// New makes a proxy before the API server of that configuration and serves it on the loopback interface, until Close.
// With a namespace, lists and watches of everything become those of that namespace.
func New(config *rest.Config, namespace string) (*Proxy, error) {
	upstream, err := rest.TransportFor(config)
	if err != nil {
		return nil, fmt.Errorf("connect to the API server: %w", err)
	}
	target, _, err := rest.DefaultServerUrlFor(config)
	if err != nil {
		return nil, fmt.Errorf("read the API server's address: %w", err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("listen: %w", err)
	}
	p := &Proxy{
		target: target, upstream: upstream, namespace: namespace, address: listener.Addr().String(),
		nth: map[string]int{}, lists: map[string]*url.URL{}, answers: map[string][]byte{},
	}
	silence := log.New(io.Discard, "", 0) // What goes wrong here goes wrong on purpose.
	p.server = &http.Server{ErrorLog: silence, ReadHeaderTimeout: time.Minute, Handler: &httputil.ReverseProxy{
		Rewrite:       p.rewrite,
		Transport:     p,
		FlushInterval: -1,
		ErrorLog:      silence,
		ErrorHandler:  func(http.ResponseWriter, *http.Request, error) { panic(http.ErrAbortHandler) },
	}}
	go func() { _ = p.server.Serve(listener) }() // Ends with Close.
	return p, nil
}

// Close ends it.
func (p *Proxy) Close() error { return p.server.Close() }

// Kubeconfig is a configuration file for the operator.
func (p *Proxy) Kubeconfig() ([]byte, error) {
	config := clientcmdapi.NewConfig()
	config.Clusters["proxy"] = &clientcmdapi.Cluster{Server: "http://" + p.address}
	config.Contexts["proxy"] = &clientcmdapi.Context{Cluster: "proxy"}
	config.CurrentContext = "proxy"
	return clientcmd.Write(*config)
}

// Begin forgets all calls, starts to count anew, and lets script decide from now on; nil lets everything pass.
func (p *Proxy) Begin(script Script) {
	p.watches.mu.Lock()
	p.watches.missing, p.watches.late = 0, 0
	p.watches.mu.Unlock()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.script, p.calls, p.writes, p.nth = script, nil, 0, map[string]int{}
}

// Run lets script decide from now on, and counts on.
func (p *Proxy) Run(script Script) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.script = script
}

// Keep keeps what is sent with each write from now on.
func (p *Proxy) Keep() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.keep = true
}

// Calls are the calls since the counting began, in the order in which they came.
func (p *Proxy) Calls() []Call {
	p.mu.Lock()
	defer p.mu.Unlock()
	calls := make([]Call, 0, len(p.calls))
	for _, call := range p.calls {
		calls = append(calls, *call)
	}
	return calls
}

// Count is how many calls of a class there were since the counting began.
func (p *Proxy) Count(class Class) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(slices.DeleteFunc(slices.Clone(p.calls), func(c *Call) bool { return c.Class != class }))
}

// Snapshot is a list of a resource, in the words in which the operator last asked for it, for Replay.
func (p *Proxy) Snapshot(ctx context.Context, resource string) ([]byte, error) {
	p.mu.Lock()
	from := p.lists[resource]
	p.mu.Unlock()
	if from == nil {
		return nil, fmt.Errorf("the operator never asked for all %s", resource)
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, from.String(), nil)
	if err != nil {
		return nil, err
	}
	request.Header.Set("Accept", "application/json")
	response, err := p.upstream.RoundTrip(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("list %s: %s", resource, response.Status)
	}
	return io.ReadAll(response.Body)
}

// Replay answers lists of a resource with an earlier one, until it is called again with nil.
func (p *Proxy) Replay(resource string, list []byte) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.answers[resource] = list
}

// rewrite addresses a request to the API server.
func (p *Proxy) rewrite(r *httputil.ProxyRequest) {
	r.SetURL(p.target)
	r.Out.Header.Del("Accept-Encoding")
	if r.Out.Method != http.MethodGet {
		return
	}
	r.Out.Header.Set("Accept", "application/json")
	call := parse(r.Out)
	everywhere := call.Name == "" && call.Namespace == "" && call.Class != Lease && !clusterScoped[call.Resource]
	if p.namespace != "" && call.Resource != "" && everywhere {
		base, resource := splitLast(r.Out.URL.Path)
		r.Out.URL.Path = base + "/namespaces/" + p.namespace + "/" + resource
	}
}

// clusterScoped are resources that are in no namespace, of those that an operator asks for.
var clusterScoped = map[string]bool{"validatingwebhookconfigurations": true}

func splitLast(path string) (before, last string) {
	i := strings.LastIndexByte(path, '/')
	return path[:i], path[i+1:]
}

// Busy says whether the operator waits for an answer, but for what watches have to say.
func (p *Proxy) Busy() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.underWay > 0
}

// begin notes that a call is under way, until the function that it returns is called.
func (p *Proxy) begin(call *Call) (end func()) {
	if call.Class == Watch {
		return func() {}
	}
	add := func(n int) {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.underWay += n
	}
	add(1)
	return func() { add(-1) }
}

// RoundTrip passes a request on, or has happen to it what the script says.
func (p *Proxy) RoundTrip(request *http.Request) (*http.Response, error) {
	call, fault, old := p.note(request)
	if err := p.hold(call, request); err != nil {
		return nil, err
	}
	defer p.begin(call)()
	pause(request.Context(), fault.Delay)
	if fault.Before != nil {
		fault.Before()
	}
	response, err := p.answer(request, call, fault, old)
	if err != nil {
		return nil, err
	}
	switch {
	case response == nil:
	case call.Class == Watch && response.StatusCode == http.StatusOK:
		response.Body = p.watches.open(request.Context(), call.Resource, response.Body)
	case fault.After != nil, fault.Drop, fault.Reply != nil:
		if err := swallow(response); err != nil {
			return nil, err
		}
	}
	if fault.After != nil {
		fault.After()
	}
	switch {
	case fault.Drop:
		return nil, errInjected // Ends in ErrorHandler, which closes the connection.
	case fault.Reply != nil:
		return reply(request, int(fault.Reply.ErrStatus.Code), encoded(fault.Reply)), nil
	}
	return response, nil
}

// answer is what the API server answers, or would have some time ago; nil if it is not to be asked.
func (p *Proxy) answer(request *http.Request, call *Call, fault Fault, old []byte) (*http.Response, error) {
	switch {
	case fault.Withhold, call.Class == Watch && (fault.Drop || fault.Reply != nil): // A watch has no end to wait for.
		return nil, nil
	case old != nil:
		return reply(request, http.StatusOK, old), nil
	}
	return p.upstream.RoundTrip(request)
}

// note counts a call, and says what is to happen to it.
func (p *Proxy) note(request *http.Request) (call *Call, fault Fault, old []byte) {
	call = parse(request)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.calls = append(p.calls, call)
	p.nth[call.Description()]++
	call.Nth = p.nth[call.Description()]
	switch {
	case call.Class == Write:
		p.writes++
		call.Number = p.writes
	case call.Verb == "list", call.Class == Watch:
		from := *request.URL
		query := from.Query()
		from.RawQuery = url.Values{"labelSelector": query["labelSelector"], "fieldSelector": query["fieldSelector"]}.Encode()
		p.lists[call.Resource] = &from
		if call.Verb == "list" {
			old = p.answers[call.Resource]
		}
	}
	if p.script != nil {
		fault = p.script(call)
		call.Fault = fault.Name
	}
	return call, fault, old
}

// hold keeps what a write sends, if that is wanted.
func (p *Proxy) hold(call *Call, request *http.Request) error {
	p.mu.Lock()
	keep := p.keep
	p.mu.Unlock()
	if !keep || call.Class != Write || request.Body == nil {
		return nil
	}
	body, err := io.ReadAll(request.Body)
	if err != nil {
		return err
	}
	request.Body = io.NopCloser(bytes.NewReader(body))
	p.mu.Lock()
	defer p.mu.Unlock()
	call.Sent = &Sent{Method: request.Method, Path: request.URL.Path, ContentType: request.Header.Get("Content-Type"), Body: body}
	return nil
}

// swallow reads a reply to its end, so that it is certain that the API server is done, and keeps it to be passed on.
func swallow(response *http.Response) error {
	defer response.Body.Close()
	content, err := io.ReadAll(response.Body)
	response.Body = io.NopCloser(bytes.NewReader(content))
	return err
}

func reply(request *http.Request, code int, content []byte) *http.Response {
	header := http.Header{"Content-Type": {"application/json"}}
	if code == http.StatusTooManyRequests {
		header.Set("Retry-After", strconv.Itoa(1)) // As the API server's priority and fairness does.
	}
	return &http.Response{
		Status: http.StatusText(code), StatusCode: code, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: header, ContentLength: int64(len(content)), Request: request, Body: io.NopCloser(bytes.NewReader(content)),
	}
}
