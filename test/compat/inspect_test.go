package compat

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// inspect runs `laterna token inspect` and returns its report, which it ends with the exit
// code that is wanted.
func (s *system) inspect(t testing.TB, code int, args ...string) string {
	t.Helper()
	cmd := s.command(t, programs.Path("laterna"), append([]string{"token", "inspect", "--data-dir", s.Dir}, args...)...)
	out, err := cmd.Output()
	got := 0
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
		got = exit.ExitCode()
	} else if err != nil {
		t.Fatal(err)
	}
	if got != code {
		t.Fatalf("inspect %q ended with %d, want %d:\n%s%s", args, got, code, out, stderrOf(err))
	}
	return string(out)
}

// kept writes a pod's token into a file, as a client that keeps it does.
func (s *system) kept(t testing.TB, namespace, pod string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "token")
	token := s.exec(t, namespace, pod, "cat", "/var/run/secrets/tokens/vault-token")
	if err := os.WriteFile(file, []byte(token), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func TestInspectSaysWhyATokenIsRefused(t *testing.T) {
	t.Parallel()
	s := started(t, "--test-clock")
	const ns = "default"
	s.sh(t, "kubectl create sa build-robot")
	s.apply(t, ns, vaultPod("nginx", vaultToken))
	s.running(t, ns, "nginx")
	live := []string{"--pod", "default/nginx:vault-token/vault-token", "--audience", "vault", "--strict"}
	contains(t, s.inspect(t, 0, live...), "✓ liveness   the system accepts it as system:serviceaccount:default:build-robot", "% of 2h")
	first := s.kept(t, ns, "nginx")

	// Another issuer: the pod has a token of it at once, the copy is good for a day.
	s.sh(t, `kubectl patch authentication cluster --type merge -p '{"spec":{"serviceAccountIssuer":"https://new.example/x"}}'`)
	eventually(t, 5*time.Second, func() error { return s.said(t, "Issuer       https://new.example/x", live...) })
	contains(t, s.inspect(t, 0, first), "✓ issuer     a former one of this system, accepted until", "✓ discovery  https://kubernetes.default.svc/", "✓ liveness")

	// Another key, and the old one withdrawn.
	second := s.kept(t, ns, "nginx")
	before := decode(t, s.exec(t, ns, "nginx", "cat", "/var/run/secrets/tokens/vault-token")).ID
	s.sh(t, programs.Path("laterna")+" keys rotate --now --type ECDSAP256 --data-dir "+s.Dir)
	eventually(t, 5*time.Second, func() error { return s.said(t, "ES256, key ", live...) })
	if after := decode(t, s.exec(t, ns, "nginx", "cat", "/var/run/secrets/tokens/vault-token")).ID; after == before {
		t.Error("the token was not issued anew")
	}
	contains(t, s.inspect(t, 0, second), "✓ signature", "✓ discovery")
	s.sh(t, `kubectl delete signingkey $(kubectl get signingkeys -o jsonpath='{.items[?(@.status.state=="Retired")].metadata.name}')`)
	contains(t, s.inspect(t, 1, second), "✗ signature  invalid signature, no keys found", "✗ discovery  https://new.example/x/openid/v1/jwks has no key", "– liveness")
	s.inspect(t, 0, live...)

	// The pod goes, and another one of its name comes.
	third := s.kept(t, ns, "nginx")
	s.sh(t, "kubectl delete pod nginx --grace-period=0 --force")
	contains(t, s.inspect(t, 1, third), "✓ signature", "✓ time", "✗ liveness   [invalid bearer token, service account token has been invalidated]; it is bound to pod nginx")
	s.apply(t, ns, vaultPod("nginx", vaultToken))
	contains(t, s.inspect(t, 1, third), "✗ liveness   [invalid bearer token, pod UID (")
	s.running(t, ns, "nginx")
	s.inspect(t, 0, live...)

	// A day later the first issuer's trust has ended.
	s.sh(t, programs.Path("laterna")+" clock advance 25h --data-dir "+s.Dir)
	eventually(t, 5*time.Second, func() error {
		if out := s.inspect(t, 1, first); !strings.Contains(out, "✗ issuer     https://kubernetes.default.svc was accepted until") {
			return fmt.Errorf("the first token: %s", out)
		}
		return nil
	})
	eventually(t, 15*time.Second, func() error { return s.said(t, "✓ time       good for another", live...) })
}

// said is an error unless a report, whatever its verdict, holds text.
func (s *system) said(t testing.TB, text string, args ...string) error {
	out, _ := s.command(t, programs.Path("laterna"), append([]string{"token", "inspect", "--data-dir", s.Dir}, args...)...).Output()
	if !strings.Contains(string(out), text) {
		return fmt.Errorf("lacks %q:\n%s", text, out)
	}
	return nil
}
