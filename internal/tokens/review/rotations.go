package review

import (
	"hash/maphash"
	"time"

	"k8s.io/utils/lru"

	"laterna.dev/laterna/boundtoken"
)

const (
	// reread is how often a client looks at its token's file (client-go's period).
	reread = 60 * time.Second
	// grace is how long after a rotation the old token may be used: one period of
	// the client and one of whoever keeps the file.
	grace = 2 * reread
	// rotationsSize is the number of tokens whose issue is remembered, about 150
	// bytes each.
	rotationsSize = 16384
)

// Rotations remembers when the nodes' agents were last given each of their pods'
// tokens. It knows what this process has issued since it began. It is safe for
// concurrent use.
type Rotations struct {
	newest *lru.Cache // rotation to boundtoken.Date
	seed   maphash.Seed
}

// rotation names what stays the same when a pod's token is replaced: two volumes of a
// pod may hold tokens for the same audience with lives of their own.
type rotation struct {
	pod             string // UID
	audiences       uint64
	life, warnAfter boundtoken.Date // counted from the issue
}

// NewRotations returns one that remembers nothing.
func NewRotations() *Rotations {
	return &Rotations{newest: lru.New(rotationsSize), seed: maphash.MakeSeed()}
}

// Issued notes a token that a node's agent is being given.
func (r *Rotations) Issued(c *boundtoken.Claims) {
	if c.Kubernetes.Pod == nil {
		return
	}
	key := r.of(c)
	if known, ok := r.newest.Get(key); !ok || known.(boundtoken.Date) < c.IssuedAt {
		r.newest.Add(key, c.IssuedAt)
	}
}

// replaced returns for how long a token should not be in use any more, zero if it
// may be.
func (r *Rotations) replaced(c *boundtoken.Claims, now time.Time) time.Duration {
	if r == nil || c.Kubernetes.Pod == nil {
		return 0
	}
	newest, ok := r.newest.Get(r.of(c))
	if !ok || newest.(boundtoken.Date) <= c.IssuedAt {
		return 0
	}
	if since := now.Sub(newest.(boundtoken.Date).Time()); since > grace {
		return since
	}
	return 0
}

// of does not depend on the order of the audiences. Audiences that share a hash by
// chance could make a token look stale; nothing but a count follows from that.
func (r *Rotations) of(c *boundtoken.Claims) rotation {
	key := rotation{pod: c.Kubernetes.Pod.UID, life: c.Expiry - c.IssuedAt}
	if c.Kubernetes.WarnAfter != 0 {
		key.warnAfter = c.Kubernetes.WarnAfter - c.IssuedAt
	}
	for _, a := range c.Audience {
		key.audiences += maphash.String(r.seed, a)
	}
	return key
}
