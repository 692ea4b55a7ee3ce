package policy

import (
	"slices"
	"strings"
)

// parseIdentity reads an identity or session policy. What is wrong is found in the order of
// IAM: syntax, version, what an older parser refuses, and then what a statement must have.
func parseIdentity(kind Kind, root *value) (*Document, *Malformed) {
	if !identityShape(root) {
		return nil, malformed(identitySyntax)
	}
	version, ok := parseVersion(root)
	if !ok {
		return nil, malformed(identitySyntax)
	}
	if kind == Identity && version != version2012 {
		return nil, malformed(identityVersion)
	}
	raw, _ := root.get("Statement")
	statements := raw.list()
	d := &Document{kind: kind, version: version, statements: make([]statement, len(statements))}
	if id, ok := root.get("Id"); ok {
		d.id = id.text
	}
	for i := range statements {
		if bad := d.statements[i].parseIdentity(kind, &statements[i], version == version2012); bad != nil {
			return nil, bad
		}
	}
	resource := d.checkResources()
	if resource != nil && resource.Message == identityLegacy {
		return nil, resource
	}
	for _, check := range []func() *Malformed{
		d.checkSids, d.checkElements, func() *Malformed { return resource }, d.checkActions,
	} {
		if bad := check(); bad != nil {
			return nil, bad
		}
	}
	return d, nil
}

// identityShape tells whether the document has the elements of the grammar, of the right
// types, and no others.
func identityShape(root *value) bool {
	if root.kind != isObject {
		return false
	}
	if _, ok := unknown(root, documentFields); !ok {
		return false
	}
	if id, ok := root.get("Id"); ok && id.kind != isString {
		return false
	}
	raw, ok := root.get("Statement")
	if !ok || raw.kind != isObject && raw.kind != isList || len(raw.list()) == 0 {
		return false
	}
	for _, s := range raw.list() {
		if !statementShape(&s) {
			return false
		}
	}
	return true
}

func statementShape(s *value) bool {
	if s.kind != isObject {
		return false
	}
	if _, ok := unknown(s, statementFields); !ok {
		return false
	}
	if s.has("Action") && s.has("NotAction") || s.has("Resource") && s.has("NotResource") {
		return false
	}
	effect, ok := s.get("Effect")
	if !ok || effect.kind != isString || !strings.EqualFold(effect.text, "Allow") && !strings.EqualFold(effect.text, "Deny") {
		return false
	}
	if sid, ok := s.get("Sid"); ok && sid.kind != isString {
		return false
	}
	for _, name := range []string{"Action", "NotAction", "Resource", "NotResource"} {
		if v, ok := s.get(name); ok {
			if _, ok := v.strings(); !ok {
				return false
			}
		}
	}
	c, ok := s.get("Condition")
	return !ok || conditionShape(c)
}

func (s *statement) parseIdentity(kind Kind, v *value, variables bool) *Malformed {
	if v.has("Principal") || v.has("NotPrincipal") {
		return malformed(identityPrincipal)
	}
	effect, _ := v.get("Effect")
	if effect.text != string(Allow) && effect.text != string(Deny) {
		return malformed(identityLegacy)
	}
	s.effect = Effect(effect.text)
	if sid, ok := v.get("Sid"); ok {
		s.sid = sid.text
	}
	for _, name := range []string{"Action", "NotAction"} {
		if a, ok := v.get(name); ok {
			texts, _ := a.strings()
			s.actions = newElement(name, texts, compileAction)
		}
	}
	for _, name := range []string{"Resource", "NotResource"} {
		if r, ok := v.get(name); ok {
			texts, _ := r.strings()
			if variables && slices.ContainsFunc(texts, badVariables) {
				return malformed(identityLegacy)
			}
			s.resources = newElement(name, texts, func(t string) pattern { return compileResource(t, variables) })
		}
	}
	if c, ok := v.get("Condition"); ok {
		var bad *Malformed
		if s.conditions, bad = parseConditions(kind, c, variables); bad != nil {
			return bad
		}
	}
	return nil
}

func (d *Document) checkSids() *Malformed {
	seen := map[string]bool{}
	for _, s := range d.statements {
		if s.sid == "" {
			continue
		}
		if strings.ContainsFunc(s.sid, func(c rune) bool { return c > 'z' || !wordByte(byte(c)) || c == '_' }) {
			return malformed(identitySidText)
		}
		if seen[s.sid] {
			return malformed(identitySids)
		}
		seen[s.sid] = true
	}
	return nil
}

func wordByte(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '_'
}

// checkElements asks every statement for actions, then every statement for resources.
func (d *Document) checkElements() *Malformed {
	for _, s := range d.statements {
		if len(s.actions.texts) == 0 {
			return malformed(identityNoAction)
		}
	}
	for _, s := range d.statements {
		if len(s.resources.texts) == 0 {
			return malformed(identityNoResource)
		}
	}
	return nil
}

// checkActions asks that actions be service:name, those of Action before those of NotAction.
func (d *Document) checkActions() *Malformed {
	for _, negated := range []bool{false, true} {
		for _, s := range d.statements {
			if s.actions.negated != negated {
				continue
			}
			for _, a := range s.actions.texts {
				if bad := checkAction(a); bad != nil {
					return bad
				}
			}
		}
	}
	return nil
}

func checkAction(a string) *Malformed {
	vendor, _, ok := strings.Cut(a, ":")
	switch {
	case a == "*":
		return nil
	case !ok:
		return malformed(identityVendor)
	case strings.Count(a, ":") > 1:
		return malformed(identityColons)
	case vendor == "*":
		return nil
	}
	if vendor == "" || strings.ContainsFunc(vendor, func(c rune) bool {
		return c > 'z' || !wordByte(byte(c)) && c != '-' && c != '.' || c == '_'
	}) {
		return malformed(identityBadVendor, vendor)
	}
	return nil
}
