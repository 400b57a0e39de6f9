// Package freeport finds ports for processes that a test starts, and starts again.
package freeport

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
)

// The ports that Next chooses from. Kernels give ports from 32768 on (Linux) or 49152 on (RFC 6335) to whoever asks for any,
// and to connections that go out; so nobody takes one of these between two starts of the process that it was found for.
const (
	first = 20000
	last  = 29999
)

// Next is a port on which nothing listens, on any address. It fails if nearly all of them are taken.
func Next() (int, error) {
	var failures []error
	for range 100 {
		port := first + rand.IntN(last-first+1)
		listener, err := net.Listen("tcp", fmt.Sprintf(":%d", port))
		if err == nil {
			return port, listener.Close()
		}
		failures = append(failures, err)
	}
	return 0, fmt.Errorf("no port from %d to %d is free: %w", first, last, errors.Join(failures[:3]...))
}
