// Package sigv4test signs requests in tests, in the header and in the query string. It owns
// nothing else; real clients are tried in test/compat.
package sigv4test

import (
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"strings"
	"time"

	"laterna.dev/laterna/internal/aws/sigv4"
	"laterna.dev/laterna/internal/redacted"
)

// Credentials are what a request is signed with.
type Credentials struct {
	ID, Secret, Token string
	Region, Service   string
}

const (
	basic     = "20060102T150405Z"
	algorithm = "AWS4-HMAC-SHA256"
)

func (c Credentials) scope(at time.Time) sigv4.Scope {
	return sigv4.Scope{Date: at.UTC().Format("20060102"), Region: c.Region, Service: c.Service}
}

func hash(body string) string {
	sum := sha256.Sum256([]byte(body))
	return hex.EncodeToString(sum[:])
}

// Sign signs a request with a body in its header.
func (c Credentials) Sign(r *http.Request, body string, at time.Time) {
	r.Header.Set("X-Amz-Date", at.UTC().Format(basic))
	headers := []string{"host", "x-amz-date"}
	if r.Header.Get("Content-Type") != "" {
		headers = append([]string{"content-type"}, headers...)
	}
	if c.Token != "" {
		r.Header.Set("X-Amz-Security-Token", c.Token)
		headers = append(headers, "x-amz-security-token")
	}
	if r.Host == "" {
		r.Host = r.URL.Host
	}
	scope := c.scope(at)
	toSign := sigv4.StringToSign(at.UTC().Format(basic), scope, sigv4.CanonicalRequest(r, headers, hash(body)))
	r.Header.Set("Authorization", algorithm+" Credential="+c.ID+"/"+scope.String()+
		", SignedHeaders="+strings.Join(headers, ";")+", Signature="+sigv4.Signature(redacted.New(c.Secret), scope, toSign))
}

// Presign signs a GET request in its query string.
func (c Credentials) Presign(r *http.Request, at time.Time) {
	if r.Host == "" {
		r.Host = r.URL.Host
	}
	scope := c.scope(at)
	q := r.URL.Query()
	q.Set("X-Amz-Algorithm", algorithm)
	q.Set("X-Amz-Credential", c.ID+"/"+scope.String())
	q.Set("X-Amz-Date", at.UTC().Format(basic))
	q.Set("X-Amz-Expires", "60")
	q.Set("X-Amz-SignedHeaders", "host")
	if c.Token != "" {
		q.Set("X-Amz-Security-Token", c.Token)
	}
	r.URL.RawQuery = q.Encode()
	toSign := sigv4.StringToSign(at.UTC().Format(basic), scope, sigv4.CanonicalRequest(r, []string{"host"}, hash("")))
	q.Set("X-Amz-Signature", sigv4.Signature(redacted.New(c.Secret), scope, toSign))
	r.URL.RawQuery = q.Encode()
}
