package policy_test

import (
	"testing"

	"laterna.dev/laterna/internal/aws/policy"
)

func source(t *testing.T, kind policy.Kind, text string) policy.Source {
	t.Helper()
	d, err := policy.Parse(kind, text)
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return policy.Source{Name: "p", Document: d}
}

func TestLayersIntersectAndADenyWins(t *testing.T) {
	get := source(t, policy.Identity, doing(`"Effect":"Allow","Action":"iam:Get*","Resource":"*"`))
	list := source(t, policy.Session, doing(`"Effect":"Allow","Action":"iam:List*","Resource":"*"`))
	getToo := source(t, policy.Session, doing(`"Effect":"Allow","Action":"iam:GetRole","Resource":"*"`))
	deny := source(t, policy.Identity, doing(`"Effect":"Deny","Action":"iam:GetRole","Resource":"*"`))
	everything := policy.Source{Name: "admin", Document: policy.AdministratorAccess()}
	type P = policy.Policies
	type S = []policy.Source
	for _, c := range []struct {
		name     string
		policies P
		outcome  policy.Outcome
		layer    policy.Layer
		reason   string
	}{
		{"nothing", P{}, policy.ImplicitDeny, policy.IdentityLayer, " because no identity-based policy allows the iam:GetRole action"},
		{"one of two allows", P{Identity: S{list, get}}, policy.Allowed, "", ""},
		{"no document", P{Identity: S{{Name: "broken"}}}, policy.ImplicitDeny, policy.IdentityLayer, " because no identity-based policy allows the iam:GetRole action"},
		{"administrator", P{Identity: S{everything}}, policy.Allowed, "", ""},
		{"boundary allows", P{Identity: S{everything}, Boundary: &get}, policy.Allowed, "", ""},
		{"boundary does not", P{Identity: S{get}, Boundary: &list}, policy.ImplicitDeny, policy.BoundaryLayer, " because no permissions boundary allows the iam:GetRole action"},
		{"boundary alone", P{Boundary: &get}, policy.ImplicitDeny, policy.IdentityLayer, " because no identity-based policy allows the iam:GetRole action"},
		{"session allows", P{Identity: S{get}, Session: S{list, getToo}}, policy.Allowed, "", ""},
		{"session does not", P{Identity: S{get}, Session: S{list}}, policy.ImplicitDeny, policy.SessionLayer, " because no session policy allows the iam:GetRole action"},
		{"identity denies", P{Identity: S{everything, deny}}, policy.ExplicitDeny, policy.IdentityLayer, " with an explicit deny in an identity-based policy"},
		{"boundary denies", P{Identity: S{get}, Boundary: &deny}, policy.ExplicitDeny, policy.BoundaryLayer, " with an explicit deny in a permissions boundary"},
		{"session denies", P{Session: S{deny}}, policy.ExplicitDeny, policy.SessionLayer, " with an explicit deny in a session policy"},
	} {
		d := policy.Decide(&policy.Request{Action: "iam:GetRole", Resource: "arn:aws:iam::111122223333:role/r"}, &c.policies)
		if d.Outcome != c.outcome || d.Layer != c.layer || d.Reason() != c.reason || d.Allowed() != (c.outcome == policy.Allowed) {
			t.Errorf("%s: %s %q%s, want %s %q%s", c.name, d.Outcome, d.Layer, d.Reason(), c.outcome, c.layer, c.reason)
		}
	}
}

func TestRoleIsAssumedWhereTrustAndIdentityConsent(t *testing.T) {
	const action, role = "sts:AssumeRole", "arn:aws:iam::111122223333:role/target"
	may := source(t, policy.Identity, doing(`"Effect":"Allow","Action":"sts:AssumeRole","Resource":"`+role+`"`))
	other := source(t, policy.Identity, doing(`"Effect":"Allow","Action":"s3:*","Resource":"*"`))
	mayNot := source(t, policy.Identity, doing(`"Effect":"Deny","Action":"sts:*","Resource":"*"`))
	session := policy.Principal{
		ARN: "arn:aws:sts::111122223333:assumed-role/r/s", ID: "AROAEXAMPLEEXAMPLEEXA:s", Account: "111122223333",
		RoleARN: "arn:aws:iam::111122223333:role/r", RoleID: "AROAEXAMPLEEXAMPLEEXA",
	}
	stranger := policy.Principal{ARN: "arn:aws:iam::444455556666:user/u", ID: "AIDAEXAMPLEEXAMPLEEXA", Account: "444455556666"}
	account := trusting(`{"AWS":"111122223333"}`, "")
	byRole := trusting(`{"AWS":"arn:aws:iam::111122223333:role/r"}`, "")
	bySession := trusting(`{"AWS":"arn:aws:sts::111122223333:assumed-role/r/s"}`, "")
	all := trusting(`{"AWS":"*"}`, "")
	type S = []policy.Source
	for _, c := range []struct {
		name, trust string
		who         policy.Principal
		policies    policy.Policies
		outcome     policy.Outcome
		layer       policy.Layer
	}{
		{"identity alone", trusting(`{"AWS":"444455556666"}`, ""), session, policy.Policies{Identity: S{may}}, policy.ImplicitDeny, policy.TrustLayer},
		{"account consents, identity not", account, session, policy.Policies{Identity: S{other}}, policy.ImplicitDeny, policy.IdentityLayer},
		{"account and identity consent", account, session, policy.Policies{Identity: S{may}}, policy.Allowed, ""},
		{"role is named", byRole, session, policy.Policies{}, policy.Allowed, ""},
		{"role is named, boundary limits", byRole, session, policy.Policies{Boundary: &other}, policy.ImplicitDeny, policy.BoundaryLayer},
		{"role is named, session limits", byRole, session, policy.Policies{Session: S{other}}, policy.ImplicitDeny, policy.SessionLayer},
		{"session is named", bySession, session, policy.Policies{Session: S{other}, Boundary: &other}, policy.Allowed, ""},
		{"session is named, identity denies", bySession, session, policy.Policies{Identity: S{mayNot}}, policy.ExplicitDeny, policy.IdentityLayer},
		{"all are named, own account", all, session, policy.Policies{}, policy.Allowed, ""},
		{"all are named, other account", all, stranger, policy.Policies{}, policy.ImplicitDeny, policy.IdentityLayer},
		{"other account consents", all, stranger, policy.Policies{Identity: S{may}}, policy.Allowed, ""},
		{"web identity", trusting(`{"Federated":"`+provider+`"}`, ""), policy.Principal{Federated: provider}, policy.Policies{}, policy.Allowed, ""},
		{"web identity and all", all, policy.Principal{Federated: provider}, policy.Policies{}, policy.ImplicitDeny, policy.TrustLayer},
	} {
		trust := source(t, policy.Trust, c.trust)
		c.policies.Trust = &trust
		d := policy.Decide(&policy.Request{Action: action, Resource: role, Principal: c.who}, &c.policies)
		if d.Outcome != c.outcome || d.Layer != c.layer {
			t.Errorf("%s: %s %q, want %s %q", c.name, d.Outcome, d.Layer, c.outcome, c.layer)
		}
		if d.Evaluations[0].Layer != policy.TrustLayer || d.Evaluations[0].Source != "p" {
			t.Errorf("%s: the trust policy is not traced first: %+v", c.name, d.Evaluations)
		}
	}
}
