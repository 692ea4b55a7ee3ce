package boundtoken

import (
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/google/uuid"
)

// Leeway is how far the clocks of an issuer and a verifier may differ.
const Leeway = 60 * time.Second

// maxDate is the last second of the year 9999, the last that RFC 3339 can write.
const maxDate = 253402300799

// Date is a time in whole seconds since 1970 (NumericDate of RFC 7519). Zero
// means absent.
type Date int64

// NewDate returns t in whole seconds, rounded down.
func NewDate(t time.Time) Date { return Date(t.Unix()) }

// Time returns the date as a time in UTC.
func (d Date) Time() time.Time { return time.Unix(int64(d), 0).UTC() }

// UnmarshalJSON implements json.Unmarshaler. It takes only whole numbers up to
// the year 9999.
func (d *Date) UnmarshalJSON(b []byte) error {
	n, err := strconv.ParseUint(string(b), 10, 63)
	if err != nil || n > maxDate || len(b) > 1 && b[0] == '0' {
		return fmt.Errorf("date is not a whole number of seconds within the year 9999")
	}
	*d = Date(n)
	return nil
}

// Ref names one object, of this life of its name.
type Ref struct {
	Name string `json:"name,omitempty"`
	UID  string `json:"uid,omitempty"`
}

// Bound is the claim "kubernetes.io": what a token lives with.
type Bound struct {
	Namespace string `json:"namespace,omitempty"`
	// Node is the node that a token is bound to or, when Pod is set, the node
	// that the pod was on when the token was issued.
	Node           *Ref `json:"node,omitempty"`
	Pod            *Ref `json:"pod,omitempty"`
	Secret         *Ref `json:"secret,omitempty"`
	ServiceAccount Ref  `json:"serviceaccount"`
	// WarnAfter is when a token of extended life should have been replaced.
	WarnAfter Date `json:"warnafter,omitempty"`
}

// Claims are the contents of a token, in the order in which they are encoded.
type Claims struct {
	Audience   []string `json:"aud,omitempty"`
	Expiry     Date     `json:"exp,omitempty"`
	IssuedAt   Date     `json:"iat,omitempty"`
	Issuer     string   `json:"iss,omitempty"`
	ID         string   `json:"jti,omitempty"`
	Kubernetes Bound    `json:"kubernetes.io"`
	NotBefore  Date     `json:"nbf,omitempty"`
	Subject    string   `json:"sub,omitempty"`
}

// Grant is what a token shall say.
type Grant struct {
	// Namespace and ServiceAccount name the account that the token is for.
	Namespace      string
	ServiceAccount Ref
	// Pod, Secret and Node are what the token is bound to; a pod may come
	// with its node. All may be nil.
	Pod, Secret, Node *Ref
	// Audience lists the recipients; at least one.
	Audience []string
	// Lifetime is the time from issue to expiry, in whole seconds.
	Lifetime time.Duration
	// WarnAfter is the time from issue to the claim warnafter; 0 omits it.
	WarnAfter time.Duration
}

// NewClaims returns the claims of a token that is issued at now for g, with a
// fresh ID (a random UUID). The issuer is left to Mint's caller.
func NewClaims(g Grant, now time.Time) Claims {
	c := Claims{
		Audience:  slices.Clone(g.Audience),
		Expiry:    NewDate(now.Add(g.Lifetime)),
		IssuedAt:  NewDate(now),
		ID:        uuid.NewString(),
		NotBefore: NewDate(now),
		Subject:   subjectText(g.Namespace, g.ServiceAccount.Name),
		Kubernetes: Bound{
			Namespace:      g.Namespace,
			Node:           g.Node,
			Pod:            g.Pod,
			Secret:         g.Secret,
			ServiceAccount: g.ServiceAccount,
		},
	}
	if g.WarnAfter > 0 {
		c.Kubernetes.WarnAfter = NewDate(now.Add(g.WarnAfter))
	}
	return c
}

// subjectText is the claim sub of an account whose names nobody has looked at.
func subjectText(namespace, name string) string {
	return Subject{namespace, name}.String()
}

// Check tells whether the claims are complete and agree with each other, and whether the
// service account can exist (see Subject).
func (c *Claims) Check() error {
	k := &c.Kubernetes
	switch {
	case c.Issuer == "":
		return refuse(BadClaims, "token has no issuer")
	case c.Expiry == 0:
		return refuse(BadClaims, "token has no expiry")
	case k.Namespace == "" || k.ServiceAccount.Name == "" || k.ServiceAccount.UID == "":
		return refuse(BadClaims, "token names no service account")
	case !names(c.Subject, k.Namespace, k.ServiceAccount.Name):
		return refuse(BadClaims, "token subject %s is not its service account", quote(c.Subject))
	case k.Secret != nil && (k.Pod != nil || k.Node != nil):
		return refuse(BadClaims, "token is bound to a secret and to something else")
	case incomplete(k.Secret), incomplete(k.Pod), k.Pod == nil && incomplete(k.Node):
		return refuse(BadClaims, "token is bound to an object without name or uid")
	}
	return nil
}

// names tells whether subject is that of a service account.
func names(subject, namespace, name string) bool {
	s, err := NewSubject(namespace, name)
	return err == nil && subject == s.String()
}

func incomplete(r *Ref) bool { return r != nil && (r.Name == "" || r.UID == "") }

// CheckIssuer tells whether the claim iss is one of issuers.
func (c *Claims) CheckIssuer(issuers []Issuer) error {
	if c.Issuer == "" || !slices.Contains(issuers, Issuer{c.Issuer}) {
		return refuse(WrongIssuer, "token issuer %s is invalid", quote(c.Issuer))
	}
	return nil
}

// CheckAudience returns those of want that the token is for, in the order of
// want, or an error when there are none.
func (c *Claims) CheckAudience(want []string) ([]string, error) {
	var both []string
	for _, a := range want {
		if slices.Contains(c.Audience, a) {
			both = append(both, a)
		}
	}
	if len(both) == 0 {
		return nil, refuse(WrongAudience, "token audiences %q is invalid for the target audiences %q", c.Audience, want)
	}
	return both, nil
}

// CheckTime tells whether the token is valid at now, give or take Leeway.
func (c *Claims) CheckTime(now time.Time) error {
	switch {
	case c.NotBefore != 0 && now.Add(Leeway).Before(c.NotBefore.Time()):
		return refuse(NotYetValid, "service account token is not valid yet")
	case now.Add(-Leeway).After(c.Expiry.Time()):
		return refuse(Expired, "service account token has expired")
	case c.IssuedAt != 0 && now.Add(Leeway).Before(c.IssuedAt.Time()):
		return refuse(IssuedInFuture, "service account token is issued in the future")
	}
	return nil
}
