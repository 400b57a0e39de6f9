package node

import (
	"testing"

	"workorders.dev/operator/hack/cluster/internal/host"
)

func TestWhoseTheNodeIs(t *testing.T) {
	const here, there = "/here/.cluster", "/there/.cluster"
	for name, c := range map[string]struct {
		owner          *host.Owner
		whole, running bool
		want           standing
	}{
		"nobody has taken it":                              {nil, false, false, free},
		"it is ours and runs":                              {&host.Owner{State: here}, true, true, ours},
		"it is ours and has died":                          {&host.Owner{State: here}, true, false, ours},
		"it is ours but our state was deleted under it":    {&host.Owner{State: here}, false, true, abandoned},
		"another checkout runs it":                         {&host.Owner{State: there}, true, true, taken},
		"another checkout's processes have gone":           {&host.Owner{State: there}, true, false, abandoned},
		"another checkout was deleted while it ran":        {&host.Owner{State: there}, false, true, abandoned},
		"another checkout failed before it had made a key": {&host.Owner{State: there}, false, false, abandoned},
	} {
		t.Run(name, func(t *testing.T) {
			if got := standingOf(c.owner, here, c.whole, c.running); got != c.want {
				t.Errorf("got %v, want %v", got, c.want)
			}
		})
	}
}
