package node

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"io/fs"
	"math/big"
	"net"
	"os"
	"time"

	"workorders.dev/operator/hack/cluster/internal/host"
)

// validity is longer than any state folder lives.
const validity = 10 * 365 * 24 * time.Hour

// authority is a certificate authority with its key.
type authority struct {
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
}

// identity is a certificate to be made.
type identity struct {
	file      string // without .crt and .key
	authority string // the file of who signs it
	name      string // CN: the user, for clients
	groups    []string
	hosts     []string // for servers: names and addresses
}

// authorities sign for different readers: what etcd trusts opens all data, what the API server trusts as a
// front proxy may speak for anybody, so neither may be what signs users.
var authorities = []string{"ca", "etcd-ca", "front-proxy-ca"}

// identities are who there is.
var identities = []identity{
	{file: "etcd", authority: "etcd-ca", name: "etcd", hosts: []string{"localhost", "127.0.0.1"}},
	{file: "etcd-client", authority: "etcd-ca", name: "kube-apiserver"},
	{file: "front-proxy-client", authority: "front-proxy-ca", name: "front-proxy-client"},
	{file: "kube-apiserver", authority: "ca", name: "kube-apiserver", hosts: []string{
		"kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc.cluster.local", "localhost",
		"127.0.0.1", host.NodeAddress, host.KubernetesService,
	}},
	{file: "kubelet-client", authority: "ca", name: "kube-apiserver-kubelet-client", groups: []string{"system:masters"}},
	{file: "kubelet-server", authority: "ca", name: "system:node:" + Name, groups: []string{"system:nodes"}, hosts: []string{Name, host.NodeAddress}},
	{file: "kubelet", authority: "ca", name: "system:node:" + Name, groups: []string{"system:nodes"}},
	{file: "kube-controller-manager", authority: "ca", name: "system:kube-controller-manager"},
	{file: "kube-scheduler", authority: "ca", name: "system:kube-scheduler"},
	{file: "kube-proxy", authority: "ca", name: "system:kube-proxy"},
	{file: "admin", authority: "ca", name: "admin", groups: []string{"system:masters"}},
}

// makeCertificates makes what the cluster proves itself with, once in a state folder's life.
func makeCertificates(l Layout) error {
	if _, err := os.Stat(l.pki("done")); err == nil {
		return nil
	}
	if err := os.MkdirAll(l.path("pki"), 0o700); err != nil {
		return err
	}
	signers := map[string]authority{}
	for _, file := range authorities {
		signer, err := newAuthority("workorders-" + file)
		if err != nil {
			return err
		}
		signers[file] = signer
		if err := writePair(l, file, signer.certificate.Raw, signer.key); err != nil {
			return err
		}
	}
	for _, who := range identities {
		certificate, key, err := signers[who.authority].sign(who)
		if err != nil {
			return err
		}
		if err := writePair(l, who.file, certificate, key); err != nil {
			return err
		}
	}
	if err := writeServiceAccountKey(l); err != nil {
		return err
	}
	return os.WriteFile(l.pki("done"), nil, 0o600)
}

func newAuthority(name string) (authority, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return authority{}, err
	}
	template, err := newTemplate(pkix.Name{CommonName: name})
	if err != nil {
		return authority{}, err
	}
	template.IsCA, template.BasicConstraintsValid = true, true
	template.KeyUsage = x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature
	content, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return authority{}, err
	}
	certificate, err := x509.ParseCertificate(content)
	return authority{certificate: certificate, key: key}, err
}

func (a authority) sign(who identity) ([]byte, *ecdsa.PrivateKey, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	template, err := newTemplate(pkix.Name{CommonName: who.name, Organization: who.groups})
	if err != nil {
		return nil, nil, err
	}
	template.KeyUsage = x509.KeyUsageDigitalSignature
	template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	if len(who.hosts) > 0 {
		template.ExtKeyUsage = append(template.ExtKeyUsage, x509.ExtKeyUsageServerAuth)
	}
	for _, name := range who.hosts {
		if ip := net.ParseIP(name); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, name)
		}
	}
	certificate, err := x509.CreateCertificate(rand.Reader, template, a.certificate, key.Public(), a.key)
	return certificate, key, err
}

func newTemplate(subject pkix.Name) (*x509.Certificate, error) {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		return nil, err
	}
	// An hour back, for clocks that are set while the cluster runs.
	from := time.Now().Add(-time.Hour)
	return &x509.Certificate{SerialNumber: serial, Subject: subject, NotBefore: from, NotAfter: from.Add(validity)}, nil
}

// writeServiceAccountKey makes the key that signs Pods' tokens.
func writeServiceAccountKey(l Layout) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	public, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		return err
	}
	if err := writePEM(l.pki("service-accounts.pub"), "PUBLIC KEY", public); err != nil {
		return err
	}
	return writeKey(l.pki("service-accounts.key"), key)
}

func writePair(l Layout, file string, certificate []byte, key *ecdsa.PrivateKey) error {
	if err := writePEM(l.pki(file+".crt"), "CERTIFICATE", certificate); err != nil {
		return err
	}
	return writeKey(l.pki(file+".key"), key)
}

func writeKey(path string, key *ecdsa.PrivateKey) error {
	content, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		return err
	}
	return writePEM(path, "EC PRIVATE KEY", content)
}

func writePEM(path, kind string, content []byte) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: content}), 0o600)
}
