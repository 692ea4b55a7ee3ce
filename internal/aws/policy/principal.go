package policy

import (
	"strings"

	"laterna.dev/laterna/internal/aws/arn"
)

// Principal is who asks. A web identity has only Federated, a service only Service; all
// others have an account.
type Principal struct {
	Federated string `json:"federated,omitempty"` // the ARN of the identity provider, or its domain where it is built in
	Service   string `json:"service,omitempty"`

	ARN       string `json:"arn,omitempty"` // of the user, the account's root or the session
	ID        string `json:"id,omitempty"`  // AIDA…, the account, or AROA…:session
	Account   string `json:"account,omitempty"`
	Partition string `json:"partition,omitempty"` // empty means aws

	// Of a session of a role: the role.
	RoleARN string `json:"roleARN,omitempty"`
	RoleID  string `json:"roleID,omitempty"`
}

// Grant is how a principal is named in a policy. It says whose consent is needed in addition.
type Grant string

// The grants, from none to the strongest.
const (
	NoGrant      Grant = ""
	ThroughAll   Grant = "all"     // "*"
	ThroughOwner Grant = "account" // its account, which must agree by an identity policy
	ThroughRole  Grant = "role"    // the role whose session it is
	Itself       Grant = "itself"
)

// strength orders grants by how little consent they need.
func (g Grant) strength() int {
	switch g {
	case ThroughOwner:
		return 1
	case ThroughRole:
		return 2
	case ThroughAll:
		return 3
	case Itself:
		return 4
	}
	return 0
}

// grantOf tells by which of the named principals the one who asks is meant, strongest first.
func grantOf(named []TypedPrincipal, p *Principal, ids map[string]string) Grant {
	best := NoGrant
	for _, n := range named {
		if g := n.means(p, ids); g.strength() > best.strength() {
			best = g
		}
	}
	return best
}

func (n TypedPrincipal) means(p *Principal, ids map[string]string) Grant {
	switch n.Type {
	case Federated:
		return itself(p.Federated != "" && n.Value == p.Federated)
	case Service:
		return itself(p.Service != "" && n.Value == p.Service)
	case AWS:
		if p.Federated != "" || p.Service != "" || p.Account == "" {
			return NoGrant
		}
		return n.meansAWS(p, ids)
	}
	return NoGrant
}

func itself(yes bool) Grant {
	if yes {
		return Itself
	}
	return NoGrant
}

func (n TypedPrincipal) meansAWS(p *Principal, ids map[string]string) Grant {
	if n.Value == "*" {
		return ThroughAll
	}
	if n.Value == p.Account || n.Value == (arn.Owner{Partition: p.Partition, Account: p.Account}).Root() {
		return ThroughOwner
	}
	if id, ok := ids[n.Value]; ok {
		n.Value = id
	}
	roleID, _, _ := strings.Cut(p.ID, ":")
	switch n.Value {
	case "":
		return NoGrant
	case p.ARN, p.ID:
		return Itself
	case p.RoleARN, p.RoleID:
		return ThroughRole
	case roleID:
		return ThroughRole
	}
	return NoGrant
}
