package apiserver

import (
	"context"
	"crypto/x509"

	"k8s.io/apiserver/pkg/authentication/authenticator"
	"k8s.io/apiserver/pkg/authentication/group"
	"k8s.io/apiserver/pkg/authentication/request/anonymous"
	"k8s.io/apiserver/pkg/authentication/request/bearertoken"
	"k8s.io/apiserver/pkg/authentication/request/union"
	"k8s.io/apiserver/pkg/authentication/request/websocket"

	"laterna.dev/laterna/internal/clock"
)

// authenticate tells who makes a request: the process itself, the holder of a
// client certificate or of a token. When no credential is good and one is wrong,
// the request is refused; without any it is anonymous.
func authenticate(roots *x509.CertPool, tokens authenticator.Request, now clock.Wall) authenticator.Request {
	credentials := union.New(loopbackAuthenticator, newCertAuthenticator(roots, now), tokens)
	return union.NewFailOnError(credentials, anonymous.NewAuthenticator(nil))
}

// bearer authenticates requests by their token alone. TokenReview asks it, so it
// must know neither of connections nor of the loopback.
func bearer(tokens authenticator.Token) authenticator.Request {
	return group.NewAuthenticatedGroupAdder(union.New(
		bearertoken.New(noToken),
		bearertoken.New(tokens),
		websocket.NewProtocolAuthenticator(tokens),
	))
}

// noToken knows no token. Kubernetes has such an authenticator before the others,
// whence the form of its errors: "[invalid bearer token, <reason>]".
var noToken = authenticator.TokenFunc(func(context.Context, string) (*authenticator.Response, bool, error) {
	return nil, false, nil
})
