package controllers

import (
	"maps"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/resourceversion"

	"workorders.dev/operator/controllers/plan"
	"workorders.dev/operator/controllers/steppod"
)

// memory is what this process remembers of orders between turns. Losing it, as a restart does, costs a few requests
// and nothing else.
type memory struct {
	mu     sync.Mutex
	orders map[types.NamespacedName]*remembered
}

type remembered struct {
	uid types.UID
	// refused are the attempts whose Pod the API server refuses.
	refused map[steppod.Attempt]plan.Refusal
	// writes are this process's newest writes to the order's Pods that the cache has not shown yet, by name.
	writes map[string]podWrite
	// workspace: its workspace has been made.
	workspace bool
	// unwritten counts the tries, in a row, at an event that could not be written.
	unwritten int
}

// podWrite is the version of a Pod that a write made, or created.
type podWrite struct {
	version string
	created bool
	at      time.Time
}

// writeMemory is how long a write is remembered. A Pod that does not show by then was removed again by somebody.
const writeMemory = 5 * time.Second

// of is what is remembered of an order. An order of another uid under the same name is another order.
func (m *memory) of(key types.NamespacedName, uid types.UID) *remembered {
	if m.orders == nil {
		m.orders = map[types.NamespacedName]*remembered{}
	}
	known := m.orders[key]
	if known == nil || known.uid != uid {
		known = &remembered{uid: uid, refused: map[steppod.Attempt]plan.Refusal{}, writes: map[string]podWrite{}}
		m.orders[key] = known
	}
	return known
}

func (m *memory) forget(key types.NamespacedName) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.orders, key)
}

// refusals are the attempts of an order whose Pod was refused.
func (m *memory) refusals(key types.NamespacedName, uid types.UID) map[steppod.Attempt]plan.Refusal {
	m.mu.Lock()
	defer m.mu.Unlock()
	if known := m.orders[key]; known != nil && known.uid == uid {
		return maps.Clone(known.refused)
	}
	return nil
}

// Pauses between tries at a Pod that is refused: a second, doubled each time, half a minute at most.
const (
	firstRefusalPause   = time.Second
	longestRefusalPause = 30 * time.Second
)

// refuse remembers that a Pod was refused, and when to try again.
func (m *memory) refuse(key types.NamespacedName, uid types.UID, attempt steppod.Attempt, refused plan.Refusal, now time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	known := m.of(key, uid)
	if before := known.refused[attempt]; before.Seal == refused.Seal {
		refused.Attempts = before.Attempts
	}
	refused.RetryAt = now.Add(min(firstRefusalPause<<min(refused.Attempts, 10), longestRefusalPause))
	refused.Attempts++
	known.refused[attempt] = refused
}

// provided forgets a refusal: the Pod is there.
func (m *memory) provided(key types.NamespacedName, uid types.UID, attempt steppod.Attempt) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if known := m.orders[key]; known != nil && known.uid == uid {
		delete(known.refused, attempt)
	}
}

// wrote remembers a write to one of the order's Pods.
func (m *memory) wrote(key types.NamespacedName, uid types.UID, pod *corev1.Pod, created bool, now time.Time) {
	if pod == nil || pod.ResourceVersion == "" {
		return // It was gone already.
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.of(key, uid).writes[pod.Name] = podWrite{version: pod.ResourceVersion, created: created, at: now}
}

// behind says whether the order's Pods, as the cache shows them, are older than this process's own writes to them. It
// spares turns that would do again what was just done. A Pod that is not there any more has outrun every write but its
// own creation.
func (m *memory) behind(key types.NamespacedName, uid types.UID, pods []corev1.Pod, now time.Time) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	known := m.orders[key]
	if known != nil && known.uid != uid {
		delete(m.orders, key) // Nobody would expect its Pods any more.
		return false
	}
	if known == nil || len(known.writes) == 0 {
		return false
	}
	shown := make(map[string]string, len(pods))
	for i := range pods {
		shown[pods[i].Name] = pods[i].ResourceVersion
	}
	maps.DeleteFunc(known.writes, func(name string, write podWrite) bool {
		version, there := shown[name]
		switch {
		case now.Sub(write.at) >= writeMemory:
			return true
		case !there:
			return !write.created
		}
		order, err := resourceversion.CompareResourceVersion(version, write.version)
		return err != nil || order >= 0
	})
	return len(known.writes) > 0
}

// expects says whether there are writes to the order's Pods that no turn has seen in the cache yet.
func (m *memory) expects(key types.NamespacedName) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	known := m.orders[key]
	return known != nil && len(known.writes) > 0
}

// unwritten counts a try at an event that could not be written, and says how many there were in a row.
func (m *memory) unwritten(key types.NamespacedName, uid types.UID) int {
	m.mu.Lock()
	defer m.mu.Unlock()
	known := m.of(key, uid)
	known.unwritten++
	return known.unwritten
}

// written ends that row.
func (m *memory) written(key types.NamespacedName, uid types.UID) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if known := m.orders[key]; known != nil && known.uid == uid {
		known.unwritten = 0
	}
}

// hasWorkspace says whether the order's workspace is known to exist.
func (m *memory) hasWorkspace(key types.NamespacedName, uid types.UID) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	known := m.orders[key]
	return known != nil && known.uid == uid && known.workspace
}

// madeWorkspace remembers that it does.
func (m *memory) madeWorkspace(key types.NamespacedName, uid types.UID) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.of(key, uid).workspace = true
}
