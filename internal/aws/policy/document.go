package policy

import (
	"maps"
	"strings"

	"laterna.dev/laterna/internal/aws/arn"
)

// Kind is what a document is for.
type Kind int

// The kinds of documents.
const (
	// Trust policies say who may become a role.
	Trust Kind = iota
	// Identity policies say what an identity may do: inline and managed policies, boundaries.
	Identity
	// Session policies are sent when a session begins. Numbers, dates, addresses and ARNs in
	// them need not be usable; then they do not match.
	Session
)

// Effect is what a statement that applies does.
type Effect string

// The effects.
const (
	Allow Effect = "Allow"
	Deny  Effect = "Deny"
)

// version2012 is the version in which there are policy variables.
const (
	version2008 = "2008-10-17"
	version2012 = "2012-10-17"
)

// Document is a policy that is well formed. It does not change and may be used by many at
// once.
type Document struct {
	kind       Kind
	version    string
	id         string
	statements []statement
	ids        map[string]string
}

// statement is one that is well formed, ready to be evaluated.
type statement struct {
	sid        string
	effect     Effect
	principals []TypedPrincipal
	actions    element
	resources  element // empty in trust policies: it is the role
	conditions []condition
}

// element is Action or Resource, or the negation of one.
type element struct {
	name     string
	negated  bool
	texts    []string
	patterns []pattern
}

// PrincipalType is the type of a principal in a policy.
type PrincipalType string

// The types of principals.
const (
	AWS           PrincipalType = "AWS"
	Federated     PrincipalType = "Federated"
	Service       PrincipalType = "Service"
	CanonicalUser PrincipalType = "CanonicalUser"
)

func (t PrincipalType) upper() string { return strings.ToUpper(string(t)) }

// TypedPrincipal is one principal that a policy names.
type TypedPrincipal struct {
	Type  PrincipalType `json:"type"`
	Value string        `json:"value"`
}

// Parse reads a document of a kind for evaluation. An error is a *Malformed.
func Parse(kind Kind, text string) (*Document, error) {
	root, err := parseJSON(text)
	if err != nil {
		return nil, notJSON(kind)
	}
	var d *Document
	var bad *Malformed
	if kind == Trust {
		d, bad = parseTrust(&root)
	} else {
		d, bad = parseIdentity(kind, &root)
	}
	if bad != nil {
		return nil, bad
	}
	return d, nil
}

// Check says what is wrong with a document that is about to be stored, or sent as a session
// policy. It asks what Parse asks, and in addition what AWS asks of new documents only.
// The size is the caller's to check, see Size.
func Check(kind Kind, text string) error {
	d, err := Parse(kind, text)
	if err != nil {
		return err
	}
	if bad := d.checkIssuers(); bad != nil {
		return bad
	}
	return nil
}

func notJSON(kind Kind) *Malformed {
	switch kind {
	case Trust:
		return malformed(trustJSON)
	case Session:
		return malformed(sessionJSON)
	}
	return malformed(identitySyntax)
}

// Kind returns what the document is for.
func (d *Document) Kind() Kind { return d.kind }

// Principals returns whom a trust policy names, in order, without repeats.
func (d *Document) Principals() []TypedPrincipal {
	var out []TypedPrincipal
	seen := map[TypedPrincipal]bool{}
	for _, s := range d.statements {
		for _, p := range s.principals {
			if !seen[p] {
				seen[p] = true
				out = append(out, p)
			}
		}
	}
	return out
}

// Bind returns the document with roles and users bound to the unique ids that they had when
// the document was stored: an ARN in ids is matched by its id alone, so a namesake that is
// made later is not trusted. Other principals stay as they are.
func (d *Document) Bind(ids map[string]string) *Document {
	bound := *d
	bound.ids = maps.Clone(ids)
	return &bound
}

// AdministratorAccess is the policy that allows everything, for an account's own key.
func AdministratorAccess() *Document {
	all := func(name string) element {
		return element{name: name, texts: []string{"*"}, patterns: []pattern{compile("*", false)}}
	}
	return &Document{kind: Identity, version: version2012, statements: []statement{{
		effect: Allow, actions: all("Action"), resources: all("Resource"),
	}}}
}

// parseVersion returns the version of a document, and whether it has a valid one or none.
func parseVersion(root *value) (version string, ok bool) {
	v, has := root.get("Version")
	if !has {
		return "", true
	}
	return v.text, v.kind == isString && (v.text == version2008 || v.text == version2012)
}

// newElement takes an element's values as patterns.
func newElement(name string, texts []string, compileOne func(string) pattern) element {
	e := element{name: name, negated: strings.HasPrefix(name, "Not"), texts: texts, patterns: make([]pattern, len(texts))}
	for i, t := range texts {
		e.patterns[i] = compileOne(t)
	}
	return e
}

// accountOf returns the account that an ARN names, empty where it names none.
func accountOf(name string) string {
	a, err := arn.Parse(name)
	if err != nil {
		return ""
	}
	return a.Account
}
