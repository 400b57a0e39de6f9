package admission

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"maps"
	"testing"
	"time"
)

const host = "webhook.namespace.svc"

var (
	began = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	short = lifetimes{authority: 40 * time.Hour, certificate: 12 * time.Hour}
)

func renewed(t *testing.T, data map[string][]byte, at time.Time) map[string][]byte {
	t.Helper()
	return renewedBy(t, newIssuer(host, short), data, at)
}

func renewedBy(t *testing.T, i *issuer, data map[string][]byte, at time.Time) map[string][]byte {
	t.Helper()
	data, err := i.renewed(data, at)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// expectTrusted checks that who trusts the authorities in one Secret trusts what is served from another.
func expectTrusted(t *testing.T, trusted, data map[string][]byte, at time.Time) {
	t.Helper()
	pair, err := tls.X509KeyPair(data[served], data[servedKey])
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(trusted[authorities])
	for _, name := range []string{host, "localhost"} {
		if _, err := pair.Leaf.Verify(x509.VerifyOptions{DNSName: name, Roots: pool, CurrentTime: at}); err != nil {
			t.Fatalf("as %s at %s: %v", name, at, err)
		}
	}
}

func TestCertificatesAreMadeOnceAndThenLeftAlone(t *testing.T) {
	data := renewed(t, nil, began)
	expectTrusted(t, data, data, began)
	if again := renewed(t, data, began.Add(time.Hour)); !maps.EqualFunc(again, data, bytes.Equal) {
		t.Error("they are renewed for no reason")
	}
	_, next, err := newIssuer(host, short).pair(data)
	if wanted := began.Add(8 * time.Hour); err != nil || !next.Equal(wanted) {
		t.Errorf("the next renewal is at %s, wanted at %s; %v", next, wanted, err)
	}
	if again := renewed(t, data, next.Add(time.Second)); bytes.Equal(again[served], data[served]) || !bytes.Equal(again[authorities], data[authorities]) {
		t.Error("then the certificate alone is to be renewed")
	}
}

// Whoever reads the Secret, or the configuration, one renewal late still trusts, and is trusted.
func TestNothingIsServedThatIsNotTrustedSinceTheRenewalBefore(t *testing.T) {
	for name, l := range map[string]lifetimes{
		"an authority is due at another time than a certificate": short,
		"both are due at once": {authority: 32 * time.Hour, certificate: 12 * time.Hour},
	} {
		t.Run(name, func(t *testing.T) { expectTrustedOverTime(t, newIssuer(host, l)) })
	}
}

func expectTrustedOverTime(t *testing.T, i *issuer) {
	t.Helper()
	now := began
	data := renewedBy(t, i, nil, now)
	signedBy := map[string]bool{}
	for range 24 {
		_, next, err := i.pair(data)
		if err != nil || !next.After(now.Add(-time.Second)) {
			t.Fatalf("at %s the next renewal is at %s; %v", now, next, err)
		}
		now = next.Add(time.Second)
		before := data
		data = renewedBy(t, i, data, now)
		if maps.EqualFunc(before, data, bytes.Equal) {
			t.Fatalf("at %s nothing is renewed", now)
		}
		expectTrusted(t, before, data, now)
		expectTrusted(t, data, before, now)
		if all := parsed(data[authorities]); len(all) > 1+olderAuthorities {
			t.Fatalf("there are %d authorities", len(all))
		}
		pair, _ := tls.X509KeyPair(data[served], data[servedKey])
		signedBy[string(pair.Leaf.AuthorityKeyId)] = true
	}
	if days := now.Sub(began).Hours() / 24; len(signedBy) < 5 {
		t.Errorf("in %.0f days there were %d authorities", days, len(signedBy))
	}
}

func TestWhatIsDamagedIsMadeAnew(t *testing.T) {
	sound, other := renewed(t, nil, began), renewed(t, nil, began)
	for what, change := range map[string]func(map[string][]byte){
		"the authority is gone":              func(d map[string][]byte) { delete(d, authorities) },
		"the authority's key is gone":        func(d map[string][]byte) { delete(d, authorityKey) },
		"the authority's key is another's":   func(d map[string][]byte) { d[authorityKey] = other[authorityKey] },
		"the authority is no PEM":            func(d map[string][]byte) { d[authorities] = []byte("authority") },
		"the authority is no certificate":    func(d map[string][]byte) { d[authorities] = d[authorityKey] },
		"the certificate is gone":            func(d map[string][]byte) { d[served] = nil },
		"the certificate's key is another's": func(d map[string][]byte) { d[servedKey] = other[servedKey] },
		"the certificate is cut":             func(d map[string][]byte) { d[served] = d[served][:300] },
		"another authority signed it":        func(d map[string][]byte) { d[served], d[servedKey] = other[served], other[servedKey] },
		"the certificate is the authority":   func(d map[string][]byte) { d[served], d[servedKey] = d[authorities], d[authorityKey] },
		"everything is gone":                 func(d map[string][]byte) { clear(d) },
	} {
		t.Run(what, func(t *testing.T) {
			data := maps.Clone(sound)
			change(data)
			data = renewed(t, data, began)
			expectTrusted(t, data, data, began)
			if again := renewed(t, data, began); !maps.EqualFunc(again, data, bytes.Equal) {
				t.Error("and again, and again")
			}
		})
	}
}

func TestAfterALongSleepEverythingIsMadeAnew(t *testing.T) {
	data := renewed(t, nil, began)
	late := began.Add(10 * short.authority)
	data = renewed(t, data, late)
	expectTrusted(t, data, data, late)
	if all := parsed(data[authorities]); len(all) != 1 {
		t.Errorf("%d authorities are trusted, of which one has expired", len(all))
	}
}

func TestTheUsualLifetimesLeaveTimeForEveryRenewal(t *testing.T) {
	l := usualLifetimes
	if l.authority < 2*l.renewAuthority() || l.renewAuthority() < l.certificate || l.renewCertificate() < 7*24*time.Hour {
		t.Errorf("%+v", l)
	}
}

func TestAuthoritiesDoNotPileUp(t *testing.T) {
	data := renewed(t, nil, began)
	for range 2 * (1 + olderAuthorities) {
		delete(data, authorityKey)
		data = renewed(t, data, began)
	}
	if all := parsed(data[authorities]); len(all) != 1+olderAuthorities {
		t.Errorf("%d authorities", len(all))
	}
}
