package freeport

import (
	"fmt"
	"net"
	"os"
	"testing"
)

func TestAPortCanBeTakenAndTheKernelGivesItToNobody(t *testing.T) {
	port, err := Next()
	if err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", fmt.Sprintf(":%d", port))
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	given, err := os.ReadFile("/proc/sys/net/ipv4/ip_local_port_range")
	if err != nil {
		t.Skip("SKIPPED: this kernel does not say which ports it gives away")
	}
	var from, to int
	if _, err := fmt.Sscan(string(given), &from, &to); err != nil {
		t.Fatal(err)
	}
	if from <= last && to >= first {
		t.Errorf("the kernel gives away ports from %d to %d, and we take those from %d to %d", from, to, first, last)
	}
}
