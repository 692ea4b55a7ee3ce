package policy

import "slices"

// trustActions are all that a trust policy may name, in exactly this spelling: IAM refuses
// sts:*, sts:AssumeRole* and other letter case. It is known to refuse what only begins like
// one (sts:TagSessions in hashicorp/terraform-provider-aws #32872), so it looks names up; that
// wildcards are refused say others' checks of templates, and no role with one was found.
var trustActions = []string{
	"sts:AssumeRole", "sts:AssumeRoleWithSAML", "sts:AssumeRoleWithWebIdentity",
	"sts:TagSession", "sts:SetSourceIdentity", "sts:SetContext",
}

// The elements of documents and of statements.
var (
	documentFields  = []string{"Version", "Id", "Statement"}
	statementFields = []string{"Sid", "Effect", "Principal", "NotPrincipal", "Action", "NotAction", "Resource", "NotResource", "Condition"}
)

// parseTrust reads a trust policy. What is wrong is found in the order of IAM: the document,
// then statement by statement the effect, the principal, the action, the resource, the
// conditions, and who the principals are.
func parseTrust(root *value) (*Document, *Malformed) {
	if root.kind != isObject {
		return nil, malformed(trustJSON)
	}
	if name, ok := unknown(root, documentFields); !ok {
		return nil, malformed(trustUnknown, name)
	}
	version, ok := parseVersion(root)
	if !ok {
		return nil, malformed(trustVersion)
	}
	raw, has := root.get("Statement")
	if !has || len(raw.list()) == 0 || raw.kind == isNull {
		return nil, malformed(trustEmpty)
	}
	d := &Document{kind: Trust, version: version}
	if id, ok := root.get("Id"); ok {
		d.id = id.text
	}
	statements := raw.list()
	sids := map[string]bool{}
	for i := range statements {
		s := &statements[i]
		if s.kind != isObject {
			return nil, malformed(trustSyntax)
		}
		if name, ok := unknown(s, statementFields); !ok {
			return nil, malformed(trustUnknown, name)
		}
		if sid, ok := s.get("Sid"); ok && sid.text != "" {
			if sids[sid.text] {
				return nil, malformed(trustSids)
			}
			sids[sid.text] = true
		}
	}
	d.statements = make([]statement, len(statements))
	for i := range statements {
		if bad := d.statements[i].parseTrust(&statements[i], version == version2012); bad != nil {
			return nil, bad
		}
	}
	return d, nil
}

// unknown returns a member that is none of the fields.
func unknown(v *value, fields []string) (string, bool) {
	for i := range v.members {
		if !slices.Contains(fields, v.members[i].name) {
			return v.members[i].name, false
		}
	}
	return "", true
}

func (s *statement) parseTrust(v *value, variables bool) *Malformed {
	if sid, ok := v.get("Sid"); ok {
		if sid.kind != isString {
			return malformed(trustSyntax)
		}
		s.sid = sid.text
	}
	effect, ok := v.get("Effect")
	switch {
	case !ok || effect.text == "":
		return malformed(trustNoEffect)
	case effect.text != string(Allow) && effect.text != string(Deny):
		return malformed(trustEffect, effect.text)
	}
	s.effect = Effect(effect.text)
	if bad := s.parsePrincipal(v); bad != nil {
		return bad
	}
	if bad := s.parseTrustActions(v); bad != nil {
		return bad
	}
	if v.has("Resource") {
		return malformed(trustResource)
	}
	if v.has("NotResource") {
		return malformed(trustNotResource)
	}
	if c, ok := v.get("Condition"); ok {
		var bad *Malformed
		if s.conditions, bad = parseConditions(Trust, c, variables); bad != nil {
			return bad
		}
	}
	return s.checkPrincipals()
}

// parsePrincipal takes the principals, whoever they are.
func (s *statement) parsePrincipal(v *value) *Malformed {
	if v.has("NotPrincipal") {
		if s.effect == Allow {
			return malformed(trustAllowNot)
		}
		return malformed(trustNotPrincipal)
	}
	p, ok := v.get("Principal")
	switch {
	case !ok || p.kind == isNull:
		return malformed(trustNoPrincipal)
	case p.kind == isString:
		return malformed(trustPrincipalObject)
	case p.kind != isObject:
		return malformed(trustSyntax)
	case len(p.members) == 0:
		return malformed(trustEmptyPrincipal)
	}
	for i := range p.members {
		m := &p.members[i]
		values, ok := m.value.strings()
		if !ok {
			return malformed(trustSyntax)
		}
		if len(values) == 0 {
			return malformed(trustEmptyPrincipal)
		}
		for _, value := range values {
			s.principals = append(s.principals, TypedPrincipal{PrincipalType(m.name), value})
		}
	}
	return nil
}

func (s *statement) parseTrustActions(v *value) *Malformed {
	if v.has("Action") && v.has("NotAction") {
		return malformed(trustSyntax)
	}
	name := "Action"
	if v.has("NotAction") {
		name = "NotAction"
	}
	a, ok := v.get(name)
	if !ok || a.kind == isNull {
		return malformed(trustNoAction)
	}
	texts, ok := a.strings()
	if !ok {
		return malformed(trustSyntax)
	}
	if len(texts) == 0 {
		return malformed(trustNoAction)
	}
	for _, t := range texts {
		if !slices.Contains(trustActions, t) {
			return malformed(trustAction)
		}
	}
	s.actions = newElement(name, texts, compileAction)
	return nil
}
