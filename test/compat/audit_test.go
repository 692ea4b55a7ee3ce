package compat

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

const auditPolicy = `apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
- level: RequestResponse
  resources: [{group: "", resources: [secrets, serviceaccounts/token]}, {group: authentication.k8s.io}]
- level: Metadata
`

// withAudit writes a policy and returns it with the path of the log, and the flags.
func withAudit(t *testing.T, policy string) (log string, flags []string) {
	t.Helper()
	dir := t.TempDir()
	file := filepath.Join(dir, "policy.yaml")
	if err := os.WriteFile(file, []byte(policy), 0o600); err != nil {
		t.Fatal(err)
	}
	log = filepath.Join(dir, "audit", "audit.log")
	return log, []string{"--audit-policy-file=" + file, "--audit-log-path=" + log}
}

// logged returns the lines of a file that hold all parts.
func logged(t testing.TB, file string, parts ...string) (found []string) {
	t.Helper()
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
line:
	for line := range strings.Lines(string(raw)) {
		for _, part := range parts {
			if !strings.Contains(line, part) {
				continue line
			}
		}
		found = append(found, line)
	}
	return found
}

func TestAuditLogKnowsIssueAndUseOfTokens(t *testing.T) {
	log, flags := withAudit(t, auditPolicy)
	s := started(t, append(flags, "--node=false")...)
	s.sh(t, "kubectl create sa build-robot && kubectl create clusterrolebinding robot --clusterrole view --serviceaccount default:build-robot")
	s.sh(t, "kubectl create secret generic box --from-literal password=correct-horse")
	token := strings.TrimSpace(s.sh(t, "kubectl create token build-robot"))
	jti := "JTI=" + decode(t, token).ID
	s.sh(t, "kubectl get configmaps --token "+token+" --kubeconfig <(kubectl config view --raw --minify | sed '/client-/d')")
	if r := review(t, s, token); !r.Authenticated {
		t.Fatal(r.Error)
	}
	for what, parts := range map[string][]string{
		"issue":  {`"authentication.kubernetes.io/issued-credential-id":"` + jti + `"`, `"subresource":"token"`},
		"use":    {`"authentication.kubernetes.io/credential-id":["` + jti + `"]`, `"resource":"configmaps"`},
		"review": {`"authentication.laterna.dev/reviewed-credential-id":"` + jti + `"`, `"resource":"tokenreviews"`},
	} {
		if len(logged(t, log, parts...)) == 0 {
			t.Errorf("the %s of the token is not logged", what)
		}
	}
	for _, secret := range []string{token, "correct-horse", "Y29ycmVjdC1ob3JzZQ"} {
		if lines := logged(t, log, secret); len(lines) > 0 {
			t.Errorf("a secret is in the log: %s", lines[0])
		}
	}
	if info, err := os.Stat(log); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the log is %v, %v", info, err)
	}
}

func TestBadAuditPolicyEndsTheStart(t *testing.T) {
	s := prepared(t, "--node=false")
	up := func(policy string) string {
		t.Helper()
		_, flags := withAudit(t, policy)
		return s.fails(t, "laterna up --node=false --data-dir "+s.Dir+" --listen 127.0.0.1:0 "+strings.Join(flags, " "))
	}
	contains(t, up(strings.Replace(auditPolicy, "resources:", "resource:", 1)), "--audit-policy-file: audit policy ", `unknown field "rules[0].resource"`)
	contains(t, up("kind: Policy\n"), "--audit-policy-file: audit policy ")
	contains(t, s.fails(t, "laterna up --node=false --data-dir "+s.Dir+" --audit-log-path -"), "without a policy nothing would be logged: name one with --audit-policy-file")
}

// TestStaleTokenUseIsFound plays a client that reads its token once.
func TestStaleTokenUseIsFound(t *testing.T) {
	t.Parallel()
	log, flags := withAudit(t, auditPolicy)
	s := started(t, append(flags, "--test-clock")...)
	ns := s.namespace(t)
	s.sh(t, "kubectl create sa build-robot -n "+ns)
	s.apply(t, ns, vaultPod("nginx", "          expirationSeconds: 7200\n"))
	s.running(t, ns, "nginx")
	read := func() string { return s.exec(t, ns, "nginx", "cat", "/var/run/secrets/tokens/vault-token") }
	old := read()
	s.sh(t, "laterna clock advance --data-dir "+s.Dir+" 97m")
	eventually(t, 10*time.Second, func() error {
		if read() == old {
			return fmt.Errorf("the file still holds the old token")
		}
		return nil
	})
	stale := func() []string { return logged(t, log, `"authentication.laterna.dev/stale-token":"reason: superseded`) }
	if r := review(t, s, old); !r.Authenticated || len(stale()) != 0 {
		t.Errorf("just after the rotation: %+v, marked %q", r, stale())
	}
	s.sh(t, "laterna clock advance --data-dir "+s.Dir+" 3m")
	if status := statusWith(t, s, old, "/version"); status != 200 {
		t.Errorf("the old token gets %d", status)
	}
	review(t, s, read())
	lines := stale()
	if len(lines) != 1 || !strings.Contains(lines[0], "service account: "+ns+"/build-robot, pod: nginx, pod uid: "+s.field(t, ns, "pod/nginx", "{.metadata.uid}")) {
		t.Errorf("marked %q", lines)
	}
	contains(t, s.sh(t, "kubectl get --raw /metrics"), fmt.Sprintf(`laterna_stale_token_uses_total{namespace=%q,reason="superseded",service_account="build-robot"} 1`, ns))
	eventually(t, 5*time.Second, func() error {
		if out := s.sh(t, "kubectl describe pod nginx -n "+ns); !strings.Contains(out, "StaleToken") || !strings.Contains(out, "a client read its token file once and not again") {
			return fmt.Errorf("no event:\n%s", out)
		}
		return nil
	})
}
