package policy

import "strings"

// Request is what is asked.
type Request struct {
	Action    string // service:Name
	Resource  string // an ARN, or "*" for actions that know none
	Principal Principal
	Context   Context
}

// Evaluate says what the document decides, with its trace. In a trust policy the resource is
// the role itself and the principal is looked at; in others it is not.
func (d *Document) Evaluate(r *Request) Evaluation {
	e := Evaluation{Outcome: ImplicitDeny}
	if d == nil {
		return e
	}
	action := strings.ToLower(r.Action)
	e.Statements = make([]StatementTrace, len(d.statements))
	conditions := make([]ConditionTrace, d.countConditions())
	for i := range d.statements {
		s, t := &d.statements[i], &e.Statements[i]
		t.Index = i
		t.Conditions, conditions = conditions[:len(s.conditions):len(s.conditions)], conditions[len(s.conditions):]
		s.evaluate(d, r, action, t)
		switch {
		case !t.Applies:
		case s.effect == Deny:
			e.Outcome = ExplicitDeny
		case e.Outcome == ImplicitDeny:
			e.Outcome = Allowed
		}
		if t.Applies && s.effect == Allow && t.Principal.Grant.strength() > e.Grant.strength() {
			e.Grant = t.Principal.Grant
		}
	}
	if e.Outcome != Allowed {
		e.Grant = NoGrant
	}
	return e
}

func (d *Document) countConditions() int {
	n := 0
	for i := range d.statements {
		n += len(d.statements[i].conditions)
	}
	return n
}

func (s *statement) evaluate(d *Document, r *Request, action string, t *StatementTrace) {
	t.Sid, t.Effect, t.Applies = s.sid, s.effect, true
	if d.kind == Trust {
		t.Principal = PrincipalTrace{Policy: s.principals, Request: r.Principal, Grant: grantOf(s.principals, &r.Principal, d.ids)}
		t.Applies = t.Principal.Grant != NoGrant
	}
	t.Action = s.actions.trace(action, r.Action, r.Context)
	t.Applies = t.Applies && t.Action.Matched
	if d.kind != Trust {
		t.Resource = s.resources.trace(r.Resource, r.Resource, r.Context)
		t.Applies = t.Applies && t.Resource.Matched
	}
	for i := range s.conditions {
		c := &s.conditions[i]
		t.Conditions[i] = c.trace(r.Context, s.effect)
		t.Applies = t.Applies && t.Conditions[i].Matched
	}
}

// trace matches the element with what is asked; shown is that as it was asked.
func (e *element) trace(asked, shown string, c Context) Part {
	p := Part{Element: e.name, Policy: e.texts, Request: shown}
	for i := range e.patterns {
		filled, ok := e.patterns[i].resolve(c)
		if ok && filled.match(asked) {
			p.Matched = true
			break
		}
	}
	if e.negated {
		p.Matched = !p.Matched
	}
	return p
}

func (c *condition) trace(ctx Context, effect Effect) ConditionTrace {
	k, present := ctx.keys[c.key]
	matched, unusable := c.match(ctx)
	return ConditionTrace{
		Operator: c.name, Key: c.keyText, Policy: c.texts,
		Present: present, Request: k.Values, Multivalued: k.Multivalued,
		Matched: matched || unusable && effect == Deny, Unusable: unusable,
	}
}
