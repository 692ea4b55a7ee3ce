package policy

import (
	"slices"
	"strings"
)

// sharedIssuers are the issuers whose tokens are given to many tenants, with the key that
// tells them apart: a new trust policy must test it (AWS, since 2025-06-06; its page
// id_roles_providers_oidc_secure-by-default).
var sharedIssuers = map[string]string{
	"agent.buildkite.com": "agent.buildkite.com:sub",
	"api.pulumi.com/oidc": "api.pulumi.com/oidc:aud",
	"app.terraform.io":    "app.terraform.io:sub",
	cognito:               cognito + ":aud",
	"gitlab.com":          "gitlab.com:sub",
	"oidc-configuration.audit-log.githubusercontent.com": "oidc-configuration.audit-log.githubusercontent.com:sub",
	"oidc.codefresh.io": "oidc.codefresh.io:sub",
	"oidc.op1.openshiftapps.com/2c51blsaqa9gkjt0o9rt11mle8mmropu": "oidc.op1.openshiftapps.com/2c51blsaqa9gkjt0o9rt11mle8mmropu:sub",
	"oidc.op1.openshiftapps.com/2f785sojlpb85i7402pk3qogugim5nfb": "oidc.op1.openshiftapps.com/2f785sojlpb85i7402pk3qogugim5nfb:sub",
	"oidc.vercel.com":   "oidc.vercel.com:aud",
	"proidc.upbound.io": "proidc.upbound.io:sub",
	"rh-oidc.s3.us-east-1.amazonaws.com/22ejnvnnturfmt6km08idd0nt4hekbn7": "rh-oidc.s3.us-east-1.amazonaws.com/22ejnvnnturfmt6km08idd0nt4hekbn7:sub",
	"rh-oidc.s3.us-east-1.amazonaws.com/23e3sd27sju1hoou6ohfs68vbno607tr": "rh-oidc.s3.us-east-1.amazonaws.com/23e3sd27sju1hoou6ohfs68vbno607tr:sub",
	"rh-oidc.s3.us-east-1.amazonaws.com/23ne21h005qjl3n33d8dui5dlrmv2tmg": "rh-oidc.s3.us-east-1.amazonaws.com/23ne21h005qjl3n33d8dui5dlrmv2tmg:sub",
	"rh-oidc.s3.us-east-1.amazonaws.com/24jrf12m5dj7ljlfb4ta2frhrcoadm26": "rh-oidc.s3.us-east-1.amazonaws.com/24jrf12m5dj7ljlfb4ta2frhrcoadm26:sub",
	"sandboxes.cloud": "sandboxes.cloud:aud",
	"scalr.io":        "scalr.io:sub",
	"sts.windows.net/33e01921-4d64-4f8c-a055-5bdaffd5e33d": "sts:RoleSessionName",
	"studio.datachain.ai/api":                              "studio.datachain.ai/api:sub",
	"tokens.cloud.shisho.dev":                              "tokens.cloud.shisho.dev:sub",
	"vstoken.actions.githubusercontent.com":                "vstoken.actions.githubusercontent.com:sub",
}

const (
	cognito = "cognito-identity.amazonaws.com"
	// github is meant by every issuer that begins so, and its values may not begin with a
	// wildcard.
	github = "token.actions.githubusercontent.com"
)

// builtIn are the providers that need not be registered, with the keys of which one must be
// tested, in this spelling.
var builtIn = map[string][]string{
	"accounts.google.com": {"aud", "oaud", "sub"},
	"www.amazon.com":      {"app_id", "sub"},
	"graph.facebook.com":  {"app_id", "sub"},
}

// checkIssuers says whether a trust policy lets in tenants of others. It looks at statements
// that allow web identities.
func (d *Document) checkIssuers() *Malformed {
	if d.kind != Trust {
		return nil
	}
	for i := range d.statements {
		s := &d.statements[i]
		web := slices.Contains(s.actions.texts, "sts:AssumeRoleWithWebIdentity")
		if s.effect != Allow || web == s.actions.negated {
			continue
		}
		for _, p := range s.principals {
			if p.Type != Federated {
				continue
			}
			if bad := s.checkIssuer(p.Value); bad != nil {
				return bad
			}
		}
	}
	return nil
}

func (s *statement) checkIssuer(provider string) *Malformed {
	issuer := provider
	if _, after, ok := strings.Cut(provider, ":oidc-provider/"); ok {
		issuer = after
	}
	if claims, ok := builtIn[issuer]; ok {
		if !s.testsOneOf(issuer, claims) {
			return malformed(trustBuiltIn, issuer)
		}
		return nil
	}
	var keys []string
	if key, ok := sharedIssuers[issuer]; ok {
		keys = []string{key}
	}
	if strings.HasPrefix(issuer, github) {
		keys = []string{issuer + ":sub", issuer + ":job_workflow_ref"}
	}
	if keys == nil {
		return nil
	}
	if issuer == cognito && len(s.conditions) == 0 {
		return malformed(trustCognito)
	}
	if !s.scopes(keys, strings.HasPrefix(issuer, github)) {
		return malformed(trustShared, provider, strings.Join(keys, " or "))
	}
	return nil
}

// testsOneOf tells whether a claim is compared for equality.
func (s *statement) testsOneOf(issuer string, claims []string) bool {
	return slices.ContainsFunc(s.conditions, func(c condition) bool {
		return c.positive() && c.family != ofLikes && slices.ContainsFunc(claims, func(claim string) bool { return c.keyText == issuer+":"+claim })
	})
}

// positive tells whether a condition compares strings, and is false of what is absent.
func (c *condition) positive() bool {
	return c.family <= ofLikes && !c.negated && !c.ifExists
}

// scopes tells whether there is an operator under which the keys are tested with values that
// are not for all. Under one operator all of them must be.
func (s *statement) scopes(keys []string, strict bool) bool {
	tested := map[string]bool{}
	for i := range s.conditions {
		c := &s.conditions[i]
		if !c.positive() || !slices.ContainsFunc(keys, func(k string) bool { return strings.EqualFold(k, c.keyText) }) {
			continue
		}
		good, seen := tested[c.name]
		tested[c.name] = (good || !seen) && !slices.ContainsFunc(c.texts, func(t string) bool { return forAll(t, strict) })
	}
	for _, good := range tested {
		if good {
			return true
		}
	}
	return false
}

// forAll tells whether AWS takes a value for one that is for all tenants. Of GitHub's it is
// stricter than of others.
func forAll(value string, strict bool) bool {
	if strict {
		return strings.HasPrefix(value, "*") || strings.TrimSpace(value) == ""
	}
	return value == "*"
}
