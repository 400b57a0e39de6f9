package node

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"time"

	"workorders.dev/operator/hack/cluster/internal/host"
)

// askLimit is how long one question may take.
const askLimit = 2 * time.Second

func loopback(port int) string { return fmt.Sprintf("127.0.0.1:%d", port) }

func containerdReady(ctx context.Context, _ Layout) error {
	dialer := net.Dialer{Timeout: askLimit}
	connection, err := dialer.DialContext(ctx, "unix", containerdSocket())
	if err != nil {
		return err
	}
	connection.Close()
	// The socket is there before the plugins are.
	return exec.CommandContext(ctx, host.FindProgram("ctr"), ctrArgs("images", "list", "--quiet")...).Run()
}

func etcdReady(ctx context.Context, l Layout) error {
	pair, err := tls.LoadX509KeyPair(l.pki("etcd-client.crt"), l.pki("etcd-client.key"))
	if err != nil {
		return err
	}
	ca, err := os.ReadFile(l.pki("etcd-ca.crt"))
	if err != nil {
		return err
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(ca)
	config := &tls.Config{RootCAs: roots, Certificates: []tls.Certificate{pair}}
	return get(ctx, config, "https://"+loopback(etcdPort)+"/health")
}

func apiServerReady(ctx context.Context, l Layout) error {
	api, err := newAPI(l)
	if err != nil {
		return err
	}
	return api.get(ctx, "/readyz", nil)
}

// healthy asks a component on this machine. Its certificate is its own, and proves nothing.
func healthy(scheme string, port int) func(context.Context, Layout) error {
	return func(ctx context.Context, _ Layout) error {
		return get(ctx, &tls.Config{InsecureSkipVerify: true}, scheme+"://"+loopback(port)+"/healthz")
	}
}

func get(ctx context.Context, config *tls.Config, url string) error {
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: config, DisableKeepAlives: true}, Timeout: askLimit}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	response, err := client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		body, _ := io.ReadAll(io.LimitReader(response.Body, 300))
		return fmt.Errorf("%s: %s", response.Status, body)
	}
	return nil
}
