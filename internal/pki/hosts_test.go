package pki_test

import (
	"crypto/x509"
	"strings"
	"testing"
	"time"

	clocktesting "k8s.io/utils/clock/testing"

	"laterna.dev/laterna/internal/clock"
	"laterna.dev/laterna/internal/pki"
)

func TestHostsGetCertificatesThatOthersTrust(t *testing.T) {
	fake := clocktesting.NewFakeClock(time.Now())
	a, err := pki.OpenAuthority(t.TempDir(), clock.WallOf(fake))
	if err != nil {
		t.Fatal(err)
	}
	hosts := a.Hosts()
	long := strings.Repeat("a", 63) + "." + strings.Repeat("b", 63) + ".example"
	for _, host := range []string{"test.default.svc", "10.0.0.9", "fd00::1", long} {
		c, err := hosts.Certificate(host)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.Leaf.Verify(x509.VerifyOptions{DNSName: host, Roots: a.Pool(), CurrentTime: fake.Now()}); err != nil {
			t.Errorf("%s: %v", host, err)
		}
		if again, err := hosts.Certificate(host); err != nil || again != c {
			t.Errorf("%s: another certificate, %v", host, err)
		}
	}
	old, err := hosts.Certificate("test.default.svc")
	if err != nil {
		t.Fatal(err)
	}
	fake.SetTime(fake.Now().Add(300 * 24 * time.Hour))
	if c, err := hosts.Certificate("test.default.svc"); err != nil || c == old || !c.Leaf.NotAfter.After(old.Leaf.NotAfter) {
		t.Errorf("not renewed: %v", err)
	}
}
