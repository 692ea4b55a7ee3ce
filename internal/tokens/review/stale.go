package review

import (
	"context"
	"fmt"
	"sync"
	"time"

	"k8s.io/apiserver/pkg/audit"
	"k8s.io/component-base/metrics"

	"laterna.dev/laterna/boundtoken"
)

// StaleAnnotation is the audit annotation of requests with a token that should have
// been replaced. Upstream's, authentication.k8s.io/stale-token, stands beside it for
// those past their claim warnafter.
const StaleAnnotation = "authentication.laterna.dev/stale-token"

// counters are what the check of tokens counts, under upstream's names where it has
// one.
type counters struct {
	stale, valid                      *metrics.Counter
	legacy, manual, auto, invalidated *metrics.Counter
	uses                              *metrics.CounterVec

	// named are the service accounts that uses has a series of.
	mu    sync.Mutex
	named map[[2]string]struct{}
}

// maxNamed is the number of service accounts that are counted under their own name:
// who may create accounts must not be able to fill the memory of those who collect.
const maxNamed = 500

// others stands for all further ones. It is no valid name.
const others = "(others)"

func newCounters() *counters {
	return &counters{
		stale:       counter("stale_tokens_total", "Cumulative stale projected service account tokens used"),
		valid:       counter("valid_tokens_total", "Cumulative valid projected service account tokens used"),
		legacy:      counter("legacy_tokens_total", "Cumulative legacy service account tokens used"),
		manual:      counter("legacy_manual_token_uses_total", "Cumulative manually created legacy tokens used"),
		auto:        counter("legacy_auto_token_uses_total", "Cumulative auto-generated legacy tokens used"),
		invalidated: counter("invalid_legacy_auto_token_uses_total", "Cumulative invalidated auto-generated legacy tokens used"),
		uses: metrics.NewCounterVec(&metrics.CounterOpts{
			Subsystem: "laterna",
			Name:      "stale_token_uses_total",
			Help: "Uses of service account tokens that should have been replaced: a newer one was issued to the pod's node more than two minutes before (superseded), " +
				"or the claim warnafter has passed (warnafter)",
			StabilityLevel: metrics.ALPHA,
		}, []string{"namespace", "service_account", "reason"}),
		named: map[[2]string]struct{}{},
	}
}

func counter(name, help string) *metrics.Counter {
	return metrics.NewCounter(&metrics.CounterOpts{
		Subsystem:      "serviceaccount",
		Name:           name,
		Help:           help,
		StabilityLevel: metrics.ALPHA,
	})
}

func (c *counters) all() []metrics.Registerable {
	return []metrics.Registerable{c.stale, c.valid, c.legacy, c.manual, c.auto, c.invalidated, c.uses}
}

// used counts the use of a stale token.
func (c *counters) used(u StaleUse) {
	namespace, account := c.name(u.Namespace, u.ServiceAccount)
	c.uses.WithLabelValues(namespace, account, string(u.Reason)).Inc()
}

func (c *counters) name(namespace, account string) (string, string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	key := [2]string{namespace, account}
	if _, ok := c.named[key]; !ok {
		if len(c.named) == maxNamed {
			return others, others
		}
		c.named[key] = struct{}{}
	}
	return namespace, account
}

// noteAge counts tokens of extended life, and marks the use of tokens that should have
// been replaced.
func (a *Authenticator) noteAge(ctx context.Context, c *boundtoken.Claims, now time.Time) {
	warn := c.Kubernetes.WarnAfter
	switch {
	case warn == 0:
	case now.After(warn.Time()):
		audit.AddAuditAnnotation(ctx, "authentication.k8s.io/stale-token",
			fmt.Sprintf("subject: %s, seconds after warning threshold: %d", c.Subject, now.Unix()-int64(warn)))
		a.counters.stale.WithContext(ctx).Inc()
	default:
		a.counters.valid.WithContext(ctx).Inc()
	}
	if since := a.config.Rotations.replaced(c, now); since > 0 {
		a.noteStale(ctx, c, Superseded, since)
	} else if warn != 0 && now.After(warn.Time()) {
		a.noteStale(ctx, c, WarnAfter, now.Sub(warn.Time()))
	}
}

func (a *Authenticator) noteStale(ctx context.Context, c *boundtoken.Claims, reason StaleReason, since time.Duration) {
	k := &c.Kubernetes
	u := StaleUse{Namespace: k.Namespace, ServiceAccount: k.ServiceAccount.Name, Reason: reason, For: since}
	if k.Pod != nil {
		u.Pod, u.PodUID = k.Pod.Name, k.Pod.UID
	}
	audit.AddAuditAnnotation(ctx, StaleAnnotation, fmt.Sprintf("reason: %s, seconds: %d, service account: %s/%s, pod: %s, pod uid: %s, credential: JTI=%s",
		reason, int64(since/time.Second), k.Namespace, k.ServiceAccount.Name, u.Pod, u.PodUID, c.ID))
	a.counters.used(u)
	if a.config.Observer != nil {
		a.config.Observer.StaleTokenUsed(u)
	}
}
