package sts

import (
	"context"
	"net/http"

	"laterna.dev/laterna/internal/aws/access"
	"laterna.dev/laterna/internal/aws/arn"
	"laterna.dev/laterna/internal/aws/caller"
	"laterna.dev/laterna/internal/aws/iam"
	"laterna.dev/laterna/internal/aws/policy"
	"laterna.dev/laterna/internal/aws/query"
	"laterna.dev/laterna/internal/aws/sts/explain"
	"laterna.dev/laterna/internal/aws/sts/webidentity"
)

// webIdentitySize is the room that a web identity takes in the packed size of its session,
// in percent, as recorded.
const webIdentitySize = 25

type webIdentityResult struct {
	Subject        string      `xml:"SubjectFromWebIdentityToken"`
	Audience       string      `xml:"Audience"`
	AssumedRole    assumedRole `xml:"AssumedRoleUser"`
	Credentials    credentials `xml:"Credentials"`
	Provider       string      `xml:"Provider"`
	PackedSize     int         `xml:"PackedPolicySize"`
	SourceIdentity string      `xml:"SourceIdentity,omitempty"`
}

const webIdentityAction = "sts:AssumeRoleWithWebIdentity"

// notAuthorized is the one answer to whatever a role's trust policy has against a token, and
// to a role that is not there.
func notAuthorized() *query.Error {
	return query.AccessDenied("Not authorized to perform %s", webIdentityAction)
}

func (s *STS) assumeRoleWithWebIdentity(ctx context.Context, call *query.Call) (any, error) {
	r := explain.Of(call)
	p := call.Params()
	a, roleARN := readAsked(p)
	token := p.Text("WebIdentityToken", query.Text{Required: true, Min: 4, Max: 20000, Hidden: true})
	provider := p.Text("ProviderId", query.Text{Min: 4, Max: 2048})
	if r != nil {
		r.Role, r.Session = roleARN, a.session
	}
	if err := p.Err(); err != nil {
		return nil, err
	}
	var err error
	if a.role, err = arn.ParseRole(roleARN); err != nil {
		return nil, query.Invalid("Request ARN is invalid")
	}
	if err := a.checkPolicy(); err != nil {
		return nil, err
	}
	if provider != "" {
		return nil, refuseProvider(provider)
	}
	return s.become(ctx, call, &a, token, r)
}

// refuseProvider answers those who name a provider: the ones that can be named sign no
// OpenID Connect tokens.
func refuseProvider(id string) error {
	switch id {
	case "www.amazon.com":
		return query.Refuse(http.StatusBadRequest, "InvalidIdentityToken", "Provided Token is not a Login With Amazon token")
	case "graph.facebook.com":
		return query.Refuse(http.StatusForbidden, "IDPRejectedClaim", `graph.facebook.com rejected OAuth token with response "Bad signature" and code 190`)
	}
	return query.AccessDenied("Unrecognized OAuth provider. Do not include a provider parameter when submitting OpenIDConnect ID tokens")
}

// become begins a session of a role for the bearer of a token.
func (s *STS) become(ctx context.Context, call *query.Call, a *asked, token string, r *explain.Record) (any, error) {
	id, role, err := s.vouch(ctx, call.HTTP, a, token, r)
	if err != nil {
		return nil, err
	}
	if err := a.checkLife(role.MaxSessionDuration); err != nil {
		return nil, err
	}
	with := caller.Session{
		Tags: id.Tags, Transitive: id.Transitive, SourceIdentity: id.SourceIdentity,
		FederatedProvider: id.Provider.ARN(), Claims: claims(id),
	}
	packed, err := pack(a, &with)
	if err != nil {
		return nil, err
	}
	result := webIdentityResult{
		Subject: id.Subject, Audience: id.Audience, Provider: id.Provider.ARN(),
		PackedSize: webIdentitySize + packed*(100-webIdentitySize)/100, SourceIdentity: id.SourceIdentity,
	}
	result.Credentials, result.AssumedRole, err = s.begin(ctx, a, role, with)
	return result, err
}

// vouch says whether the bearer of a token may become a role. All that does not need the
// token to be genuine is looked at even where it is not, for the record alone.
func (s *STS) vouch(ctx context.Context, req *http.Request, a *asked, token string, r *explain.Record) (*webidentity.Identity, *iam.Role, error) {
	id, refused := s.tokens.Check(ctx, webidentity.Question{Token: token, Role: a.role.String(), Account: a.role.Account, Thorough: a.thorough}, r)
	if id == nil {
		return nil, nil, refused
	}
	role, there, err := s.role(ctx, a.role, r)
	if err != nil {
		return nil, nil, err
	}
	allowed := false
	if there {
		who := policy.Principal{Federated: id.Provider.ARN()}
		allowed = decide(webIdentityActions(id), &role, who, s.webIdentityKeys(req, a, id), &policy.Policies{}, r) == nil
	}
	switch {
	case refused != nil:
		return nil, nil, refused
	case !allowed:
		return nil, nil, notAuthorized()
	}
	return id, &role, nil
}

// webIdentityActions are what the trust policy must allow.
func webIdentityActions(id *webidentity.Identity) []string {
	actions := []string{webIdentityAction}
	if len(id.Tags) > 0 {
		actions = append(actions, "sts:TagSession")
	}
	if id.SourceIdentity != "" {
		actions = append(actions, "sts:SetSourceIdentity")
	}
	return actions
}

// claims are the condition keys from a token.
func claims(id *webidentity.Identity) map[string][]string {
	c := map[string][]string{id.Issuer + ":sub": {id.Subject}, id.Issuer + ":aud": {id.Audience}}
	if len(id.Methods) > 0 {
		c[id.Issuer+":amr"] = id.Methods
	}
	return c
}

// webIdentityKeys are the condition keys that a trust policy can ask for.
func (s *STS) webIdentityKeys(req *http.Request, a *asked, id *webidentity.Identity) policy.Context {
	var k policy.Context
	access.Common(&k, req, s.config.Clock.Now())
	provider := id.Provider.ARN()
	access.Of(&k, &caller.Caller{Account: id.Provider.Account, UserID: provider, Session: &caller.Session{FederatedProvider: provider, Claims: claims(id)}})
	for claim, value := range id.Keys {
		k.Set(id.Issuer+":"+claim, value)
	}
	k.Set("aws:PrincipalType", "User")
	k.Set("sts:RoleSessionName", a.session)
	k.Set("sts:RoleAuthorizedByIdp", boolean(id.RoleNamed))
	if id.SourceIdentity != "" {
		k.Set("sts:SourceIdentity", id.SourceIdentity)
	}
	setTags(&k, id.Tags, id.Transitive)
	return k
}

func boolean(yes bool) string {
	if yes {
		return "true"
	}
	return "false"
}
