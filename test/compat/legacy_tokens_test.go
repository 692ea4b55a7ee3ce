package compat

import (
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"
)

// legacySecret asks for a token of a service account in a Secret.
func legacySecret(name, account string) string {
	return fmt.Sprintf(`
apiVersion: v1
kind: Secret
metadata:
  name: %s
  annotations: {kubernetes.io/service-account.name: %s}
type: kubernetes.io/service-account-token
`, name, account)
}

// legacyToken returns the token in a Secret once it is there.
func legacyToken(t testing.TB, s *system, namespace, secret string) string {
	t.Helper()
	var token string
	eventually(t, 10*time.Second, func() error {
		token = s.sh(t, fmt.Sprintf("kubectl get secret -n %s %s -o jsonpath='{.data.token}' | base64 -d", namespace, secret))
		if token == "" {
			return fmt.Errorf("no token yet")
		}
		return nil
	})
	return token
}

func TestB12TokenInASecret(t *testing.T) {
	t.Parallel()
	s, ns := shared, shared.namespace(t)
	s.sh(t, "kubectl create sa build-robot -n "+ns)
	s.apply(t, ns, legacySecret("robot-token", "build-robot"))
	token := legacyToken(t, s, ns, "robot-token")
	uid := s.field(t, ns, "sa/build-robot", "{.metadata.uid}")

	contains(t, s.sh(t, "kubectl describe secrets -n "+ns+" robot-token"),
		"kubernetes.io/service-account.name: build-robot", "kubernetes.io/service-account.uid: "+uid,
		"Type:  kubernetes.io/service-account-token", "ca.crt:     ", fmt.Sprintf("namespace:  %d bytes", len(ns)), "token:      "+token)
	ca := s.sh(t, "kubectl get cm -n "+ns+" kube-root-ca.crt -o jsonpath='{.data.ca\\.crt}'")
	if got := s.sh(t, "kubectl get secret -n "+ns+" robot-token -o jsonpath='{.data.ca\\.crt}' | base64 -d"); got != ca {
		t.Errorf("ca.crt is\n%s\nwant\n%s", got, ca)
	}
	r := review(t, s, token)
	if !r.Authenticated || r.User.Username != "system:serviceaccount:"+ns+":build-robot" || r.User.UID != uid || len(r.User.Extra) != 0 {
		t.Errorf("reviewed as %+v", r)
	}
	if c := decode(t, token); c.Issuer != "kubernetes/serviceaccount" || c.Expiry != 0 || c.Audience != nil {
		t.Errorf("claims %+v", c)
	}
	if r := review(t, s, token, "vault"); r.Authenticated {
		t.Error("good for an audience that is not the API server's")
	}
	eventually(t, 5*time.Second, func() error {
		if day := s.field(t, ns, "secret/robot-token", `{.metadata.labels.kubernetes\.io/legacy-token-last-used}`); !regexp.MustCompile(`^\d{4}-\d\d-\d\d$`).MatchString(day) {
			return fmt.Errorf("last used %q", day)
		}
		return nil
	})
	if since := s.field(t, "kube-system", "cm/kube-apiserver-legacy-service-account-token-tracking", "{.data.since}"); len(since) != len("2006-01-02") {
		t.Errorf("tracked since %q", since)
	}

	s.sh(t, "kubectl delete sa build-robot -n "+ns+" && kubectl create sa build-robot -n "+ns)
	if r := review(t, s, token); r.Authenticated {
		t.Error("good although its service account is another one")
	}
	eventually(t, 5*time.Second, func() error {
		out := s.sh(t, "kubectl get secrets -n "+ns+" --ignore-not-found robot-token")
		if out != "" {
			return fmt.Errorf("still there: %s", out)
		}
		return nil
	})
}

var defaultToken = regexp.MustCompile(`(?m)^default-token-[a-z0-9]{5} +kubernetes.io/service-account-token +3 `)

func TestB12DefaultToken(t *testing.T) {
	t.Parallel()
	s := started(t, "--legacy-service-account-tokens")
	ns := s.namespace(t)
	var list string
	eventually(t, 10*time.Second, func() error {
		if list = s.sh(t, "kubectl get secrets -n "+ns); !defaultToken.MatchString(list) {
			return fmt.Errorf("secrets:\n%s", list)
		}
		return nil
	})
	name, _, _ := strings.Cut(defaultToken.FindString(list), " ")
	eventually(t, 5*time.Second, func() error {
		if listed := s.field(t, ns, "sa/default", "{.secrets[*].name}"); listed != name {
			return fmt.Errorf("the service account lists %q", listed)
		}
		return nil
	})
	contains(t, s.sh(t, "kubectl describe secrets -n "+ns), "Type:  kubernetes.io/service-account-token", "ca.crt:", "namespace:", "token:")

	s.sh(t, "kubectl create sa quiet -n "+ns+` && kubectl patch sa quiet -n `+ns+` -p '{"automountServiceAccountToken":false}'`)
	const pod = `
apiVersion: v1
kind: Pod
metadata: {name: %s}
spec:
  %s
  terminationGracePeriodSeconds: 1
  containers:
  - {name: main, image: "busybox:1.28", command: [sleep, "100000"]}
`
	s.apply(t, ns, fmt.Sprintf(pod, "mounts", "restartPolicy: Always"))
	s.apply(t, ns, fmt.Sprintf(pod, "pod-says-no", "automountServiceAccountToken: false"))
	s.apply(t, ns, fmt.Sprintf(pod, "account-says-no", "serviceAccountName: quiet"))
	s.running(t, ns, "mounts", "pod-says-no", "account-says-no")
	contains(t, s.sh(t, "kubectl describe pod mounts -n "+ns),
		"/var/run/secrets/kubernetes.io/serviceaccount from "+name+" (ro)",
		"  "+name+":\n    Type:        Secret (a volume populated by a Secret)\n    SecretName:  "+name)
	if got := s.exec(t, ns, "mounts", "ls", accountFiles); got != "ca.crt\nnamespace\ntoken\n" {
		t.Errorf("mounted %q", got)
	}
	if got := s.exec(t, ns, "mounts", "cat", accountFiles+"/namespace"); got != ns {
		t.Errorf("namespace %q", got)
	}
	if r := review(t, s, s.exec(t, ns, "mounts", "cat", accountFiles+"/token")); !r.Authenticated || r.User.Username != "system:serviceaccount:"+ns+":default" {
		t.Errorf("the mounted token: %+v", r)
	}
	for _, without := range []string{"pod-says-no", "account-says-no"} {
		contains(t, s.sh(t, "kubectl describe pod -n "+ns+" "+without), "Mounts:         <none>", "Volumes:                      <none>")
	}
}

func TestB12UnusedDefaultTokensGo(t *testing.T) {
	s := started(t, "--node=false", "--test-clock", "--legacy-service-account-tokens")
	listed := func(namespace string) string { return s.field(t, namespace, "sa/default", "{.secrets[*].name}") }
	const invalid = `{.metadata.labels.kubernetes\.io/legacy-token-invalid-since}`
	eventually(t, 10*time.Second, func() error {
		if listed("kube-public") == "" || listed("default") == "" {
			return fmt.Errorf("no secret yet")
		}
		return nil
	})
	unused, used := listed("kube-public"), listed("default")
	token := legacyToken(t, s, "kube-public", unused)
	marked := func(namespace, secret string) string { return s.field(t, namespace, "secret/"+secret, invalid) }

	s.sh(t, "laterna clock advance --data-dir "+s.Dir+" 4400h")
	if r := review(t, s, legacyToken(t, s, "default", used)); !r.Authenticated {
		t.Fatal(r.Error)
	}
	eventually(t, 5*time.Second, func() error {
		if s.field(t, "default", "secret/"+used, `{.metadata.labels.kubernetes\.io/legacy-token-last-used}`) == "" {
			return fmt.Errorf("the use is not noted")
		}
		return nil
	})
	s.sh(t, "laterna clock advance --data-dir "+s.Dir+" 4432h") // 368 days in all
	eventually(t, 10*time.Second, func() error {
		if marked("kube-public", unused) == "" {
			return fmt.Errorf("not marked")
		}
		return nil
	})
	if got := marked("default", used); got != "" {
		t.Errorf("marked %q although it was used half a year ago", got)
	}
	contains(t, review(t, s, token).Error, "the token in secret kube-public/"+unused+" for service account kube-public/default has been marked invalid.",
		"remove the 'kubernetes.io/legacy-token-invalid-since' label from the secret to temporarily allow use of this token")
	s.sh(t, "laterna clock advance --data-dir "+s.Dir+" 8832h")
	eventually(t, 10*time.Second, func() error {
		if now := listed("kube-public"); now == unused || now == "" {
			return fmt.Errorf("lists %q", now)
		}
		return nil
	})
	contains(t, s.fails(t, "kubectl get secret -n kube-public "+unused), "not found")
}
