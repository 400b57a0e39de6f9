package proxy

import (
	"fmt"
	"net/http"
	"strings"
	"time"
)

// Class is what a request is for.
type Class int

// The classes.
const (
	// Other is discovery, and whatever else is no business of a test.
	Other Class = iota
	// Write changes something that counts.
	Write
	// Read gets or lists objects.
	Read
	// Watch opens a watch.
	Watch
	// Hint writes a Kubernetes Event, of which nobody promises that it arrives.
	Hint
	// Lease is part of a leader election.
	Lease
)

// Call is one request of the operator.
type Call struct {
	Class Class
	// Verb and Resource say what is asked: "patch", "workorders/status".
	Verb, Resource string
	// Namespace and Name say of what. A request that creates something has no name.
	Namespace, Name string
	// Number counts the writes, from 1; 0 for any other call.
	Number int
	// Nth counts the calls of this verb and resource, from 1.
	Nth int
	// Bytes is the size of its body.
	Bytes int64
	// At is when it came.
	At time.Time
	// Fault is the name of what was done to it; empty if nothing was.
	Fault string
	// Sent is what a write sends, if the proxy keeps that.
	Sent *Sent
}

// Sent is what is sent with a write, for somebody who wants to send the like.
type Sent struct {
	Method, Path, ContentType string
	Body                      []byte
}

// Description is what is asked, whatever the object: "patch workorders/status".
func (c *Call) Description() string { return c.Verb + " " + c.Resource }

// String tells the call from all others since the counting began: "patch workorders/status#7".
func (c *Call) String() string { return fmt.Sprintf("%s#%d", c.Description(), c.Nth) }

// verbs are the verbs of the methods that change something.
var verbs = map[string]string{http.MethodPost: "create", http.MethodPut: "update", http.MethodPatch: "patch", http.MethodDelete: "delete"}

// parse reads a request. It knows the paths of the Kubernetes API: /api/v1 or /apis/GROUP/VERSION, then maybe
// namespaces/NAMESPACE, then RESOURCE, NAME and SUBRESOURCE as far as they go.
func parse(r *http.Request) *Call {
	call := &Call{At: time.Now(), Bytes: max(0, r.ContentLength)}
	parts := strings.Split(strings.Trim(r.URL.Path, "/"), "/")
	group := ""
	switch {
	case parts[0] == "api" && len(parts) > 2:
		parts = parts[2:]
	case parts[0] == "apis" && len(parts) > 3:
		group, parts = parts[1], parts[3:]
	default:
		return call
	}
	if parts[0] == "namespaces" && len(parts) > 2 {
		call.Namespace, parts = parts[1], parts[2:]
	}
	call.Resource = parts[0]
	if len(parts) > 1 {
		call.Name = parts[1]
	}
	if len(parts) > 2 {
		call.Resource += "/" + parts[2]
	}
	call.Verb, call.Class = purpose(r, call, group)
	return call
}

func purpose(r *http.Request, call *Call, group string) (string, Class) {
	verb := verbs[r.Method]
	switch {
	case group == "coordination.k8s.io":
		return verb, Lease
	case call.Resource == "events":
		return verb, Hint
	case verb != "":
		return verb, Write
	case call.Name != "":
		return "get", Read
	case r.URL.Query().Get("watch") == "true" || r.URL.Query().Get("watch") == "1":
		return "watch", Watch
	}
	return "list", Read
}
