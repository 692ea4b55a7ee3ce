package tokenissuer

import (
	"fmt"
	"math"
	"time"

	configv1 "laterna.dev/laterna/api/config/v1"
	operatorv1 "laterna.dev/laterna/api/operator/v1"
	"laterna.dev/laterna/internal/tokens/issuer"
	"laterna.dev/laterna/internal/tokens/issuer/status"
)

// situation is all that a decision is made from.
type situation struct {
	want   configv1.AuthenticationSpec
	now    *operatorv1.KubeAPIServer
	nodes  []node
	key    string // ID of the key that signs; "" when it is not known yet
	issuer string // that of new tokens where nothing is asked for
	// unasked says that nothing was asked for before either: then the issuer stays that
	// somebody's flag has made active. Servers with other flags would take turns.
	unasked bool
	// overlap is how long a former issuer is trusted.
	overlap time.Duration
	// clock is the time of tokens, wall that of conditions.
	clock, wall time.Time
	// grace says that nodes which never reported may only have started.
	grace bool
}

// decision is what the status becomes, and what to tell of it.
type decision struct {
	status operatorv1.KubeAPIServerStatus
	// changed tells of a change of the issuer, and warning of one that is refused.
	changed, warning string
}

// decide is the whole of what this controller knows: which issuers are accepted, which
// revision that is, and how far the nodes are.
func decide(s situation) decision {
	var d decision
	old := &s.now.Status
	old.DeepCopyInto(&d.status)
	want, before := s.want.ServiceAccountIssuer, old.ActiveIssuer()
	switch {
	case want == "" && s.unasked && before != "":
		want = before
	case want == "":
		want = s.issuer
	}
	next, err := status.Next(old, want, s.overlap, s.clock)
	if invalid := issuer.Validate([]string{want}); invalid != nil {
		err = invalid
	}
	switch {
	case err != nil:
		d.warning = err.Error()
		d.status.ServiceAccountIssuers = unended(old.ServiceAccountIssuers, s.clock)
	case before != want:
		d.changed = changeText(before, want, next)
		fallthrough
	default:
		d.status.ServiceAccountIssuers = next
	}
	if s.key != "" {
		d.status.SigningKeyID = s.key
	}
	d.status.ObservedGeneration = s.now.Generation
	if old.LatestAvailableRevision <= 0 || d.status.ActiveIssuer() != before ||
		d.status.SigningKeyID != old.SigningKeyID && old.SigningKeyID != "" ||
		old.ObservedGeneration != 0 && d.status.ObservedGeneration != old.ObservedGeneration {
		d.status.LatestAvailableRevision = max(d.status.LatestAvailableRevision, 0)%math.MaxInt32 + 1
		s.grace = true
	}
	p := measure(s.nodes, d.status.LatestAvailableRevision, s.grace)
	d.status.NodeStatuses = p.statuses
	d.status.Conditions = p.conditions(old.Conditions, d.warning, s.wall)
	return d
}

func changeText(before, want string, next []trusted) string {
	if before == "" {
		return ""
	}
	for _, t := range next {
		if t.Name == before && t.ExpirationTime != nil {
			return fmt.Sprintf("Issuer set to %q. Previous issuer %q is trusted until %s", want, before, t.ExpirationTime.UTC().Format(time.RFC3339))
		}
	}
	return fmt.Sprintf("Issuer set to %q. Previous issuer %q is not trusted any more", want, before)
}
