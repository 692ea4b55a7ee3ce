package compat

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// vaultPod is the pod of the document, with its projected token as given.
func vaultPod(name, token string) string {
	return fmt.Sprintf(`
apiVersion: v1
kind: Pod
metadata:
  name: %s
spec:
  containers:
  - image: nginx
    name: nginx
    volumeMounts:
    - mountPath: /var/run/secrets/tokens
      name: vault-token
  serviceAccountName: build-robot
  volumes:
  - name: vault-token
    projected:
      sources:
      - serviceAccountToken:
          path: vault-token
%s`, name, token)
}

const vaultToken = "          expirationSeconds: 7200\n          audience: vault\n"

var uuid = regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`)

func TestO1BoundTokenByVolumeProjection(t *testing.T) {
	t.Parallel()
	ns := shared.namespace(t)
	shared.sh(t, "kubectl create sa build-robot -n "+ns)
	shared.apply(t, ns, vaultPod("nginx", vaultToken))
	shared.running(t, ns, "nginx")
	c := decode(t, shared.exec(t, ns, "nginx", "cat", "/var/run/secrets/tokens/vault-token"))

	if c.Issuer != "https://kubernetes.default.svc" || c.Subject != "system:serviceaccount:"+ns+":build-robot" {
		t.Errorf("iss %q, sub %q", c.Issuer, c.Subject)
	}
	if !slices.Equal(c.Audience, []string{"vault"}) || c.Expiry-c.IssuedAt != 7200 || !uuid.MatchString(c.ID) {
		t.Errorf("aud %q, life %d, jti %q", c.Audience, c.Expiry-c.IssuedAt, c.ID)
	}
	k := c.Kubernetes
	if k.Namespace != ns || k.Pod == nil || k.Node == nil {
		t.Fatalf("kubernetes.io claim %+v", k)
	}
	for object, got := range map[string]ref{
		"serviceaccount/build-robot": k.ServiceAccount, "pod/nginx": *k.Pod, "node/" + k.Node.Name: *k.Node,
	} {
		if uid := shared.field(t, ns, object, "{.metadata.uid}"); got.UID != uid || !strings.HasSuffix(object, "/"+got.Name) {
			t.Errorf("claim of %s is %+v, its uid is %s", object, got, uid)
		}
	}
}

func TestO2TokenDefaults(t *testing.T) {
	t.Parallel()
	ns := shared.namespace(t)
	shared.sh(t, "kubectl create sa build-robot -n "+ns)
	shared.apply(t, ns, vaultPod("plain", ""))
	shared.running(t, ns, "plain")
	c := decode(t, shared.exec(t, ns, "plain", "cat", "/var/run/secrets/tokens/vault-token"))
	if c.Expiry-c.IssuedAt != 3600 {
		t.Errorf("life %d s, want 3600", c.Expiry-c.IssuedAt)
	}
	if want := []string{"https://kubernetes.default.svc", "api"}; !slices.Equal(c.Audience, want) {
		t.Errorf("aud %q, want the server's audiences %q", c.Audience, want)
	}
}

func TestO3TooShortLifeIsRefused(t *testing.T) {
	t.Parallel()
	ns := shared.namespace(t)
	shared.sh(t, "kubectl create sa build-robot -n "+ns)
	msg := shared.refused(t, ns, vaultPod("short", "          expirationSeconds: 599\n"))
	contains(t, msg, "spec.volumes[0].projected.sources[0].serviceAccountToken.expirationSeconds",
		"Invalid value: 599", "may not specify a duration less than 10 minutes")
}

func TestO4RotationWithoutRestart(t *testing.T) {
	for _, tc := range []struct {
		name    string
		seconds int
		early   time.Duration // no rotation yet
		due     time.Duration // rotation by then
	}{
		{"at 80 percent", 7200, 94 * time.Minute, 97 * time.Minute},
		{"at 24 hours", 7 * 24 * 3600, 23*time.Hour + 59*time.Minute, 24*time.Hour + time.Minute},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := started(t, "--test-clock")
			ns := s.namespace(t)
			s.sh(t, "kubectl create sa build-robot -n "+ns)
			s.apply(t, ns, vaultPod("nginx", fmt.Sprintf("          expirationSeconds: %d\n          audience: vault\n", tc.seconds)))
			s.running(t, ns, "nginx")
			read := func() string { return s.exec(t, ns, "nginx", "cat", "/var/run/secrets/tokens/vault-token") }
			old := read()

			s.sh(t, "laterna clock advance --data-dir "+s.Dir+" "+tc.early.String())
			if now := read(); now != old {
				t.Fatalf("rotated before it is due")
			}
			s.sh(t, "laterna clock advance --data-dir "+s.Dir+" "+(tc.due-tc.early).String())
			eventually(t, 5*time.Second, func() error {
				if read() == old {
					return fmt.Errorf("the file still holds the old token")
				}
				return nil
			})
			if c, before := decode(t, read()), decode(t, old); c.IssuedAt <= before.IssuedAt || c.Subject != before.Subject {
				t.Errorf("new token %+v after %+v", c, before)
			}
			if r := review(t, s, old, "vault"); !r.Authenticated {
				t.Errorf("the old token is refused before its end: %s", r.Error)
			}
			if restarts := s.field(t, ns, "pod/nginx", "{.status.containerStatuses[0].restartCount}"); restarts != "0" {
				t.Errorf("the container was restarted %s times", restarts)
			}
		})
	}
}

// review asks the API to check a token.
func review(t testing.TB, s *system, token string, audiences ...string) authenticationv1.TokenReviewStatus {
	t.Helper()
	r, err := s.client(t).AuthenticationV1().TokenReviews().Create(t.Context(), &authenticationv1.TokenReview{
		Spec: authenticationv1.TokenReviewSpec{Token: strings.TrimSpace(token), Audiences: audiences},
	}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return r.Status
}

func TestO9RecipientChecks(t *testing.T) {
	t.Parallel()
	ns := shared.namespace(t)
	shared.sh(t, "kubectl create sa build-robot -n "+ns)
	for _, pod := range []string{"one", "two"} {
		shared.apply(t, ns, vaultPod(pod, vaultToken))
	}
	shared.running(t, ns, "one", "two")
	one := shared.exec(t, ns, "one", "cat", "/var/run/secrets/tokens/vault-token")
	two := shared.exec(t, ns, "two", "cat", "/var/run/secrets/tokens/vault-token")

	r := review(t, shared, one, "vault")
	if !r.Authenticated || !slices.Equal(r.Audiences, []string{"vault"}) || r.User.Username != "system:serviceaccount:"+ns+":build-robot" {
		t.Errorf("a good token: %+v", r)
	}
	if pod := r.User.Extra["authentication.kubernetes.io/pod-name"]; !slices.Equal(pod, []string{"one"}) {
		t.Errorf("pod-name extra %q", pod)
	}
	refused := func(when, token, audience, reason string) {
		t.Helper()
		r := review(t, shared, token, audience)
		if r.Authenticated || !strings.Contains(r.Error, reason) {
			t.Errorf("%s: %+v, want a refusal that says %q", when, r, reason)
		}
	}
	refused("another audience", one, "other", "is invalid for the target audiences")
	refused("a tampered token", one[:len(one)-10]+"AAAAAAAAAA", "vault", "invalid signature")
	shared.sh(t, "kubectl delete pod one --now -n "+ns)
	refused("after the pod is deleted", one, "vault", "service account token has been invalidated")
	shared.sh(t, "kubectl delete sa build-robot -n "+ns+" && kubectl create sa build-robot -n "+ns)
	refused("after the service account is re-created", two, "vault", "does not match claim")
}
