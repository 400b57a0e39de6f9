package admission

import (
	"bytes"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"maps"
	"time"

	"github.com/open-policy-agent/cert-controller/pkg/rotator"
	corev1 "k8s.io/api/core/v1"
)

// What the Secret holds: the authorities that may have signed what is served, the newest first; the newest one's key;
// and what is served.
const (
	authorities  = "ca.crt"
	authorityKey = "ca.key"
	served       = corev1.TLSCertKey
	servedKey    = corev1.TLSPrivateKeyKey
)

const (
	// olderAuthorities is how many are kept beside the newest.
	olderAuthorities = 2
	// clockSkew is by how much the clocks of two machines may differ.
	clockSkew = time.Hour
)

// lifetimes are how long things are valid. An authority is renewed when it could sign only two more certificates one
// after the other, and a certificate when a third of its life is left, but not by an authority that has not been there for an
// eighth of such a life. So the next authority is known everywhere before it signs anything, and no certificate outlives the
// authority that signed it.
type lifetimes struct{ authority, certificate time.Duration }

var usualLifetimes = lifetimes{authority: 2 * 365 * 24 * time.Hour, certificate: 90 * 24 * time.Hour}

func (l lifetimes) renewAuthority() time.Duration   { return 2 * l.certificate }
func (l lifetimes) renewCertificate() time.Duration { return l.certificate / 3 }
func (l lifetimes) introduction() time.Duration     { return l.certificate / 8 }

// issuer makes certificates for one name.
type issuer struct {
	lifetimes
	// maker is never started: it makes single certificates.
	maker *rotator.CertRotator
}

func newIssuer(host string, l lifetimes) *issuer {
	return &issuer{lifetimes: l, maker: &rotator.CertRotator{
		CAName:         "workorder-operator",
		CAOrganization: "workorders.dev",
		DNSName:        host,
		ExtraDNSNames:  []string{"localhost"}, // For an operator that runs beside the API server, not in a Pod.
		ExtKeyUsages:   &[]x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}}
}

// renewed is the data of the Secret, with what is missing, damaged or about to expire made anew.
func (i *issuer) renewed(data map[string][]byte, now time.Time) (map[string][]byte, error) {
	data = maps.Clone(data)
	if data == nil {
		data = map[string][]byte{}
	}
	if !i.signs(data, now.Add(i.renewAuthority())) {
		made, err := i.maker.CreateCACert(now.Add(-clockSkew), now.Add(i.authority))
		if err != nil {
			return nil, fmt.Errorf("make an authority for the webhook's certificates: %w", err)
		}
		data[authorities] = append(made.CertPEM, stillValid(data[authorities], now)...)
		data[authorityKey] = made.KeyPEM
	}
	due := !i.serves(data, now.Add(i.renewCertificate())) && !now.Before(i.introduced(data))
	if due || !i.serves(data, now) {
		pair, err := tls.X509KeyPair(data[authorities], data[authorityKey])
		if err != nil {
			return nil, fmt.Errorf("read the authority that was just found valid: %w", err)
		}
		key, ok := pair.PrivateKey.(*rsa.PrivateKey)
		if !ok {
			return nil, fmt.Errorf("the authority's key is a %T, and is to be RSA: empty the Secret", pair.PrivateKey)
		}
		authority := &rotator.KeyPairArtifacts{Cert: pair.Leaf, Key: key}
		data[served], data[servedKey], err = i.maker.CreateCertPEM(authority, now.Add(-clockSkew), now.Add(i.certificate))
		if err != nil {
			return nil, fmt.Errorf("make a certificate for the webhook: %w", err)
		}
	}
	return data, nil
}

// introduced is when the newest authority has been there for long enough to sign something.
func (i *issuer) introduced(data map[string][]byte) time.Time {
	all := parsed(data[authorities])
	if len(all) == 0 {
		return time.Time{}
	}
	return all[0].NotBefore.Add(clockSkew + i.introduction())
}

// signs says whether the newest authority can still sign at that time.
func (i *issuer) signs(data map[string][]byte, at time.Time) bool {
	valid, err := rotator.ValidCert(data[authorities], data[authorities], data[authorityKey], i.maker.CAName, nil, at)
	return err == nil && valid
}

// serves says whether what is served can still be trusted at that time.
func (i *issuer) serves(data map[string][]byte, at time.Time) bool {
	for _, authority := range blocks(data[authorities]) {
		valid, err := rotator.ValidCert(pem.EncodeToMemory(authority), data[served], data[servedKey], i.maker.DNSName, i.maker.ExtKeyUsages, at)
		if err == nil && valid {
			return true
		}
	}
	return false
}

// pair is what is served, and when something has to be renewed next.
func (i *issuer) pair(data map[string][]byte) (*tls.Certificate, time.Time, error) {
	pair, err := tls.X509KeyPair(data[served], data[servedKey])
	if err != nil {
		return nil, time.Time{}, fmt.Errorf("read the webhook's certificate: %w", err)
	}
	next := pair.Leaf.NotAfter.Add(-i.renewCertificate())
	if introduced := i.introduced(data); next.Before(introduced) {
		next = introduced
	}
	if all := parsed(data[authorities]); len(all) > 0 {
		if renewal := all[0].NotAfter.Add(-i.renewAuthority()); renewal.Before(next) {
			next = renewal
		}
	}
	return &pair, next, nil
}

// stillValid are those of some authorities that have not expired, as many as are kept.
func stillValid(bundle []byte, now time.Time) []byte {
	var kept bytes.Buffer
	left := olderAuthorities
	for _, authority := range parsed(bundle) {
		if left > 0 && authority.NotAfter.After(now) {
			kept.Write(pem.EncodeToMemory(&pem.Block{Type: certificateBlock, Bytes: authority.Raw}))
			left--
		}
	}
	return kept.Bytes()
}

const certificateBlock = "CERTIFICATE"

// blocks are the certificates in PEM.
func blocks(bundle []byte) []*pem.Block {
	var list []*pem.Block
	for block, rest := pem.Decode(bundle); block != nil; block, rest = pem.Decode(rest) {
		if block.Type == certificateBlock {
			list = append(list, block)
		}
	}
	return list
}

// parsed are the certificates that can be read.
func parsed(bundle []byte) []*x509.Certificate {
	var list []*x509.Certificate
	for _, block := range blocks(bundle) {
		if certificate, err := x509.ParseCertificate(block.Bytes); err == nil {
			list = append(list, certificate)
		}
	}
	return list
}
