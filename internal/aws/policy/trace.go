package policy

// Outcome is what documents decide.
type Outcome string

// The outcomes, named as AWS's simulator names them.
const (
	Allowed      Outcome = "allowed"
	ExplicitDeny Outcome = "explicitDeny" // a statement denies
	ImplicitDeny Outcome = "implicitDeny" // none allows
)

// Evaluation is what one document decides of a request, and why. It shares memory with the
// document and is not to be changed.
type Evaluation struct {
	Layer      Layer            `json:"layer,omitempty"`
	Source     string           `json:"source,omitempty"` // what the caller calls the document
	Outcome    Outcome          `json:"outcome"`
	Grant      Grant            `json:"grant,omitempty"` // of trust policies that allow: the strongest
	Statements []StatementTrace `json:"statements"`
}

// StatementTrace is one statement: it applies if each of its parts matches. All parts are
// looked at, also where an earlier one does not match.
type StatementTrace struct {
	Index      int              `json:"index"`
	Sid        string           `json:"sid,omitempty"`
	Effect     Effect           `json:"effect"`
	Applies    bool             `json:"applies"`
	Principal  PrincipalTrace   `json:"principal"`            // zero but in trust policies
	Action     Part             `json:"action"`               //
	Resource   Part             `json:"resource"`             // zero in trust policies
	Conditions []ConditionTrace `json:"conditions,omitempty"` // all must match
}

// PrincipalTrace is whom a statement names beside who asked.
type PrincipalTrace struct {
	Policy  []TypedPrincipal `json:"policy,omitempty"`
	Request Principal        `json:"request"`
	Grant   Grant            `json:"grant,omitempty"` // empty if it is not named
}

// Part is an element of a statement beside what the request has.
type Part struct {
	Element string   `json:"element"` // as written: Action, NotAction, Resource, NotResource
	Policy  []string `json:"policy"`
	Request string   `json:"request"`
	Matched bool     `json:"matched"`
}

// ConditionTrace is one key under one operator: what the policy says beside what the request
// has.
type ConditionTrace struct {
	Operator    string   `json:"operator"` // as written, with prefix and suffix
	Key         string   `json:"key"`      // as written
	Policy      []string `json:"policy"`   // as written, variables not filled in
	Present     bool     `json:"present"`
	Request     []string `json:"request,omitempty"`
	Multivalued bool     `json:"multivalued,omitempty"` // the key can have several values
	Matched     bool     `json:"matched"`
	// Unusable says that the values of the policy could not be compared before one matched.
	// An Allow does not apply then; a Deny does, and Matched says so.
	Unusable bool `json:"unusable,omitempty"`
}
