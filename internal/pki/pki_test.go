package pki_test

import (
	"crypto/x509"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	clocktesting "k8s.io/utils/clock/testing"

	"laterna.dev/laterna/internal/clock"
	"laterna.dev/laterna/internal/pki"
)

var server = pki.Leaf{Name: "server", CommonName: "laterna", Hosts: []string{"localhost"}, IPs: []net.IP{net.IPv4(127, 0, 0, 1)}, Server: true}

func authority(t *testing.T, dir string, now time.Time) *pki.Authority {
	t.Helper()
	a, err := pki.OpenAuthority(dir, clock.WallOf(clocktesting.NewFakeClock(now)))
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func pair(t *testing.T, a *pki.Authority, l pki.Leaf) *pki.Pair {
	t.Helper()
	p, err := a.Pair(l)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestPairVerifiesAndIsKept(t *testing.T) {
	dir, now := t.TempDir(), time.Now()
	first := pair(t, authority(t, dir, now), server)
	again := authority(t, dir, now)
	second := pair(t, again, server)
	if !first.Certificate().Leaf.Equal(second.Certificate().Leaf) {
		t.Error("a valid certificate was made anew")
	}
	opts := x509.VerifyOptions{Roots: again.Pool(), DNSName: "localhost"}
	if _, err := second.Certificate().Leaf.Verify(opts); err != nil {
		t.Error(err)
	}
	for _, file := range []string{"ca.key", "ca.crt", "server.key", "server.crt"} {
		info, err := os.Stat(filepath.Join(dir, file))
		if err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v; want mode 600", file, info, err)
		}
	}
}

func TestPairIsMadeAnewWhenItNoLongerServes(t *testing.T) {
	more := server
	more.IPs = append([]net.IP{net.IPv4(10, 0, 0, 1)}, server.IPs...)
	other := server
	other.CommonName = "somebody"
	for name, tc := range map[string]struct {
		leaf  pki.Leaf
		after time.Duration
		same  bool
	}{
		"half of its life":       {server, 182 * 24 * time.Hour, true},
		"less than a third left": {server, 250 * 24 * time.Hour, false},
		"a new address":          {more, 0, false},
		"another name":           {other, 0, false},
	} {
		t.Run(name, func(t *testing.T) {
			dir, now := t.TempDir(), time.Now()
			first := pair(t, authority(t, dir, now), server)
			second := pair(t, authority(t, dir, now.Add(tc.after)), tc.leaf)
			if same := first.Certificate().Leaf.Equal(second.Certificate().Leaf); same != tc.same {
				t.Errorf("same certificate = %v, want %v", same, tc.same)
			}
		})
	}
}

func TestRenewInPlace(t *testing.T) {
	fake := clocktesting.NewFakeClock(time.Now())
	a, err := pki.OpenAuthority(t.TempDir(), clock.WallOf(fake))
	if err != nil {
		t.Fatal(err)
	}
	p := pair(t, a, server)
	before := p.Certificate()
	if renewed, err := p.Renew(); renewed || err != nil {
		t.Fatalf("renewed a fresh certificate: %v, %v", renewed, err)
	}
	fake.SetTime(fake.Now().Add(300 * 24 * time.Hour))
	if renewed, err := p.Renew(); !renewed || err != nil {
		t.Fatalf("did not renew: %v, %v", renewed, err)
	}
	if p.Certificate() == before {
		t.Error("the old certificate is still in use")
	}
}

func TestAgingAuthorityIsRenewedWithItsKey(t *testing.T) {
	dir, now := t.TempDir(), time.Now()
	old := authority(t, dir, now)
	later := now.Add(9 * 365 * 24 * time.Hour)
	aged := authority(t, dir, later)
	if string(aged.PEM()) == string(old.PEM()) {
		t.Fatal("an authority with a year left was not renewed")
	}
	leaf := pair(t, aged, server).Certificate().Leaf
	opts := x509.VerifyOptions{Roots: old.Pool(), DNSName: "localhost", CurrentTime: later}
	if _, err := leaf.Verify(opts); err != nil {
		t.Errorf("who trusts the old certificate refuses the new leaf: %v", err)
	}
}

func TestHalfAnAuthorityIsRefused(t *testing.T) {
	for _, lost := range []string{"ca.key", "ca.crt"} {
		dir := t.TempDir()
		authority(t, dir, time.Now())
		if err := os.Remove(filepath.Join(dir, lost)); err != nil {
			t.Fatal(err)
		}
		if _, err := pki.OpenAuthority(dir, clock.Real()); err == nil {
			t.Errorf("opened without %s", lost)
		}
	}
}

func TestKubeconfigHoldsAllThatIsNeeded(t *testing.T) {
	dir := t.TempDir()
	a := authority(t, dir, time.Now())
	admin := pair(t, a, pki.Leaf{Name: "admin", CommonName: "kubernetes-admin", Organizations: []string{"system:masters"}, Client: true})
	path := filepath.Join(dir, "kubeconfig")
	if err := pki.WriteKubeconfig(path, "https://127.0.0.1:6443", a, admin); err != nil {
		t.Fatal(err)
	}
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"server: https://127.0.0.1:6443", "certificate-authority-data:", "client-key-data:", "current-context: laterna"} {
		if !strings.Contains(string(raw), want) {
			t.Errorf("kubeconfig lacks %q", want)
		}
	}
}
