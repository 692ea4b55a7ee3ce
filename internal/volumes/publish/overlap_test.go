package publish_test

import (
	"testing"

	corev1 "k8s.io/api/core/v1"

	"laterna.dev/laterna/internal/volumes/fakeapi"
	"laterna.dev/laterna/internal/volumes/tokencache"
)

// TestTokenIsRenewedWhereATokenIs holds that after a restart, while a source of the volume
// is missing, fresh tokens take the place of tokens and of nothing else: a ConfigMap
// without items may have a key at a token's path, or none.
func TestTokenIsRenewedWhereATokenIs(t *testing.T) {
	for _, tc := range []struct {
		name, key string
		renewed   bool
	}{
		{"the ConfigMap has the file", "token", false},
		{"the ConfigMap has another", "other", true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			b := newBench(t, nil)
			b.api.MintTokens(t)
			b.api.Put(fakeapi.ConfigMap("ns", "c", tc.key, "text"))
			b.api.Put(fakeapi.Secret("ns", "s", "password", "old"))
			p := pod("p")
			sources := &p.Spec.Volumes[0].Projected.Sources
			(*sources)[0], (*sources)[1] = (*sources)[1], (*sources)[0] // the later one wins
			*sources = append(*sources, corev1.VolumeProjection{Secret: &corev1.SecretProjection{LocalObjectReference: corev1.LocalObjectReference{Name: "s"}}})
			b.setup(p)
			first := b.read(p, "token")
			if (first == "text") == tc.renewed {
				t.Fatalf("at first the token's path shows %d bytes", len(first))
			}
			b.end()
			b.api.Delete("secrets", "ns", "s")
			b.start()
			b.Adopt([]*corev1.Pod{p})
			b.eventually("a look at the sources", func() bool { return b.Snapshot(p.UID)[0].Problem != "" })
			b.tokens.Renew(func(tokencache.Request, tokencache.Token) bool { return true })
			b.eventually("the fresh token", func() bool {
				all := b.Snapshot(p.UID)[0].Tokens
				return len(all) == 1 && b.TokensBehind() == 0
			})
			if got := b.read(p, "token"); (got != first) != tc.renewed {
				t.Errorf("renewed: %v; the token's path shows %d bytes", got != first, len(got))
			}
			if got := b.read(p, "password"); got != "old" {
				t.Errorf("password %q", got)
			}
		})
	}
}
