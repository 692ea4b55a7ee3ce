package compat

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// Forged tokens are in internal/apiserver/forgery_test.go, where the server's own key is
// at hand; here are attacks with what the system has issued itself.

// unauthorized fails unless a token is refused by TokenReview, for a reason, and by the
// API with 401.
func (s *system) unauthorized(t testing.TB, when, token, reason string) {
	t.Helper()
	s.accepted(t, when, token, reason)
	if code, body := s.get(t, token, "/api"); code != http.StatusUnauthorized {
		t.Errorf("%s: GET /api: %d %s, want 401", when, code, body)
	}
}

// pendingPod is a pod that no node takes.
const pendingPod = `
apiVersion: v1
kind: Pod
metadata: {name: bound}
spec:
  nodeSelector: {there-is: none}
  containers: [{name: c, image: none}]
`

// TestAttackTokenOfAFormerLife keeps a token over the deletion of what it is bound to,
// and over the creation of another object of that name.
func TestAttackTokenOfAFormerLife(t *testing.T) {
	t.Parallel()
	s := shared
	ns := s.namespace(t)
	node := "spare-" + ns
	t.Cleanup(func() { s.sh(t, "kubectl delete node --ignore-not-found "+node) })
	for kind, tc := range map[string]struct {
		create, remove   func()
		bind             string
		deleted, another string
	}{
		"pod": {func() { s.apply(t, ns, pendingPod) }, func() { s.sh(t, "kubectl delete pod bound --force --grace-period=0 -n "+ns) },
			" --bound-object-kind Pod --bound-object-name bound", "service account token has been invalidated", "pod UID ("},
		"secret": {func() { s.sh(t, "kubectl create secret generic bound -n "+ns) }, func() { s.sh(t, "kubectl delete secret bound -n "+ns) },
			" --bound-object-kind Secret --bound-object-name bound", "service account token has been invalidated", "secret UID ("},
		"node": {func() { s.apply(t, ns, "apiVersion: v1\nkind: Node\nmetadata: {name: "+node+"}\n") }, func() { s.sh(t, "kubectl delete node "+node) },
			" --bound-object-kind Node --bound-object-name " + node, "service account token has been invalidated", "node UID ("},
		"service account": {func() { s.sh(t, "kubectl create sa account -n "+ns) }, func() { s.sh(t, "kubectl delete sa account -n "+ns) },
			"", `serviceaccounts "account" not found`, "service account UID ("},
	} {
		t.Run(kind, func(t *testing.T) {
			account := "default"
			if kind == "service account" {
				account = "account"
			}
			tc.create()
			token := strings.TrimSpace(s.sh(t, "kubectl create token "+account+" -n "+ns+tc.bind))
			if code, body := s.get(t, token, "/api"); code != http.StatusOK {
				t.Fatalf("at first: %d %s", code, body)
			}
			tc.remove()
			s.unauthorized(t, "after the deletion", token, tc.deleted)
			tc.create()
			s.unauthorized(t, "in the next life of the name", token, tc.another)
		})
	}
}

// TestAttackTokenRequestForAnotherLife asks for tokens of objects that are not those of
// the name.
func TestAttackTokenRequestForAnotherLife(t *testing.T) {
	t.Parallel()
	s := shared
	ns := s.namespace(t)
	s.apply(t, ns, pendingPod)
	accounts := s.client(t).CoreV1().ServiceAccounts(ns)
	const other = types.UID("11111111-2222-4333-8444-555555555555")
	for what, tc := range map[string]struct {
		request authenticationv1.TokenRequest
		want    string
	}{
		"account": {authenticationv1.TokenRequest{ObjectMeta: metav1.ObjectMeta{UID: other}}, "UID"},
		"pod":     {bindTo("Pod", "bound", other), "the UID in the bound object reference (" + string(other) + ") does not match the UID in record"},
		"name":    {authenticationv1.TokenRequest{ObjectMeta: metav1.ObjectMeta{Name: "another"}}, "another"},
		"missing": {bindTo("Pod", "none", ""), `pods "none" not found`},
		"kind":    {bindTo("ConfigMap", "kube-root-ca.crt", ""), "cannot bind token to object of type"},
		"path":    {bindTo("Pod", "../default/bound", ""), "may not contain '/'"},
	} {
		r, err := accounts.CreateToken(t.Context(), "default", &tc.request, metav1.CreateOptions{})
		if err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: %v with a token of %d bytes, want %s", what, err, len(r.Status.Token), tc.want)
		}
	}
}

func bindTo(kind, name string, uid types.UID) authenticationv1.TokenRequest {
	return authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{
		BoundObjectRef: &authenticationv1.BoundObjectReference{APIVersion: "v1", Kind: kind, Name: name, UID: uid}}}
}

// TestAttackReplay shows tokens again after a strict change of the issuer and after the
// withdrawal of the key, to the API and to relying parties that know the issuer.
func TestAttackReplay(t *testing.T) {
	t.Parallel()
	s := keyServer(t, "--service-account-issuer-overlap", "0s")
	issue := func() string {
		t.Helper()
		return strings.TrimSpace(s.sh(t, "kubectl create token default --audience vault --audience https://kubernetes.default.svc.cluster.local/a --audience https://kubernetes.default.svc/b"))
	}
	const first, second = "https://kubernetes.default.svc.cluster.local/a", "https://kubernetes.default.svc/b"
	issuedBy := func(want string) (token string) {
		t.Helper()
		eventually(t, 5*time.Second, func() error {
			if token = issue(); decode(t, token).Issuer != want {
				return fmt.Errorf("tokens are issued by %s", decode(t, token).Issuer)
			}
			return nil
		})
		return token
	}
	clock := &offsetClock{}
	parties := func() map[string]party { // of those that start now
		return map[string]party{"go-oidc": newOIDCParty(s.outside(t), clock, first, second), "golang-jwt": newJWTParty(s.outside(t), clock, first, second)}
	}
	offline := func(when, token string, want bool, parties map[string]party) {
		t.Helper()
		for name, p := range parties {
			if _, err := p.login(t.Context(), token); (err == nil) != want {
				t.Errorf("%s: %s says %v", when, name, err)
			}
		}
	}
	s.setIssuer(t, first)
	token := issuedBy(first)
	offline("at first", token, true, parties())
	if code, body := s.get(t, token, "/api"); code != http.StatusOK {
		t.Fatalf("at first: %d %s", code, body)
	}
	s.setIssuer(t, second)
	fresh := issuedBy(second)
	s.unauthorized(t, "after the strict change", token, `token issuer "`+first+`" is invalid: it was trusted until `)
	offline("after the strict change", token, false, parties())
	offline("after the strict change", fresh, true, parties())
	if code, body := s.get(t, "", "/a/.well-known/openid-configuration"); code != http.StatusNotFound {
		t.Errorf("the former issuer's document: %d %s", code, body)
	}

	s.sh(t, "laterna keys rotate --now --data-dir "+s.Dir)
	if code, body := s.get(t, fresh, "/api"); code != http.StatusOK {
		t.Errorf("after the rotation: %d %s", code, body)
	}
	s.sh(t, `kubectl delete signingkey $(kubectl get signingkeys -o jsonpath='{.items[?(@.status.state=="Retired")].metadata.name}')`)
	s.unauthorized(t, "after the withdrawal of its key", fresh, "invalid signature, no keys found")
	offline("after the withdrawal of its key", fresh, false, parties())
	offline("after the withdrawal of the other key", issue(), true, parties())
	if err := s.Stop(); err != nil {
		t.Fatal(err)
	}
	if err := s.Start(); err != nil {
		t.Fatal(err)
	}
	s.unauthorized(t, "after a restart", fresh, "invalid signature, no keys found")
}
