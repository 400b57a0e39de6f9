package host

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strings"
	"time"

	"github.com/vishvananda/netlink"
)

// bridgeMAC is fixed and locally administered, so that nothing has to learn another after a restart.
var bridgeMAC = net.HardwareAddr{0x02, 0x77, 0x6f, 0x00, 0x00, 0x01}

// SetUpNetwork gives the node its address, forwards packets for its Pods, and shuts all of it off from whatever
// network the machine is in. Clients on the machine itself find the API server at 127.0.0.1.
func SetUpNetwork(ctx context.Context, apiServerPort int) error {
	if err := addBridge(); err != nil {
		return err
	}
	if err := os.WriteFile("/proc/sys/net/ipv4/ip_forward", []byte("1"), 0o644); err != nil {
		return fmt.Errorf("cannot forward packets for Pods: %w", err)
	}
	return nft(ctx, rules(apiServerPort))
}

// rules are the whole of the node's own table; loading them again replaces it. A machine accepts packets for
// any of its addresses on any interface: hence the guard. 127.0.0.1 cannot be an API server's advertised
// address, and it listens on only one: hence the translation.
func rules(apiServerPort int) string {
	return fmt.Sprintf(`table ip workorders
delete table ip workorders
table ip workorders {
	chain guard {
		type filter hook prerouting priority -150; policy accept;
		iifname != { "lo", "%[1]s" } iifname != "veth*" ip daddr %[2]s ct state new drop
	}
	chain local {
		type nat hook output priority -100; policy accept;
		ip daddr 127.0.0.1 tcp dport %[3]d dnat to %[4]s
	}
	chain outward {
		type nat hook postrouting priority 100; policy accept;
		ip saddr %[5]s ip daddr != %[2]s masquerade
	}
}
`, Bridge, wholeRange, apiServerPort, NodeAddress, PodRange)
}

func addBridge() error {
	attributes := netlink.NewLinkAttrs()
	attributes.Name, attributes.HardwareAddr = Bridge, bridgeMAC
	err := netlink.LinkAdd(&netlink.Bridge{LinkAttrs: attributes})
	if err != nil && !errors.Is(err, os.ErrExist) {
		return fmt.Errorf("cannot add the bridge %s; the kernel's bridge module is needed: %w", Bridge, err)
	}
	link, err := netlink.LinkByName(Bridge)
	if err != nil {
		return err
	}
	address := &netlink.Addr{IPNet: &net.IPNet{IP: net.ParseIP(NodeAddress).To4(), Mask: net.CIDRMask(32, 32)}}
	if err := netlink.AddrReplace(link, address); err != nil {
		return fmt.Errorf("cannot give %s the address %s: %w", Bridge, NodeAddress, err)
	}
	return netlink.LinkSetUp(link)
}

// TearDownNetwork removes the bridge, what is left of Pods' links, and the rules of the node and of kube-proxy.
func TearDownNetwork(ctx context.Context) error {
	links, err := netlink.LinkList()
	if err != nil {
		return err
	}
	var errs []error
	for _, link := range links {
		ours := link.Attrs().Name == Bridge || link.Type() == "veth" && hasAddress(link, PodGateway)
		if !ours {
			continue
		}
		// A Pod's link also goes by itself, with the Pod's namespace.
		if err := netlink.LinkDel(link); err != nil && linkExists(link) {
			errs = append(errs, fmt.Errorf("cannot remove the interface %s: %w", link.Attrs().Name, err))
		}
	}
	if nftPath() != "" {
		for _, table := range []string{"ip workorders", "ip kube-proxy", "ip6 kube-proxy"} {
			errs = append(errs, nft(ctx, "table "+table+"\ndelete table "+table+"\n"))
		}
	}
	return errors.Join(errs...)
}

// OtherProxy is whether a kube-proxy has its rules on this machine. If the node is nobody's, then it is somebody
// else's, and ours would fight with it.
func OtherProxy(ctx context.Context) bool {
	return exec.CommandContext(ctx, nftPath(), "list", "table", "ip", "kube-proxy").Run() == nil
}

// AddressInUse names an interface of somebody else's with an address in our ranges, if there is one.
func AddressInUse() string {
	_, ours, _ := net.ParseCIDR(wholeRange)
	links, err := netlink.LinkList()
	if err != nil {
		return ""
	}
	for _, link := range links {
		if link.Attrs().Name == Bridge || link.Type() == "veth" && hasAddress(link, PodGateway) {
			continue
		}
		addresses, _ := netlink.AddrList(link, netlink.FAMILY_V4)
		for _, address := range addresses {
			if ours.Contains(address.IP) {
				return link.Attrs().Name
			}
		}
	}
	return ""
}

func hasAddress(link netlink.Link, ip string) bool {
	addresses, _ := netlink.AddrList(link, netlink.FAMILY_V4)
	for _, address := range addresses {
		if address.IP.String() == ip {
			return true
		}
	}
	return false
}

func linkExists(link netlink.Link) bool {
	time.Sleep(50 * time.Millisecond)
	_, err := netlink.LinkByIndex(link.Attrs().Index)
	return err == nil
}

func nftPath() string { return FindProgram("nft") }

func nft(ctx context.Context, script string) error {
	command := exec.CommandContext(ctx, nftPath(), "-f", "-")
	command.Stdin = strings.NewReader(script)
	if output, err := command.CombinedOutput(); err != nil {
		return fmt.Errorf("nft refuses the node's rules; a kernel with nf_tables and its NAT is needed: %w: %s", err, strings.TrimSpace(string(output)))
	}
	return nil
}
