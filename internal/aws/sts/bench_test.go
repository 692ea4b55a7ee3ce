package sts_test

import (
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"
)

// BenchmarkAssumeRoleWithWebIdentity is a whole call with warm keys, without a connection and
// a store; BenchmarkCheck is the bare check of a signature.
func BenchmarkAssumeRoleWithWebIdentity(b *testing.B) {
	w := newWorld(b)
	i := w.issuer(host)
	w.standard(i)
	token := i.token(nil)
	w.assume(token).want(b, 200, "", "")
	body := url.Values{"Action": {"AssumeRoleWithWebIdentity"}, "Version": {"2011-06-15"}, "RoleArn": {roleARN}, "RoleSessionName": {"session"}, "WebIdentityToken": {token}}.Encode()
	for b.Loop() {
		r := httptest.NewRequest(http.MethodPost, "https://sts.amazonaws.com/", strings.NewReader(body))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		rec := httptest.NewRecorder()
		w.handler.ServeHTTP(rec, r)
		if rec.Code != 200 {
			b.Fatal(rec.Body)
		}
	}
}

func BenchmarkGetCallerIdentity(b *testing.B) {
	w := newWorld(b)
	i := w.issuer(host)
	w.standard(i)
	a := w.assume(i.token(nil))
	c := a.Web.credentials()
	body := url.Values{"Action": {"GetCallerIdentity"}, "Version": {"2011-06-15"}}.Encode()
	r := httptest.NewRequest(http.MethodPost, "https://sts.amazonaws.com/", nil)
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	c.Sign(r, body, time.Now())
	for b.Loop() {
		again := httptest.NewRequest(http.MethodPost, "https://sts.amazonaws.com/", strings.NewReader(body))
		again.Header = r.Header
		rec := httptest.NewRecorder()
		w.handler.ServeHTTP(rec, again)
		if rec.Code != 200 {
			b.Fatal(rec.Body)
		}
	}
}

func BenchmarkCheck(b *testing.B) {
	key, err := rsaKey()
	must(b, err)
	digest := sha256.Sum256([]byte("a token"))
	signature, err := rsa.SignPKCS1v15(nil, key, crypto.SHA256, digest[:])
	must(b, err)
	for b.Loop() {
		must(b, rsa.VerifyPKCS1v15(&key.PublicKey, crypto.SHA256, digest[:], signature))
	}
}
