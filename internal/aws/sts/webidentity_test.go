package sts_test

import (
	"crypto/elliptic"
	"net/url"
	"strings"
	"testing"
	"time"

	"laterna.dev/laterna/internal/aws/iam"
)

// The texts that stand for many causes.
const (
	notJWT       = "The ID Token provided is not a valid JWT. (You may see this error if you sent an Access Token)"
	notValidated = "The web identity token provided could not be validated. See the AssumeRoleWithWebIdentity documentation for requirements."
	noKey        = "Couldn't retrieve verification key from your identity provider,  please reference AssumeRoleWithWebIdentity documentation for requirements"
	notAllowed   = "Not authorized to perform sts:AssumeRoleWithWebIdentity"
	badStamp     = "Invalid timestamp in token claims."
	badTags      = "principal_tags passed in claim is not in correct format."
)

func TestAGoodTokenBecomesItsRole(t *testing.T) {
	w := newWorld(t)
	i := w.issuer(host)
	w.standard(i)
	a := w.assume(i.token(nil))
	if a.status != 200 {
		t.Fatal(a.body)
	}
	r := a.Web
	if r.SubjectFromWebIdentityToken != subject || r.Audience != audience || r.Provider != providerARN(host) || r.PackedPolicySize != "25" || strings.Contains(a.body, "SourceIdentity") ||
		r.AssumedRoleUser.Arn != "arn:aws:sts::"+account+":assumed-role/my-role/session" || !strings.HasPrefix(r.AssumedRoleUser.AssumedRoleId, "AROA") || !strings.HasSuffix(r.AssumedRoleUser.AssumedRoleId, ":session") {
		t.Errorf("%+v", r)
	}
	if left := r.Credentials.Expiration.Sub(w.clock.Now()); left > time.Hour || left < time.Hour-2*time.Second {
		t.Errorf("the session lasts %s", left)
	}
	c := r.credentials()
	who := w.call("GetCallerIdentity", nil, &c)
	if who.status != 200 || who.Caller.Arn != r.AssumedRoleUser.Arn || who.Caller.UserId != r.AssumedRoleUser.AssumedRoleId || who.Caller.Account != account {
		t.Errorf("%d %+v", who.status, who.Caller)
	}
	w.clock.Step(time.Hour)
	w.call("GetCallerIdentity", nil, &c).want(t, 403, "ExpiredToken", "The security token included in the request is expired")
}

// TestFaultsOfTokens has a row for each cause.
func TestFaultsOfTokens(t *testing.T) {
	w := newWorld(t)
	i := w.issuer(host)
	w.standard(i)
	w.provider(iam.Provider{URL: "slash.example/", ClientIDs: []string{audience}})
	now := w.clock.Now().Unix()
	good := i.token(nil)
	parts := strings.Split(good, ".")
	header := object{"alg": "RS256", "kid": "k1"}
	for name, tc := range map[string]struct {
		token         string
		code, message string
	}{
		"two parts":                {parts[0] + "." + parts[1], "", notJWT},
		"four parts":               {good + ".x", "", notJWT},
		"an access token":          {"ya29.opaque", "", notJWT},
		"padding":                  {parts[0] + "=." + parts[1] + "." + parts[2], "", notJWT},
		"a header that is a list":  {signText(t, `{"alg":"RS256"}`, `[]`, i.key), "", notJWT},
		"crit":                     {sign(t, object{"alg": "RS256", "kid": "k1", "crit": []string{"exp"}}, i.claims(), i.key), "", notJWT},
		"alg none":                 {signText(t, `{"alg":"none"}`, `{"iss":"https://issuer.example"}`, nil), "", notJWT},
		"no alg":                   {"e30." + parts[1] + "." + parts[2], "", notJWT},
		"iss missing":              {i.token(object{"iss": absent}), "", "Missing a required claim: iss"},
		"sub missing":              {i.token(object{"sub": absent}), "", "Missing a required claim: sub"},
		"aud missing":              {i.token(object{"aud": absent}), "", "Missing a required claim: aud"},
		"iat missing":              {i.token(object{"iat": absent}), "", "Missing a required claim: iat"},
		"exp missing":              {i.token(object{"exp": absent}), "", "Missing a required claim: exp"},
		"sub null":                 {i.token(object{"sub": nil}), "InternalFailure", "Unknown error validating third-party token"},
		"aud empty":                {i.token(object{"aud": []string{}}), "", "Claim is not allowed to be empty: aud"},
		"two aud":                  {i.token(object{"aud": []string{audience, "other"}}), "", "Token audience contains more than one audience while authorized party is not present"},
		"exp a fraction":           {i.token(object{"exp": float64(now) + 100.5}), "", badStamp},
		"exp null":                 {i.token(object{"exp": nil}), "", badStamp},
		"iat a word":               {i.token(object{"iat": "today"}), "", badStamp},
		"nbf a fraction":           {i.token(object{"nbf": 1.5}), "", badStamp},
		"exp beyond numbers":       {signText(t, `{"alg":"RS256","kid":"k1"}`, `{"iss":"https://issuer.example","sub":"s","aud":"a","iat":1,"exp":99999999999999999999}`, i.key), "", badStamp},
		"expired":                  {i.token(object{"exp": now - 300}), "ExpiredTokenException", "Token expired: current date/time " + itoa(now-300) + " must be before the expiration date/time " + itoa(now-300)},
		"issued in the future":     {i.token(object{"iat": now + 301}), "", "Token issued in the future: " + itoa(now+301)},
		"not yet":                  {i.token(object{"nbf": now + 301}), "", "Token not yet valid: current date/time " + itoa(now+300) + " must be after or equal to the not-before date/time " + itoa(now+301)},
		"aud of others":            {i.token(object{"aud": "kubernetes"}), "", notValidated},
		"azp of others":            {i.token(object{"azp": "kubernetes"}), "", notValidated},
		"azp empty":                {i.token(object{"azp": ""}), "", notValidated},
		"a signature of others":    {parts[0] + "." + parts[1] + "." + strings.Split(i.token(object{"jti": "x"}), ".")[2], "", notValidated},
		"claims of others":         {parts[0] + "." + strings.Split(i.token(object{"sub": "x"}), ".")[1] + "." + parts[2], "", notValidated},
		"another key":              {sign(t, object{"alg": "ES256", "kid": "k1"}, i.claims(), ecKey(t, elliptic.P256())), "", noKey},
		"unknown kid":              {sign(t, object{"alg": "RS256", "kid": "k2"}, i.claims(), i.key), "", noKey},
		"PS256":                    {sign(t, object{"alg": "PS256", "kid": "k1"}, i.claims(), i.key), "", noKey},
		"HS256":                    {signText(t, `{"alg":"HS256","kid":"k1"}`, string(mustJSON(t, i.claims())), i.key), "", noKey},
		"unknown issuer":           {i.token(object{"iss": "https://unknown.example"}), "", "No OpenIDConnect provider found in your account for https://unknown.example"},
		"the issuer with a slash":  {i.token(object{"iss": "https://issuer.example/"}), "", "No OpenIDConnect provider found in your account for https://issuer.example/"},
		"without its slash":        {i.token(object{"iss": "https://slash.example"}), "", "No OpenIDConnect provider found in your account for https://slash.example"},
		"the issuer in capitals":   {i.token(object{"iss": "https://Issuer.example"}), "", "No OpenIDConnect provider found in your account for https://Issuer.example"},
		"the issuer by http":       {i.token(object{"iss": "http://issuer.example"}), "", "No OpenIDConnect provider found in your account for http://issuer.example"},
		"a path more":              {i.token(object{"iss": "https://issuer.example/x"}), "", "No OpenIDConnect provider found in your account for https://issuer.example/x"},
		"without a scheme":         {i.token(object{"iss": "issuer.example"}), "", "No OpenIDConnect provider found in your account for issuer.example"},
		"tags a list":              {i.token(object{"https://aws.amazon.com/tags": []string{}}), "", badTags},
		"two values of a tag":      {i.token(object{"https://aws.amazon.com/tags": object{"principal_tags": object{"a": []string{"b", "c"}}}}), "", badTags},
		"tags that are no lists":   {i.token(object{"https://aws.amazon.com/tags": object{"principal_tags": object{"a": "b"}}}), "", badTags},
		"flat tags of numbers":     {i.token(object{"https://aws.amazon.com/tags/principal_tags/a": 1}), "", badTags},
		"tags of AWS":              {i.token(object{"https://aws.amazon.com/tags/principal_tags/aws:x": "y"}), "", "Unable to validate tags"},
		"a transitive tag more":    {i.token(object{"https://aws.amazon.com/tags": object{"principal_tags": object{}, "transitive_tag_keys": []string{"x"}}}), "", "Unable to validate tags"},
		"roles of others":          {i.token(object{"https://aws.amazon.com/roles": []any{roleARN + "x", 5}}), "", "The target role ARN is not present in the roles claim of the identity token"},
		"a source identity of AWS": {i.token(object{"https://aws.amazon.com/source_identity": "aws:x"}), "", "source_identity passed in claim is not in correct format."},
		"tags without the right":   {i.token(object{"https://aws.amazon.com/tags/principal_tags/a": "b"}), "AccessDenied", notAllowed},
		"identity without right":   {i.token(object{"https://aws.amazon.com/source_identity": "me"}), "AccessDenied", notAllowed},
		"sub of others":            {i.token(object{"sub": "system:serviceaccount:ns:other"}), "AccessDenied", notAllowed},
		"sub in capitals":          {i.token(object{"sub": strings.ToUpper(subject)}), "AccessDenied", notAllowed},
		"sub a wildcard":           {i.token(object{"sub": "*"}), "AccessDenied", notAllowed},
		"sub empty":                {i.token(object{"sub": ""}), "AccessDenied", notAllowed},
		"a wrong header type":      {signText(t, `{"alg":"RS256","kid":5}`, `{}`, i.key), "", notJWT},
		"two faults, aud first":    {i.token(object{"aud": "kubernetes", "exp": now - 400}), "ExpiredTokenException", "Token expired: current date/time " + itoa(now-300) + " must be before the expiration date/time " + itoa(now-400)},
		"no kid, several keys":     {sign(t, object{"alg": "RS256"}, i.claims(), i.key), "", ""},
		"good":                     {sign(t, header, i.claims(), i.key), "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			status, code := 400, tc.code
			switch {
			case tc.message == "":
				status = 200
			case code == "":
				code = "InvalidIdentityToken"
			case code == "AccessDenied":
				status = 403
			case code == "InternalFailure":
				status = 500
			}
			a := w.assume(tc.token)
			a.want(t, status, code, tc.message)
			if a.Code != "" && w.record(a.id).Message != tc.message {
				t.Errorf("the journal says %+v", w.record(a.id))
			}
		})
	}
}

// TestWhatAWSTakesThatOthersRefuse are recorded oddities.
func TestWhatAWSTakesThatOthersRefuse(t *testing.T) {
	w := newWorld(t)
	i := w.issuer(host)
	w.provider(iam.Provider{URL: host, ClientIDs: []string{audience, "party"}})
	w.role(iam.Role{Name: "my-role", TrustPolicy: trusting(providerARN(host), `{"StringLike":{"`+host+`:sub":"*"}}`, "sts:TagSession", "sts:SetSourceIdentity")})
	now := w.clock.Now().Unix()
	claims := string(mustJSON(t, i.claims()))
	for name, tc := range map[string]struct {
		token             string
		subject, audience string
	}{
		"sub a number":             {i.token(object{"sub": 123}), "123", audience},
		"sub empty":                {i.token(object{"sub": ""}), "", audience},
		"sub long":                 {i.token(object{"sub": strings.Repeat("a", 300)}), strings.Repeat("a", 300), audience},
		"azp counts":               {i.token(object{"aud": "anything", "azp": "party"}), subject, "party"},
		"two aud with azp":         {i.token(object{"aud": []string{"a", "b"}, "azp": "party"}), subject, "party"},
		"times as texts":           {i.token(object{"exp": itoa(now + 60), "iat": itoa(now)}), subject, audience},
		"no nbf":                   {i.token(object{"nbf": absent}), subject, audience},
		"within the allowance":     {i.token(object{"exp": now - 299}), subject, audience},
		"issued a little ahead":    {i.token(object{"iat": now + 300, "nbf": now + 300}), subject, audience},
		"repeated members":         {signText(t, `{"alg":"RS256","kid":"k1"}`, `{"sub":"other",`+claims[1:], i.key), subject, audience},
		"roles null":               {i.token(object{"https://aws.amazon.com/roles": nil}), subject, audience},
		"roles as a text":          {i.token(object{"https://aws.amazon.com/roles": "arn:x; " + roleARN + " "}), subject, audience},
		"roles as a list":          {i.token(object{"https://aws.amazon.com/roles": []any{1, roleARN}}), subject, audience},
		"typ missing, alg RS512":   {sign(t, object{"alg": "RS512", "kid": "k1"}, i.claims(), i.key), subject, audience},
		"no kid with a single key": {sign(t, object{"alg": "RS256"}, i.claims(), i.key), subject, audience},
		"kid empty":                {sign(t, object{"alg": "RS256", "kid": ""}, i.claims(), i.key), subject, audience},
	} {
		t.Run(name, func(t *testing.T) {
			a := w.assume(tc.token)
			if a.status != 200 || a.Web.SubjectFromWebIdentityToken != tc.subject || a.Web.Audience != tc.audience {
				t.Error(a.body)
			}
		})
	}
}

func TestParametersAreValidated(t *testing.T) {
	w := newWorld(t)
	i := w.issuer(host)
	w.standard(i)
	token := i.token(nil)
	set := func(name, value string) func(url.Values) { return func(v url.Values) { v.Set(name, value) } }
	for name, tc := range map[string]struct {
		change        func(url.Values)
		code, message string
	}{
		"no session name":     {func(v url.Values) { v.Del("RoleSessionName") }, "ValidationError", "1 validation error detected: Value null at 'roleSessionName' failed to satisfy constraint: Member must not be null"},
		"a bad session name":  {set("RoleSessionName", "a b"), "ValidationError", `1 validation error detected: Value 'a b' at 'roleSessionName' failed to satisfy constraint: Member must satisfy regular expression pattern: [\w+=,.@-]*`},
		"a short token":       {set("WebIdentityToken", "abc"), "ValidationError", "1 validation error detected: Value at 'webIdentityToken' failed to satisfy constraint: Member must have length greater than or equal to 4"},
		"too short":           {set("DurationSeconds", "899"), "ValidationError", "1 validation error detected: Value '899' at 'durationSeconds' failed to satisfy constraint: Member must have value greater than or equal to 900"},
		"too long":            {set("DurationSeconds", "43201"), "ValidationError", "1 validation error detected: Value '43201' at 'durationSeconds' failed to satisfy constraint: Member must have value less than or equal to 43200"},
		"longer than allowed": {set("DurationSeconds", "3601"), "ValidationError", "The requested DurationSeconds exceeds the MaxSessionDuration set for this role."},
		"no number":           {set("DurationSeconds", "1h"), "MalformedInput", "STRING_VALUE can not be converted to an Integer"},
		"no ARN":              {set("RoleArn", "my-role-of-this-account"), "ValidationError", "Request ARN is invalid"},
		"ARN of a user":       {set("RoleArn", "arn:aws:iam::111122223333:user/me"), "ValidationError", "Request ARN is invalid"},
		"no such role":        {set("RoleArn", roleARN+"x"), "AccessDenied", notAllowed},
		"a path more":         {set("RoleArn", "arn:aws:iam::111122223333:role/p/my-role"), "AccessDenied", notAllowed},
		"another partition":   {set("RoleArn", "arn:aws-cn:iam::111122223333:role/my-role"), "AccessDenied", notAllowed},
		"another account":     {set("RoleArn", "arn:aws:iam::444455556666:role/my-role"), "InvalidIdentityToken", "No OpenIDConnect provider found in your account for https://issuer.example"},
		"a provider":          {set("ProviderId", "issuer.example"), "AccessDenied", "Unrecognized OAuth provider. Do not include a provider parameter when submitting OpenIDConnect ID tokens"},
		"Amazon":              {set("ProviderId", "www.amazon.com"), "InvalidIdentityToken", "Provided Token is not a Login With Amazon token"},
		"Facebook":            {set("ProviderId", "graph.facebook.com"), "IDPRejectedClaim", `graph.facebook.com rejected OAuth token with response "Bad signature" and code 190`},
		"no policy":           {set("Policy", "{"), "MalformedPolicyDocument", "The policy is not in the valid JSON format."},
		"eleven policies": {func(v url.Values) {
			for n := range 11 {
				v.Set("PolicyArns.member."+itoa(int64(n+1))+".arn", "arn:aws:iam::aws:policy/P")
			}
		}, "ValidationError", "1 validation error detected: Value at 'policyArns' failed to satisfy constraint: Member must have length less than or equal to 10"},
	} {
		t.Run(name, func(t *testing.T) {
			status := map[string]int{"AccessDenied": 403, "IDPRejectedClaim": 403}[tc.code]
			if status == 0 {
				status = 400
			}
			w.assume(token, tc.change).want(t, status, tc.code, tc.message)
		})
	}
	if a := w.assume(token, set("DurationSeconds", "900")); a.status != 200 {
		t.Error(a.body)
	}
}

func TestASessionOutlivesItsTokenAndLastsAsAsked(t *testing.T) {
	w := newWorld(t)
	i := w.issuer(host)
	w.provider(iam.Provider{URL: host, ClientIDs: []string{audience}})
	w.role(iam.Role{Name: "my-role", MaxSessionDuration: 12 * time.Hour, TrustPolicy: trusting(providerARN(host), `{}`)})
	a := w.assume(i.token(object{"exp": w.clock.Now().Unix() + 60}), func(v url.Values) { v.Set("DurationSeconds", "43200") })
	if left := a.Web.Credentials.Expiration.Sub(w.clock.Now()); left < 12*time.Hour-2*time.Second {
		t.Errorf("%s of %s", left, a.body)
	}
}

func TestTagsAndSourceIdentityPassOn(t *testing.T) {
	w := newWorld(t)
	i := w.issuer(host)
	w.provider(iam.Provider{URL: host, ClientIDs: []string{audience}})
	w.role(iam.Role{Name: "my-role", TrustPolicy: trusting(providerARN(host), `{"StringEquals":{"aws:RequestTag/team":"a","sts:SourceIdentity":"me"},"ForAllValues:StringEquals":{"aws:TagKeys":["team","cost"]}}`, "sts:TagSession", "sts:SetSourceIdentity")})
	for _, claims := range []object{
		{"https://aws.amazon.com/tags": object{"principal_tags": object{"team": []string{"a"}, "cost": []string{"b"}}, "transitive_tag_keys": []string{"team"}}},
		{"https://aws.amazon.com/tags/principal_tags/team": "a", "https://aws.amazon.com/tags/principal_tags/cost": "b", "https://aws.amazon.com/tags/transitive_tag_keys": []string{"team"}},
	} {
		claims["https://aws.amazon.com/source_identity"] = "me"
		a := w.assume(i.token(claims))
		if a.status != 200 || a.Web.SourceIdentity != "me" {
			t.Fatal(a.body)
		}
		claims["https://aws.amazon.com/tags/principal_tags/more"] = "x"
		w.assume(i.token(claims)).want(t, 403, "AccessDenied", notAllowed)
	}
	many := object{"https://aws.amazon.com/source_identity": "me", "https://aws.amazon.com/tags/principal_tags/team": "a"}
	many["https://aws.amazon.com/tags/principal_tags/cost"] = strings.Repeat("0123456789abcdefghijklmnopqrstuvwxyzABCDEF", 7)[:256]
	if a := w.assume(i.token(many)); a.status != 200 {
		t.Error(a.body)
	}
}
