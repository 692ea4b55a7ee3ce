package sigv4

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"net/http"
	"time"

	"laterna.dev/laterna/internal/aws/caller"
	"laterna.dev/laterna/internal/aws/query"
	"laterna.dev/laterna/internal/clock"
	"laterna.dev/laterna/internal/redacted"
)

// What Keys answers besides what the store itself has to say.
var (
	// ErrUnknown: there is no such key, or not with that session token.
	ErrUnknown = errors.New("no such key")
	// ErrExpired: the session of the key is over.
	ErrExpired = errors.New("the session is over")
)

// Keys finds the keys of signers. It is called concurrently.
type Keys interface {
	// Key returns a key's secret and holder. token is the session token that was sent
	// with it; long-term keys have none, and one with a token is unknown.
	Key(ctx context.Context, id, token string) (Key, error)
}

// Key is what signs.
type Key struct {
	Secret redacted.Text
	Holder *caller.Caller
}

// Window is how far a signature's time may be from now.
const Window = 15 * time.Minute

// Config is what a verifier is made from.
type Config struct {
	Keys Keys
	Wall clock.Wall
}

// Verifier verifies signatures. It is safe for concurrent use.
type Verifier struct{ config Config }

// New returns a verifier.
func New(c Config) *Verifier { return &Verifier{c} }

// Authenticate returns who signed a call. It is the Authenticate of a query.Service, whose
// name signatures must be scoped to.
func (v *Verifier) Authenticate(ctx context.Context, call *query.Call) (*caller.Caller, error) {
	s, refused := read(call.HTTP, call.Form)
	if refused != nil {
		return nil, refused
	}
	if err := s.checkScope(call.Service.Name, call.HTTP); err != nil {
		return nil, err
	}
	if err := s.checkTime(v.config.Wall.Now()); err != nil {
		return nil, err
	}
	key, err := v.config.Keys.Key(ctx, s.keyID, s.token)
	switch {
	case errors.Is(err, ErrUnknown):
		return nil, unknownKey(call.Service.Name)
	case errors.Is(err, ErrExpired):
		return nil, query.Refuse(http.StatusForbidden, "ExpiredToken", "The security token included in the request is expired")
	case err != nil:
		return nil, err
	}
	hash, ok := payloadHash(call)
	if !ok {
		return nil, mismatch()
	}
	want := Signature(key.Secret, s.scope, s.stringToSign(call.HTTP, hash))
	if subtle.ConstantTimeCompare([]byte(want), []byte(s.signature)) != 1 {
		return nil, mismatch()
	}
	return key.Holder, nil
}

// payloadHash returns the digest that was signed, or false where it is not the body's.
func payloadHash(call *query.Call) (string, bool) {
	sum := sha256.Sum256(call.Body)
	hash := hex.EncodeToString(sum[:])
	sent := call.HTTP.Header.Get("X-Amz-Content-Sha256")
	return hash, sent == "" || sent == hash
}

// Signature computes that of a string to sign.
func Signature(secret redacted.Text, scope Scope, stringToSign string) string {
	key := []byte("AWS4" + secret.Reveal())
	for _, part := range []string{scope.Date, scope.Region, scope.Service, terminator} {
		key = sum(key, part)
	}
	return hex.EncodeToString(sum(key, stringToSign))
}

func sum(key []byte, text string) []byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(text))
	return h.Sum(nil)
}

func mismatch() *query.Error {
	return refuse(http.StatusForbidden, "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key and signing method. Consult the service documentation for details.")
}

// unknownKey is what IAM ends with a period, and STS does not.
func unknownKey(service string) *query.Error {
	text := "The security token included in the request is invalid"
	if service == "iam" {
		text += "."
	}
	return query.Refuse(http.StatusForbidden, "InvalidClientTokenId", "%s", text)
}

func refuse(status int, format string, args ...any) *query.Error {
	return query.Refuse(status, "SignatureDoesNotMatch", format, args...)
}
