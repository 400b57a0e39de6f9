package node

import (
	"crypto/tls"
	"crypto/x509"
	"os"
	"testing"

	"workorders.dev/operator/hack/cluster/internal/host"
)

func TestCertificates(t *testing.T) {
	l := Layout{State: t.TempDir()}
	if err := makeCertificates(l); err != nil {
		t.Fatal(err)
	}
	roots := map[string]*x509.CertPool{}
	for _, file := range authorities {
		content, err := os.ReadFile(l.pki(file + ".crt"))
		if err != nil {
			t.Fatal(err)
		}
		roots[file] = x509.NewCertPool()
		roots[file].AppendCertsFromPEM(content)
	}
	for _, who := range identities {
		pair, err := tls.LoadX509KeyPair(l.pki(who.file+".crt"), l.pki(who.file+".key"))
		if err != nil {
			t.Fatalf("%s: %v", who.file, err)
		}
		options := x509.VerifyOptions{Roots: roots[who.authority], KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}
		if _, err := pair.Leaf.Verify(options); err != nil {
			t.Errorf("%s: %v", who.file, err)
		}
		for _, name := range who.hosts {
			if err := pair.Leaf.VerifyHostname(name); err != nil {
				t.Errorf("%s: %v", who.file, err)
			}
		}
		for other, pool := range roots {
			if _, err := pair.Leaf.Verify(x509.VerifyOptions{Roots: pool, KeyUsages: options.KeyUsages}); err == nil && other != who.authority {
				t.Errorf("%s is also trusted by %s", who.file, other)
			}
		}
	}
}

func TestTheAPIServerIsKnownByAllItsNames(t *testing.T) {
	signer, err := newAuthority("test")
	if err != nil {
		t.Fatal(err)
	}
	for _, who := range identities {
		if who.file != "kube-apiserver" {
			continue
		}
		content, _, err := signer.sign(who)
		if err != nil {
			t.Fatal(err)
		}
		certificate, err := x509.ParseCertificate(content)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{"127.0.0.1", "localhost", host.NodeAddress, host.KubernetesService, "kubernetes.default.svc", "kubernetes"} {
			if err := certificate.VerifyHostname(name); err != nil {
				t.Error(err)
			}
		}
	}
}

func TestKubeconfigIsReadBack(t *testing.T) {
	l := Layout{State: t.TempDir()}
	if err := makeCertificates(l); err != nil {
		t.Fatal(err)
	}
	if err := writeKubeconfigs(l); err != nil {
		t.Fatal(err)
	}
	if _, err := newAPI(l); err != nil {
		t.Error(err)
	}
}
