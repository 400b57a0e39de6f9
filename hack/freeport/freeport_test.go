package freeport

import (
	"fmt"
	"net"
	"testing"
)

func TestNobodyElseIsGivenThePort(t *testing.T) {
	port, err := Next()
	if err != nil {
		t.Fatal(err)
	}
	for range 100 {
		other, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer other.Close()
	}
	listener, err := net.Listen("tcp", fmt.Sprintf(":%d", port))
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
}
