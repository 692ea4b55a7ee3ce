package sts_test

import (
	"crypto/rand"
	"crypto/rsa"
	"net/url"
	"strings"
	"testing"

	"laterna.dev/laterna/internal/aws/iam"
)

// TestConfusedDeputies are tokens that are good, and not for the role: what the attacker
// owns is an issuer, a provider of an account of its own, or a service account.
func TestConfusedDeputies(t *testing.T) {
	w := newWorld(t)
	victim := w.issuer("tokens.example/id/ABC")
	w.standard(victim)
	evil := w.issuer("evil.example")
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	must(t, err)
	evil.key, evil.keys = key, []object{jwk("k1", key)}
	w.provider(iam.Provider{Account: other, URL: victim.url, ClientIDs: []string{audience, "*"}})
	w.provider(iam.Provider{Account: other, URL: "evil.example", ClientIDs: []string{audience}})
	// The victim trusts the attacker's issuer, too, for another role.
	w.provider(iam.Provider{URL: "evil.example", ClientIDs: []string{audience}})
	w.role(iam.Role{Name: "guest", TrustPolicy: trusting(providerARN("evil.example"), `{"StringEquals":{"evil.example:sub":"guest"}}`)})
	// A role of the victim's that names the provider of another account.
	w.role(iam.Role{Name: "foreign", TrustPolicy: trusting("arn:aws:iam::"+other+":oidc-provider/"+victim.url, `{}`)})
	// A role of the attacker's that names the victim's provider.
	w.role(iam.Role{Account: other, Name: "grab", TrustPolicy: trusting(providerARN(victim.url), `{}`)})

	forged := func(change object) string { return evil.token(change) }
	as := func(role string) func(url.Values) { return func(v url.Values) { v.Set("RoleArn", role) } }
	for name, tc := range map[string]struct {
		token string
		role  string
	}{
		"another issuer of the account":            {forged(object{"sub": subject}), roleARN},
		"the victim's issuer in a forged token":    {forged(object{"iss": "https://" + victim.url, "sub": subject}), roleARN},
		"an issuer that begins like the victim's":  {forged(object{"iss": "https://tokens.example/id/ABCD", "sub": subject}), roleARN},
		"the issuer above the victim's":            {forged(object{"iss": "https://tokens.example/id", "sub": subject}), roleARN},
		"credentials before the host":              {forged(object{"iss": "https://tokens.example@evil.example/id/ABC", "sub": subject}), roleARN},
		"the victim's host as a part of another's": {forged(object{"iss": "https://tokens.example.evil.example/id/ABC", "sub": subject}), roleARN},
		"dots in the path":                         {forged(object{"iss": "https://evil.example/../tokens.example/id/ABC", "sub": subject}), roleARN},
		"the slash encoded":                        {forged(object{"iss": "https://tokens.example%2Fid/ABC", "sub": subject}), roleARN},
		"a fragment":                               {forged(object{"iss": "https://tokens.example/id/ABC#", "sub": subject}), roleARN},
		"a query":                                  {forged(object{"iss": "https://tokens.example/id/ABC?", "sub": subject}), roleARN},
		"a port":                                   {forged(object{"iss": "https://tokens.example:443/id/ABC", "sub": subject}), roleARN},
		"the path in small letters":                {forged(object{"iss": "https://tokens.example/id/abc", "sub": subject}), roleARN},
		"a letter that looks alike":                {forged(object{"iss": "https://tоkens.example/id/ABC", "sub": subject}), roleARN},
		"a NUL":                                    {forged(object{"iss": "https://tokens.example/id/ABC\x00", "sub": subject}), roleARN},
		"a dot at the host's end":                  {forged(object{"iss": "https://tokens.example./id/ABC", "sub": subject}), roleARN},
		"the provider of another account":          {victim.token(nil), "arn:aws:iam::" + account + ":role/foreign"},
		"a role of another account":                {victim.token(nil), "arn:aws:iam::" + other + ":role/grab"},
		"a role of nobody":                         {victim.token(nil), "arn:aws:iam::777777777777:role/my-role"},
		"a wildcard as sub":                        {victim.token(object{"sub": "system:serviceaccount:*:*"}), roleARN},
		"sub as a list":                            {victim.token(object{"sub": []string{subject}}), roleARN},
		"sub as an object":                         {victim.token(object{"sub": object{"a": subject}}), roleARN},
		"sub with a blank":                         {victim.token(object{"sub": subject + " "}), roleARN},
		"sub with a line":                          {victim.token(object{"sub": subject + "\n"}), roleARN},
		"sub with more":                            {victim.token(object{"sub": subject + "2"}), roleARN},
		"aud a list of two":                        {victim.token(object{"aud": []string{audience, "kubernetes"}}), roleARN},
		"aud a text of two":                        {victim.token(object{"aud": audience + ",kubernetes"}), roleARN},
		"aud a wildcard":                           {victim.token(object{"aud": "*"}), roleARN},
		"aud in capitals":                          {victim.token(object{"aud": strings.ToUpper(audience)}), roleARN},
		"aud a list of lists":                      {victim.token(object{"aud": []any{[]string{audience}}}), roleARN},
		"azp of the role, aud of others":           {victim.token(object{"aud": []string{"a", "b"}, "azp": "a"}), roleARN},
		"a role in another letter case":            {victim.token(object{"sub": "x"}), strings.ToUpper(roleARN)},
		"conditions of the guest for the role":     {forged(object{"sub": "guest"}), roleARN},
	} {
		t.Run(name, func(t *testing.T) {
			if a := w.assume(tc.token, as(tc.role)); a.status == 200 || a.status >= 500 {
				t.Errorf("%d %s", a.status, a.body)
			}
		})
	}
	w.assume(victim.token(nil)).want(t, 200, "", "")
	w.assume(forged(object{"sub": "guest"}), as("arn:aws:iam::"+account+":role/guest")).want(t, 200, "", "")
}

// TestWildcardsOfPoliciesAreNotThoseOfTokens: only what a policy says stands for anything.
func TestWildcardsOfPoliciesAreNotThoseOfTokens(t *testing.T) {
	w := newWorld(t)
	i := w.issuer(host)
	w.provider(iam.Provider{URL: host, ClientIDs: []string{audience}})
	for n, tc := range []struct {
		condition, sub string
		allowed        bool
	}{
		{`{"StringLike":{"issuer.example:sub":"system:serviceaccount:ns:*"}}`, subject, true},
		{`{"StringLike":{"issuer.example:sub":"system:serviceaccount:ns:*"}}`, "system:serviceaccount:other:app", false},
		{`{"StringLike":{"issuer.example:sub":"system:serviceaccount:ns:ap?"}}`, subject, true},
		{`{"StringEquals":{"issuer.example:sub":"system:serviceaccount:ns:*"}}`, subject, false},
		{`{"StringEquals":{"issuer.example:sub":"system:serviceaccount:ns:*"}}`, "system:serviceaccount:ns:*", true},
		{`{"StringLike":{"issuer.example:sub":"${aws:userid}"}}`, "${aws:userid}", false},
		{`{"StringNotLike":{"issuer.example:sub":"system:serviceaccount:ns:*"}}`, subject, false},
		{`{"StringEquals":{"ISSUER.example:SUB":"` + subject + `"}}`, subject, true},
		{`{"StringEquals":{"other.example:sub":"` + subject + `"}}`, subject, false},
		{`{"StringEqualsIfExists":{"other.example:sub":"x"}}`, subject, true},
		{`{"StringEquals":{"sub":"` + subject + `"}}`, subject, false},
		{`{"Null":{"issuer.example:sub":"false"}}`, subject, true},
		{`{"StringEquals":{"issuer.example:kubernetes.io":"x"}}`, subject, false},
	} {
		name := "r" + itoa(int64(n))
		w.role(iam.Role{Name: name, TrustPolicy: trusting(providerARN(host), tc.condition)})
		a := w.assume(i.token(object{"sub": tc.sub}), func(v url.Values) { v.Set("RoleArn", "arn:aws:iam::"+account+":role/"+name) })
		if allowed := a.status == 200; allowed != tc.allowed {
			t.Errorf("%s with sub %s: %d %s", tc.condition, tc.sub, a.status, a.Message)
		}
	}
}

// TestNobodyIsAskedForKeysInVain: only registered issuers are, and only for tokens that are
// otherwise good.
func TestNobodyIsAskedForKeysInVain(t *testing.T) {
	w := newWorld(t)
	i := w.issuer(host)
	unregistered := w.issuer("unregistered.example")
	w.standard(i)
	w.assume(unregistered.token(nil))
	w.assume(i.token(object{"aud": "x"}))
	w.assume(i.token(object{"exp": 1}))
	w.assume(i.token(object{"iat": absent}))
	if unregistered.count() != 0 || i.count() != 0 {
		t.Errorf("asked %d and %d times", unregistered.count(), i.count())
	}
}

func FuzzTokens(f *testing.F) {
	w := newWorld(f)
	i := w.issuer(host)
	w.standard(i)
	good := i.token(nil)
	w.assume(good).want(f, 200, "", "")
	f.Add(good)
	f.Add("e30.e30.e30")
	f.Add(signText(f, `{"alg":"RS256","kid":"k1"}`, `{"iss":"https://issuer.example","sub":null,"aud":[[]],"iat":"1","exp":1e9}`, i.key))
	f.Fuzz(func(t *testing.T, token string) {
		w.t = t
		a := w.assume(token)
		if a.status == 200 && token != good {
			t.Errorf("%s became %s", token, a.body)
		}
		if a.status >= 500 && a.Message != "Unknown error validating third-party token" {
			t.Errorf("%s: %s", token, a.body)
		}
	})
}
