package node

import (
	"encoding/json"
	"net"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"workorders.dev/operator/hack/cluster/internal/host"
)

var layout = Layout{State: "/checkout/.cluster"}

// listening finds flags that say where to listen.
var listening = regexp.MustCompile(`^--(bind-address|listen-[a-z-]+-urls|advertise-address)=(.*)$`)

func TestNothingListensOutsideTheMachine(t *testing.T) {
	allowed := map[string]bool{"127.0.0.1": true, host.NodeAddress: true}
	check := func(where, address string) {
		t.Helper()
		if at, err := url.Parse(address); err == nil && at.Host != "" {
			address = at.Host
		}
		if hostname, _, err := net.SplitHostPort(address); err == nil {
			address = hostname
		}
		if !allowed[address] {
			t.Errorf("%s listens on %q", where, address)
		}
	}
	for _, c := range components {
		found := 0
		for _, arg := range c.args(layout) {
			if parts := listening.FindStringSubmatch(arg); parts != nil {
				found++
				check(c.name+" "+parts[1], parts[2])
			}
		}
		configured := c.name == "containerd" || c.name == "kubelet" || c.name == "kube-proxy"
		if found == 0 && !configured {
			t.Errorf("%s is not told where to listen, so it would listen everywhere", c.name)
		}
	}
	kubelet, proxy := kubeletConfig(layout), proxyConfig(layout)
	check("kubelet", kubelet["address"].(string))
	check("kubelet's health", kubelet["healthzBindAddress"].(string))
	check("kube-proxy's health", proxy["healthzBindAddress"].(string))
	check("kube-proxy's metrics", proxy["metricsBindAddress"].(string))
	if kubelet["readOnlyPort"] != 0 {
		t.Error("the kubelet has a port that asks nobody who they are")
	}
}

func TestPortsAreDistinctAndNeverHandedOutByTheKernel(t *testing.T) {
	seen := map[int]string{}
	for what, port := range ports {
		if other, taken := seen[port]; taken {
			t.Errorf("%s and %s share port %d", what, other, port)
		}
		seen[port] = what
		if port >= 32768 || port < 1024 {
			t.Errorf("%s: port %d may be taken by anybody", what, port)
		}
	}
}

func TestFilesStayInTheStateFolder(t *testing.T) {
	for _, c := range components {
		for _, arg := range c.args(layout) {
			_, value, _ := strings.Cut(arg, "=")
			if strings.HasPrefix(value, "/") && !strings.HasPrefix(value, layout.State+"/") {
				t.Errorf("%s: %s is outside the state folder", c.name, arg)
			}
		}
	}
}

func TestAddressesLieInTheGuardedRange(t *testing.T) {
	_, guarded, err := net.ParseCIDR("10.213.0.0/16")
	if err != nil {
		t.Fatal(err)
	}
	for _, address := range []string{host.NodeAddress, host.PodGateway, host.KubernetesService} {
		if !guarded.Contains(net.ParseIP(address)) {
			t.Errorf("%s is not in %s", address, guarded)
		}
	}
	_, pods, _ := net.ParseCIDR(host.PodRange)
	if pods.Contains(net.ParseIP(host.NodeAddress)) {
		t.Error("a Pod could be given the node's address")
	}
	if ones, bits := pods.Mask.Size(); 1<<(bits-ones) < maxPods*2 {
		t.Errorf("%s is too small for %d Pods and those that are just ending", pods, maxPods)
	}
}

func TestConfigsAreJSON(t *testing.T) {
	for name, config := range map[string]object{"kubelet": kubeletConfig(layout), "kube-proxy": proxyConfig(layout), "network": networkConfig(layout)} {
		if _, err := json.Marshal(config); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestNameServersThatOnlyTheMachineReachesAreLeftOut(t *testing.T) {
	got := parseNameServers("# by somebody\nnameserver 127.0.0.53\nnameserver 198.51.100.1\nnameserver ::1\noptions edns0\nnameserver 198.51.100.2\n")
	if strings.Join(got, " ") != "198.51.100.1 198.51.100.2" {
		t.Errorf("got %v", got)
	}
}
