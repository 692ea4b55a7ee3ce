package sts_test

import (
	"crypto/elliptic"
	"crypto/sha1"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"laterna.dev/laterna/internal/aws/iam"
	"laterna.dev/laterna/internal/aws/sts"
	"laterna.dev/laterna/internal/clock"
	"laterna.dev/laterna/internal/pki"
)

func with(k object, change object) object {
	out := object{}
	for n, v := range k {
		out[n] = v
	}
	for n, v := range change {
		if v == absent {
			delete(out, n)
		} else {
			out[n] = v
		}
	}
	return out
}

// TestWhichKeysCount are AWS's rules of the choice of keys.
func TestWhichKeysCount(t *testing.T) {
	w := newWorld(t)
	i := w.issuer(host)
	i.cache = "no-cache"
	w.standard(i)
	rsa := jwk("k1", i.key)
	cert, err := w.authority.Hosts().Certificate("x.example")
	must(t, err)
	foreign := base64.StdEncoding.EncodeToString(cert.Certificate[0])
	var many []object
	for n := range 101 {
		many = append(many, with(rsa, object{"kid": fmt.Sprint("k", n)}))
	}
	p256, p384, p521 := ecKey(t, elliptic.P256()), ecKey(t, elliptic.P384()), ecKey(t, elliptic.P521())
	es := func(alg string) string {
		switch alg {
		case "ES256":
			return sign(t, object{"alg": alg, "kid": "e"}, i.claims(), p256)
		case "ES384":
			return sign(t, object{"alg": alg, "kid": "e"}, i.claims(), p384)
		}
		return sign(t, object{"alg": alg, "kid": "e"}, i.claims(), p521)
	}
	good := i.token(nil)
	bare := sign(t, object{"alg": "RS256"}, i.claims(), i.key)
	for name, tc := range map[string]struct {
		keys    []object
		token   string
		message string // of InvalidIdentityToken; empty is accepted
	}{
		"the key":                      {[]object{rsa}, good, ""},
		"no use":                       {[]object{with(rsa, object{"use": absent})}, good, ""},
		"use enc":                      {[]object{with(rsa, object{"use": "enc"})}, good, noKey},
		"use of a number":              {[]object{with(rsa, object{"use": 1})}, good, noKey},
		"alg of others does not count": {[]object{with(rsa, object{"alg": "ES256"})}, good, ""},
		"key_ops, even verify":         {[]object{with(rsa, object{"key_ops": []string{"verify"}})}, good, notValidated},
		"x5c of another key":           {[]object{with(rsa, object{"x5c": []string{foreign}})}, good, noKey},
		"x5c that is none":             {[]object{with(rsa, object{"x5c": []string{"!"}})}, good, noKey},
		"x5c alone":                    {[]object{{"kty": "RSA", "kid": "k1", "x5c": []string{foreign}}}, good, noKey},
		"an empty kid":                 {[]object{with(rsa, object{"kid": ""})}, bare, noKey},
		"no kid, one key":              {[]object{rsa}, bare, ""},
		"no kid, two keys":             {[]object{rsa, with(rsa, object{"kid": "k2"})}, bare, noKey},
		"no kid, one of its type":      {[]object{rsa, jwk("e", p256)}, bare, ""},
		"the last of a kid counts":     {[]object{jwk("k1", i.key), with(jwk("k1", i.key), object{"n": "zzzz" + rsa["n"].(string)[4:]})}, good, notValidated},
		"a first of others":            {[]object{with(rsa, object{"n": "zzzz" + rsa["n"].(string)[4:]}), rsa}, good, ""},
		"another type of the same kid": {[]object{jwk("k1", p256), rsa}, good, ""},
		"100 keys":                     {many[:100], good, ""},
		"101 keys of RSA":              {many, good, noKey},
		"101 keys of RSA, and EC":      {append(many[:101:101], jwk("e", p256)), es("ES256"), ""},
		"ES256":                        {[]object{jwk("e", p256)}, es("ES256"), ""},
		"ES384":                        {[]object{jwk("e", p384)}, es("ES384"), ""},
		"ES512":                        {[]object{jwk("e", p521)}, es("ES512"), ""},
		"ES256 of another curve":       {[]object{jwk("e", p384)}, es("ES256"), notValidated},
		"a point off the curve":        {[]object{with(jwk("e", p256), object{"x": "AAAA"})}, es("ES256"), noKey},
		"a short key":                  {[]object{with(rsa, object{"n": "AQAB"})}, good, noKey},
		"an even exponent":             {[]object{with(rsa, object{"e": "Ag"})}, good, noKey},
		"a symmetric key":              {[]object{{"kty": "oct", "kid": "k1", "k": "AAAA"}}, good, noKey},
		"members in capitals":          {[]object{{"KTY": "RSA", "KID": "k1", "N": rsa["n"], "E": rsa["e"]}}, good, noKey},
		"none":                         {[]object{}, good, noKey},
	} {
		t.Run(name, func(t *testing.T) {
			i.set(func(i *issuer) { i.keys = tc.keys })
			w.clock.Step(time.Second) // issuers are asked once a second at most
			a := w.assume(tc.token)
			if tc.message == "" {
				a.want(t, 200, "", "")
			} else {
				a.want(t, 400, "InvalidIdentityToken", tc.message)
			}
		})
	}
}

// TestIssuersThatCannotBeAsked are the ways in which keys are not had.
func TestIssuersThatCannotBeAsked(t *testing.T) {
	for name, tc := range map[string]struct {
		change        func(*world, *issuer)
		code, message string
	}{
		"another issuer's document": {func(_ *world, i *issuer) { i.document["issuer"] = "https://other.example" }, "", noKey},
		"a slash more in it":        {func(_ *world, i *issuer) { i.document["issuer"] = "https://issuer.example/" }, "", noKey},
		"keys by http":              {func(_ *world, i *issuer) { i.document["jwks_uri"] = "http://issuer.example/keys" }, "", noKey},
		"keys in a file":            {func(_ *world, i *issuer) { i.document["jwks_uri"] = "file:///etc/passwd" }, "", noKey},
		"no keys in it":             {func(_ *world, i *issuer) { delete(i.document, "jwks_uri") }, "", noKey},
		"an error":                  {func(_ *world, i *issuer) { i.status = 503 }, "", noKey},
		"a redirection":             {func(_ *world, i *issuer) { i.status = 302 }, "", noKey},
		"keys that are none":        {func(_ *world, i *issuer) { i.raw = "<html>" }, "", noKey},
		"keys without end":          {func(_ *world, i *issuer) { i.raw = strings.Repeat(" ", 2<<20) }, "", noKey},
		"nobody there":              {func(w *world, _ *issuer) { w.hosts = map[string]string{} }, "IDPCommunicationError", "The identity provider that was asked to verify the incoming identity token could not be reached"},
		"nobody listens":            {func(_ *world, i *issuer) { i.host.Close() }, "IDPCommunicationError", "The identity provider that was asked to verify the incoming identity token could not be reached"},
		"asked for: they fail":      {func(w *world, _ *issuer) { w.faults.Set(sts.Fault{IssuersFail: true}) }, "", noKey},
		"asked for: they are slow": {func(w *world, _ *issuer) {
			w.faults.Set(sts.Fault{IssuerDelay: metav1.Duration{Duration: time.Minute}})
		}, "", noKey},
		"slow": {func(_ *world, i *issuer) { i.hold = time.Minute }, "", noKey},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			i := w.issuer(host)
			w.standard(i)
			tc.change(w, i)
			if tc.code == "" {
				tc.code = "InvalidIdentityToken"
			}
			began := time.Now()
			a := w.assume(i.token(nil))
			a.want(t, 400, tc.code, tc.message)
			r := w.record(a.id)
			if first, _ := r.First(); strings.Contains(name, "slow") != strings.Contains(first.Why, "longer than five seconds") {
				t.Errorf("the explanation says %+v", first)
			}
			if took := time.Since(began); took > 6*time.Second {
				t.Errorf("the answer took %s", took)
			}
		})
	}
}

func TestWhomThumbprintsTrust(t *testing.T) {
	w := newWorld(t)
	foreign, err := pki.OpenAuthority(t.TempDir(), clock.Real())
	must(t, err)
	leaf, err := foreign.Hosts().Certificate(host)
	must(t, err)
	root, err := x509.ParseCertificate(firstCertificate(t, foreign.PEM()))
	must(t, err)
	own, err := x509.ParseCertificate(firstCertificate(t, w.authority.PEM()))
	must(t, err)
	whole, apart, otherName := *leaf, *leaf, *leaf
	whole.Certificate = append(leaf.Certificate[:1:1], root.Raw)
	apart.Certificate = append(leaf.Certificate[:1:1], own.Raw) // a trusted certificate at the end that signed nothing
	name, err := foreign.Hosts().Certificate("other.example")
	must(t, err)
	otherName = *name
	otherName.Certificate = append(name.Certificate[:1:1], root.Raw)
	print := func(c *x509.Certificate) string { sum := sha1.Sum(c.Raw); return hex.EncodeToString(sum[:]) }
	const wrong = "OpenIDConnect provider's HTTPS certificate doesn't match configured thumbprint"
	i := w.issuerWith(host, *leaf)
	w.standard(i)
	for n, tc := range []struct {
		chain  [][]byte
		key    any
		prints []string
		want   string
	}{
		{whole.Certificate, whole.PrivateKey, []string{print(root)}, ""},
		{whole.Certificate, whole.PrivateKey, []string{strings.Repeat("0", 40), print(root)}, ""},
		{leaf.Certificate, leaf.PrivateKey, []string{print(leaf.Leaf)}, ""},
		{whole.Certificate, whole.PrivateKey, nil, wrong},
		{whole.Certificate, whole.PrivateKey, []string{strings.Repeat("0", 40)}, wrong},
		{whole.Certificate, whole.PrivateKey, []string{print(leaf.Leaf)}, wrong}, // the last of the chain counts
		{apart.Certificate, apart.PrivateKey, []string{print(own)}, wrong},       // it signed nothing
		{otherName.Certificate, name.PrivateKey, []string{print(root)}, wrong},   // the host's name counts, too
	} {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			i.host.TLS.Certificates[0].Certificate, i.host.TLS.Certificates[0].PrivateKey = tc.chain, tc.key
			_, err := w.iam.UpdateProvider(t.Context(), account, host, func(p *iam.Provider) error { p.Thumbprints = tc.prints; return nil })
			must(t, err)
			w.clock.Step(2 * time.Hour) // nothing that is known counts any more
			a := w.assume(i.token(nil))
			if tc.want == "" {
				a.want(t, 200, "", "")
			} else {
				a.want(t, 400, "InvalidIdentityToken", tc.want)
			}
		})
	}
}

func TestKeysAreKeptAsLongAsTheIssuerAllows(t *testing.T) {
	w := newWorld(t)
	i := w.issuer(host)
	i.cache = "max-age=600"
	w.standard(i)
	asked := func(want int, what string) {
		t.Helper()
		if got := i.count(); got != want {
			t.Errorf("%s: asked %d times, want %d", what, got, want)
		}
	}
	ok := func() { t.Helper(); w.assume(i.token(nil)).want(t, 200, "", "") }
	ok()
	w.clock.Step(599 * time.Second)
	ok()
	asked(2, "within their life")
	unknown := sign(t, object{"alg": "RS256", "kid": "new"}, i.claims(), i.key)
	w.assume(unknown).want(t, 400, "InvalidIdentityToken", noKey)
	asked(4, "for a key that is not known")
	for range 5 {
		w.assume(unknown).want(t, 400, "InvalidIdentityToken", noKey)
	}
	asked(4, "for it again at once")
	i.set(func(i *issuer) { i.keys = append(i.keys, jwk("new", i.key)) })
	w.clock.Step(time.Second)
	w.assume(unknown).want(t, 200, "", "")
	asked(6, "after a rotation")
	i.set(func(i *issuer) { i.status = 500 })
	w.clock.Step(500 * time.Second)
	ok()
	w.assume(sign(t, object{"alg": "RS256", "kid": "newer"}, i.claims(), i.key)).want(t, 400, "InvalidIdentityToken", noKey)
	ok() // an attempt that failed takes nothing away
	i.set(func(i *issuer) { i.status, i.keys = 0, i.keys[1:] })
	w.clock.Step(101 * time.Second)
	w.assume(i.token(nil)).want(t, 400, "InvalidIdentityToken", noKey)
	i.set(func(i *issuer) { i.cache, i.keys = "max-age=86400", []object{jwk("k1", i.key)} })
	w.clock.Step(time.Second)
	ok()
	before := i.count()
	w.clock.Step(time.Hour)
	ok()
	asked(before+2, "after an hour, whatever the issuer says")
	w.clock.Step(-48 * time.Hour)
	ok()
	asked(before+4, "after the clock was set back")
}

func TestManyWhoWaitAskOnce(t *testing.T) {
	w := newWorld(t)
	i := w.issuer(host)
	i.hold = 100 * time.Millisecond
	w.standard(i)
	token := i.token(nil)
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() { w.assume(token).want(t, 200, "", "") })
	}
	wg.Wait()
	if n := i.count(); n != 2 {
		t.Errorf("asked %d times", n)
	}
}

func TestFaultsOnDemand(t *testing.T) {
	w := newWorld(t)
	i := w.issuer(host)
	w.standard(i)
	token := i.token(nil)
	form := url.Values{"RoleArn": {roleARN}, "RoleSessionName": {"s1"}, "WebIdentityToken": {token}}
	w.faults.Set(sts.Fault{Throttled: true})
	w.assume(token).want(t, 400, "Throttling", "Rate exceeded")
	w.faults.Set(sts.Fault{DisabledRegions: []string{"eu-south-2"}})
	w.callAt("sts.eu-south-2.amazonaws.com", "AssumeRoleWithWebIdentity", form, nil).want(t, 403, "RegionDisabledException",
		"STS is not activated in this region for account:"+account+". Your account administrator can activate STS in this region using the IAM Console.")
	w.callAt("sts.eu-south-1.amazonaws.com", "AssumeRoleWithWebIdentity", form, nil).want(t, 200, "", "")
	admin := w.administrator(account)
	w.callAt("sts.eu-south-2.amazonaws.com", "GetCallerIdentity", nil, &admin).want(t, 200, "", "")
	w.faults.Set(sts.Fault{SessionLife: metav1.Duration{Duration: 10 * time.Second}})
	if left := w.assume(token).Web.Credentials.Expiration.Sub(w.clock.Now()); left > 10*time.Second {
		t.Errorf("the session lasts %s", left)
	}
	w.faults.Set(sts.Fault{})
	w.assume(token).want(t, 200, "", "")
}
