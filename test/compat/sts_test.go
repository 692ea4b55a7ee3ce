package compat

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"
)

// forged is a token of an issuer that nobody has signed.
func forged(t testing.TB, issuer string) string {
	t.Helper()
	now := time.Now().Unix()
	claims, err := json.Marshal(map[string]any{"iss": issuer, "sub": "system:serviceaccount:default:app", "aud": "sts.amazonaws.com", "iat": now, "exp": now + 600})
	if err != nil {
		t.Fatal(err)
	}
	b := base64.RawURLEncoding.EncodeToString
	return b([]byte(`{"alg":"RS256","kid":"k"}`)) + "." + b(claims) + "." + b([]byte("signature"))
}

// TestE7TokensAreRefusedInAWSsWords has the AWS command line get what AWS answers, and
// `laterna aws explain` say what AWS does not.
func TestE7TokensAreRefusedInAWSsWords(t *testing.T) {
	t.Parallel()
	s := started(t, "--node=false", "--test-clock")
	s.sh(t, "kubectl create serviceaccount app && kubectl create serviceaccount other")
	admin := s.awsAccount(t, "111122223333", "--service-account default/app --role app")
	s.awsAccount(t, "444455556666", "--service-account default/app --role theirs")
	s.apply(t, "default", `
apiVersion: iam.laterna.dev/v1alpha1
kind: OpenIDConnectProvider
metadata: {name: "111122223333:10.96.255.254"}
spec: {clientIDs: [sts.amazonaws.com]}
`)
	token := func(account, audience string) string {
		return strings.TrimSpace(s.sh(t, "kubectl create token "+account+" --duration 10m --audience "+audience))
	}
	good := token("app", "sts.amazonaws.com")
	parts := strings.Split(good, ".")
	tampered := parts[0] + "." + parts[1] + "." + strings.Split(token("other", "sts.amazonaws.com"), ".")[2]
	const (
		role         = "arn:aws:iam::111122223333:role/app"
		notValidated = "The web identity token provided could not be validated. See the AssumeRoleWithWebIdentity documentation for requirements."
	)
	nobody := s.awsUser("", "", "")
	line := func(role, token, more string) string {
		return "sts assume-role-with-web-identity --role-session-name s1 --role-arn " + role + " --web-identity-token " + token + " " + more
	}
	refused := func(what, code, text, role, token, more, explained string) {
		t.Helper()
		t.Log(what)
		// Some are tried again first, and the command line says so.
		contains(t, s.fails(t, nobody.line(line(role, token, more))), "An error occurred ("+code+") when calling the AssumeRoleWithWebIdentity operation", ": "+text)
		if explained != "" {
			id := strings.TrimSpace(s.sh(t, `laterna aws explain --data-dir "$LATERNA_DATA_DIR" | sed -n 2p | awk '{print $2}'`))
			contains(t, s.sh(t, `laterna aws explain --data-dir "$LATERNA_DATA_DIR" `+id), code, explained)
		}
	}
	refused("wrong sub", "AccessDenied", "Not authorized to perform sts:AssumeRoleWithWebIdentity", role, token("other", "sts.amazonaws.com"), "", `the policy trusts "default/app", the call is by "default/other"`)
	refused("wrong aud", "InvalidIdentityToken", notValidated, role, token("app", "sts.amazon.com"), "", `"sts.amazon.com" is almost "sts.amazonaws.com"`)
	refused("unknown issuer", "InvalidIdentityToken", "No OpenIDConnect provider found in your account for https://kubernetes.default.svc/", role, forged(t, "https://kubernetes.default.svc/"), "", "by the slash at its end")
	refused("tampered", "InvalidIdentityToken", notValidated, role, tampered, "", "signature")
	refused("a role of another account", "AccessDenied", "Not authorized to perform sts:AssumeRoleWithWebIdentity", "arn:aws:iam::444455556666:role/app", good, "", "there is no role of that name in account 444455556666")
	refused("an account without providers", "InvalidIdentityToken", "No OpenIDConnect provider found in your account for https://kubernetes.default.svc", "arn:aws:iam::777777777777:role/app", good, "", "has no providers at all")
	refused("too long", "ValidationError", "The requested DurationSeconds exceeds the MaxSessionDuration set for this role.", role, good, "--duration-seconds 7200", "")
	refused("beyond the bounds", "ValidationError", "1 validation error detected: Value '43201' at 'durationSeconds' failed to satisfy constraint: Member must have value less than or equal to 43200", role, good, "--duration-seconds 43201", "")
	refused("nobody reaches the issuer", "IDPCommunicationError", "", role, forged(t, "https://10.96.255.254"), "", "address not allowed")
	contains(t, nobody.does(t, line(role, good, "--duration-seconds 900")), `"Arn": "arn:aws:sts::111122223333:assumed-role/app/s1"`)

	fault := func(json string) { s.sh(t, `kubectl replace --raw /aws/faults -f - <<<'`+json+`'`) }
	fault(`{"throttled": true}`)
	contains(t, s.fails(t, "export AWS_MAX_ATTEMPTS=1; "+nobody.line(line(role, good, ""))), "(Throttling)", "Rate exceeded")
	fault(`{"disabledRegions": ["eu-central-1"]}`)
	admin.refused(t, "RegionDisabledException", "STS is not activated in this region for account:111122223333.", "sts assume-role --role-session-name s1 --role-arn "+role)
	contains(t, admin.does(t, "sts get-caller-identity"), `"Arn": "arn:aws:iam::111122223333:user/`)
	fault(`{}`)

	s.sh(t, `laterna clock advance 20m --data-dir "$LATERNA_DATA_DIR"`)
	contains(t, s.fails(t, nobody.line(line(role, good, ""))), "(ExpiredTokenException)", "Token expired: current date/time ", " must be before the expiration date/time ")
	contains(t, s.sh(t, fmt.Sprintf(`kubectl create token app --audience sts.amazonaws.com | laterna aws explain --data-dir "$LATERNA_DATA_DIR" --token - --role %s`, role)), "would be allowed")
}
