package place_test

import (
	"path/filepath"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"laterna.dev/laterna/boundtoken"
	"laterna.dev/laterna/internal/volumes/fakeapi"
)

// TestTokenOfAccountMadeAnewIsReplacedAtOnce holds also that a volume is not in step
// while the API would refuse its token.
func TestTokenOfAccountMadeAnewIsReplacedAtOnce(t *testing.T) {
	api := fakeapi.New(t)
	api.MintTokens(t)
	account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "sa", UID: "first"}}
	api.Put(account)
	b := newBench(t, api)
	p := b.pod("p", `{serviceAccountName: sa, volumes: [{name: v, projected: {sources: [{serviceAccountToken: {path: token}}]}}]}`)
	b.setup(p)
	token := filepath.Join(b.PodDir(p.UID), "volumes/kubernetes.io~projected/v")
	shows := func(uid string) func() bool {
		return func() bool {
			parsed, err := boundtoken.Parse(read(token, "token"))
			return err == nil && parsed.UnverifiedClaims().Kubernetes.ServiceAccount.UID == uid && b.status(p).Problem == ""
		}
	}
	eventually(t, "the token is the first account's", shows("first"))

	api.Delete("serviceaccounts", "ns", "sa")
	const gone = `the API refuses the tokens of this volume: service account "sa" is gone`
	eventually(t, "it is told that the account is gone", func() bool { return b.status(p).Problem == gone })
	if told := strings.Join(b.told(), " "); !strings.Contains(told, gone) {
		t.Errorf("events %q", told)
	}

	account.UID = "second"
	api.Put(account)
	eventually(t, "the token is the second account's", shows("second"))
}
