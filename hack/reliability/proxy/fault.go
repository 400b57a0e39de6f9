package proxy

import (
	"context"
	"encoding/json"
	"net/http"
	"strconv"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// Script says what happens to a call. It is asked once for each, and may be asked by several at the same time.
type Script func(call *Call) Fault

// Fault is what happens to a call. The zero Fault is none.
type Fault struct {
	// Name says what it is, for people.
	Name string
	// Delay is how long the call waits before anything else.
	Delay time.Duration
	// Before is run before the call is passed on.
	Before func()
	// Withhold keeps the call from the API server.
	Withhold bool
	// After is run when the API server has answered, and before the operator has heard of it.
	After func()
	// Reply is told to the operator instead of the truth; nil for the truth.
	Reply *apierrors.StatusError
	// Drop closes the connection instead of any reply.
	Drop bool
}

// Refuse closes the connection; the API server never hears of the call.
func Refuse() Fault { return Fault{Name: "refuse", Withhold: true, Drop: true} }

// LoseReply has the call done, and closes the connection instead of the reply.
func LoseReply() Fault { return Fault{Name: "lose-reply", Drop: true} }

// KillBefore runs kill, which ends the operator; the API server never hears of the call.
func KillBefore(kill func()) Fault {
	return Fault{Name: "kill-before", Before: kill, Withhold: true, Drop: true}
}

// KillAfter has the call done, then runs kill, which ends the operator before it hears the reply.
func KillAfter(kill func()) Fault { return Fault{Name: "kill-after", After: kill, Drop: true} }

// Slow has the call wait before anything else; one whose sender gives up meanwhile is not done.
func Slow(by time.Duration) Fault { return Fault{Name: "slow", Delay: by} }

// Answer tells the operator an error with that code; the API server never hears of the call.
func Answer(code int) Fault {
	return Fault{Name: "answer-" + strconv.Itoa(code), Withhold: true, Reply: failure(code)}
}

// Disown has the call done, and tells the operator an error with that code.
func Disown(code int) Fault {
	return Fault{Name: "disown-" + strconv.Itoa(code), Reply: failure(code)}
}

// At is the script that has one thing happen, to the nth call of a description.
func At(description string, nth int, fault Fault) Script {
	return func(call *Call) Fault {
		if call.Description() == description && call.Nth == nth {
			return fault
		}
		return Fault{}
	}
}

// failure is the error that an API server answers with that code.
func failure(code int) *apierrors.StatusError {
	resource := schema.GroupResource{Resource: "objects"}
	switch code {
	case http.StatusConflict:
		return apierrors.NewConflict(resource, "object", errInjected)
	case http.StatusGone:
		return apierrors.NewResourceExpired(errInjected.Error())
	case http.StatusTooManyRequests:
		return apierrors.NewTooManyRequests(errInjected.Error(), 1)
	case http.StatusGatewayTimeout:
		return apierrors.NewTimeoutError(errInjected.Error(), 0)
	}
	return apierrors.NewGenericServerResponse(code, "", resource, "", errInjected.Error(), 0, true)
}

// injected is the error of everything that only this package does.
type injected struct{}

func (injected) Error() string { return "injected by the fault proxy" }

var errInjected = injected{}

// encoded is an error as the API server sends it.
func encoded(failure *apierrors.StatusError) []byte {
	status := failure.Status()
	status.TypeMeta = metav1.TypeMeta{Kind: "Status", APIVersion: "v1"}
	content, err := json.Marshal(status)
	if err != nil {
		panic(err) // Plain strings and numbers: cannot fail.
	}
	return content
}

// pause waits, unless the context ends before.
func pause(ctx context.Context, delay time.Duration) {
	if delay <= 0 {
		return
	}
	timer := time.NewTimer(delay)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}
