package host

import (
	"strings"
	"testing"
)

const (
	version1 = `30 25 0:26 / /sys/fs/cgroup rw shared:9 - tmpfs tmpfs rw,mode=755
31 30 0:27 / /sys/fs/cgroup/cpu,cpuacct rw shared:10 - cgroup cgroup rw,cpu,cpuacct
32 30 0:28 / /sys/fs/cgroup/memory rw shared:11 - cgroup cgroup rw,memory
`
	version2  = "31 30 0:27 / /sys/fs/cgroup rw shared:10 - cgroup2 cgroup2 rw\n"
	hybrid    = version1 + "33 30 0:29 / /sys/fs/cgroup/unified rw shared:12 - cgroup2 cgroup2 rw\n"
	elsewhere = "31 30 0:27 / /srv/cgroup rw - cgroup2 cgroup2 rw\n"
)

func TestControlGroupHierarchies(t *testing.T) {
	for name, c := range map[string]struct {
		mountInfo, mounted string
		unified            bool
	}{
		"version 1":      {version1, "/sys/fs/cgroup/cpu,cpuacct /sys/fs/cgroup/memory", false},
		"version 2":      {version2, "/sys/fs/cgroup", true},
		"both":           {hybrid, "/sys/fs/cgroup/cpu,cpuacct /sys/fs/cgroup/memory /sys/fs/cgroup/unified", false},
		"somewhere else": {elsewhere, "", false},
		"none":           {"", "", false},
	} {
		mounted, unified := parseHierarchies(c.mountInfo)
		if strings.Join(mounted, " ") != c.mounted || unified != c.unified {
			t.Errorf("%s: got %v, %v", name, mounted, unified)
		}
	}
}

func TestMountPointsAreUnescaped(t *testing.T) {
	for escaped, want := range map[string]string{`/a\040b`: "/a b", `/a\134b`: `/a\b`, "/plain": "/plain", `/end\04`: `/end\04`} {
		if got := unescape(escaped); got != want {
			t.Errorf("%s: got %q, want %q", escaped, got, want)
		}
	}
}

func TestOnlyWhatIsBelowAFolderIsInIt(t *testing.T) {
	for path, want := range map[string]bool{"/a/b": true, "/a/b/c": true, "/a/bc": false, "/a": false} {
		if got := within(path, "/a/b"); got != want {
			t.Errorf("%s: got %v", path, got)
		}
	}
}

func TestRulesGuardTheWholeRange(t *testing.T) {
	got := rules(16443)
	for _, want := range []string{
		`iifname != { "lo", "workorders0" } iifname != "veth*" ip daddr 10.213.0.0/16 ct state new drop`,
		"ip daddr 127.0.0.1 tcp dport 16443 dnat to 10.213.255.1",
		"ip saddr 10.213.0.0/22 ip daddr != 10.213.0.0/16 masquerade",
		"delete table ip workorders",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("not there: %s", want)
		}
	}
}
