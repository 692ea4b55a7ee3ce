package webidentity

import "regexp"

// documented are the claims that are condition keys besides those of all tokens, by whose
// tokens they are in: AWS's list of the keys of AssumeRoleWithWebIdentity in its Service
// Authorization Reference. accounts.google.com:google/organization_number is left out: it
// is not settled which claim it is.
var documented = []struct {
	issuers *regexp.Regexp
	claims  []string
}{
	{
		regexp.MustCompile(`^(token\.actions\.githubusercontent\.com(/[^/]+)?|token\.actions\.[a-z0-9-]+\.ghe\.com|github\.com/enterprises/[^/]+)$`),
		[]string{"actor", "actor_id", "enterprise_id", "environment", "job_workflow_ref", "ref", "repository", "repository_id", "repository_owner_id", "workflow"},
	},
	{
		regexp.MustCompile(`^gitlab\.com$`),
		[]string{"namespace_id", "pipeline_source", "project_id", "ref_protected", "runner_environment", "user_access_level", "user_email", "user_id", "user_login"},
	},
	{
		regexp.MustCompile(`^agent\.(buildkite\.com|[a-z0-9-]+\.buildkite\.(dev|site))$`),
		[]string{"build_branch", "cluster_id", "cluster_name", "organization_id", "organization_slug", "pipeline_id", "pipeline_slug"},
	},
	{regexp.MustCompile(`^oidc\.circleci\.com/org/[^/]+$`), []string{"oidc.circleci.com/project-id"}},
	{regexp.MustCompile(`^idcs-[a-z0-9-]+\.identity\.oraclecloud\.com$`), []string{"rpst_id"}},
}

// keys are the claims that are condition keys when a role is assumed, but for those that
// its session keeps. What is no text is no key.
func (t *token) keys(issuer string) map[string]string {
	keys := map[string]string{}
	if len(t.audiences) == 1 {
		keys["oaud"] = t.audiences[0]
	}
	claims := []string{"email"}
	for _, d := range documented {
		if d.issuers.MatchString(issuer) {
			claims = append(claims, d.claims...)
		}
	}
	for _, claim := range claims {
		if value, ok := textOf(t.claims[claim]); ok {
			keys[claim] = value
		}
	}
	return keys
}
