package credentialprovider

import (
	"context"
	"sync"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"laterna.dev/laterna/internal/clock"
	"laterna.dev/laterna/internal/redacted"
)

const (
	// tokenLife is what upstream asks for, in seconds.
	tokenLife = 3600
	// tokenUse is how long a token is used again: for the containers of a pod, and for
	// those that are started again soon. Nobody refreshes it.
	tokenUse = 10 * time.Minute
	// maxTokens bounds the tokens that are remembered.
	maxTokens = 1000
)

// tokenOf tells tokens apart.
type tokenOf struct {
	pod      types.UID
	account  string
	audience string
}

// tokens asks for tokens of pods, and remembers them for a while. It is safe for
// concurrent use.
type tokens struct {
	ask   func(ctx context.Context, namespace, account string, r *authenticationv1.TokenRequest) (*authenticationv1.TokenRequest, error)
	clock clock.Wall

	mu  sync.Mutex
	all map[tokenOf]remembered
}

type remembered struct {
	token redacted.Text
	until time.Time
}

// of returns a token of the pod's service account.
func (t *tokens) of(ctx context.Context, pod *corev1.Pod, audience string) (redacted.Text, error) {
	w := tokenOf{pod.UID, pod.Spec.ServiceAccountName, audience}
	t.mu.Lock()
	known, ok := t.all[w]
	t.mu.Unlock()
	if ok && t.clock.Now().Before(known.until) {
		return known.token, nil
	}
	life := int64(tokenLife)
	got, err := t.ask(ctx, pod.Namespace, pod.Spec.ServiceAccountName, &authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{
		Audiences: []string{audience}, ExpirationSeconds: &life,
		BoundObjectRef: &authenticationv1.BoundObjectReference{APIVersion: "v1", Kind: "Pod", Name: pod.Name, UID: pod.UID},
	}})
	if err != nil {
		return redacted.Text{}, err
	}
	token := redacted.New(got.Status.Token)
	t.mu.Lock()
	defer t.mu.Unlock()
	now := t.clock.Now()
	for w, r := range t.all {
		if !now.Before(r.until) || len(t.all) >= maxTokens {
			delete(t.all, w)
		}
	}
	t.all[w] = remembered{token, now.Add(tokenUse)}
	return token, nil
}
