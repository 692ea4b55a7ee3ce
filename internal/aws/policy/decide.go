package policy

// Layer is a kind of policy that has a say in a decision.
type Layer string

// The layers, named as AWS's messages name them.
const (
	TrustLayer    Layer = "resource-based policy"
	IdentityLayer Layer = "identity-based policy"
	BoundaryLayer Layer = "permissions boundary"
	SessionLayer  Layer = "session policy"
)

// Source is a document and what its owner calls it: the ARN of a managed policy, the name of
// an inline one. One without a document allows nothing.
type Source struct {
	Name     string
	Document *Document
}

// Policies are those that have a say in a request.
type Policies struct {
	Trust    *Source  // of the role that is to be assumed; nil for all other actions
	Identity []Source // of the user or the role of a session
	Boundary *Source  // nil if there is none
	Session  []Source // empty if the session is not limited
}

// Decision is the answer to a request, with the evaluation of each document.
type Decision struct {
	Outcome Outcome `json:"outcome"`
	// Layer is the one that denies or does not allow; empty if the request is allowed.
	Layer       Layer        `json:"layer,omitempty"`
	Action      string       `json:"action"`
	Resource    string       `json:"resource"`
	Evaluations []Evaluation `json:"evaluations"`
	Keys        []Key        `json:"keys"` // all that the request has
}

// Allowed tells whether the request is.
func (d *Decision) Allowed() bool { return d.Outcome == Allowed }

// Reason is what newer messages of AWS add to "is not authorized to perform: … on resource:
// …", with the blank before it; empty if the request is allowed.
func (d *Decision) Reason() string {
	article := "a"
	if d.Layer == IdentityLayer {
		article = "an"
	}
	switch d.Outcome {
	case ExplicitDeny:
		return " with an explicit deny in " + article + " " + string(d.Layer)
	case ImplicitDeny:
		return " because no " + string(d.Layer) + " allows the " + d.Action + " action"
	}
	return ""
}

// Decide answers a request. A deny anywhere wins. A trust policy must allow, also inside an
// account; where it names a principal of its own account, that is enough, and where it names
// an account or one of another account, that must allow, too. What an identity may do is
// what its policies, its boundary and the session all allow. Further actions that a call
// needs (sts:TagSession, sts:SetSourceIdentity) are requests of their own.
func Decide(r *Request, p *Policies) Decision {
	d := Decision{Outcome: Allowed, Action: r.Action, Resource: r.Resource, Keys: r.Context.Keys()}
	trust := d.ask(r, TrustLayer, sources(p.Trust))
	identity := d.ask(r, IdentityLayer, p.Identity)
	boundary := d.ask(r, BoundaryLayer, sources(p.Boundary))
	session := d.ask(r, SessionLayer, p.Session)
	answers := []answer{trust, identity, boundary, session}
	for _, a := range answers {
		if a.outcome == ExplicitDeny {
			d.Outcome, d.Layer = ExplicitDeny, a.layer
			return d
		}
	}
	asks := consent(r, p, trust.grant)
	for _, a := range answers {
		if asks[a.layer] && a.outcome != Allowed {
			d.Outcome, d.Layer = ImplicitDeny, a.layer
			return d
		}
	}
	return d
}

// answer is what the documents of a layer say together.
type answer struct {
	layer   Layer
	outcome Outcome
	grant   Grant
}

// consent says which layers must allow.
func consent(r *Request, p *Policies, grant Grant) map[Layer]bool {
	limits := map[Layer]bool{IdentityLayer: true, BoundaryLayer: p.Boundary != nil, SessionLayer: len(p.Session) > 0}
	if p.Trust == nil {
		return limits
	}
	limits[TrustLayer] = true
	if r.Principal.Federated != "" || r.Principal.Service != "" {
		return map[Layer]bool{TrustLayer: true}
	}
	if grant == ThroughOwner || r.Principal.Account != accountOf(r.Resource) {
		return limits
	}
	limits[IdentityLayer] = false
	if grant != ThroughRole {
		limits[BoundaryLayer], limits[SessionLayer] = false, false
	}
	return limits
}

func sources(s *Source) []Source {
	if s == nil {
		return nil
	}
	return []Source{*s}
}

func (d *Decision) ask(r *Request, l Layer, of []Source) answer {
	a := answer{layer: l, outcome: ImplicitDeny}
	for _, s := range of {
		e := s.Document.Evaluate(r)
		e.Layer, e.Source = l, s.Name
		d.Evaluations = append(d.Evaluations, e)
		switch {
		case e.Outcome == ExplicitDeny:
			a.outcome = ExplicitDeny
		case e.Outcome == Allowed && a.outcome != ExplicitDeny:
			a.outcome = Allowed
		}
		if e.Grant.strength() > a.grant.strength() {
			a.grant = e.Grant
		}
	}
	return a
}
