package apiserver

import (
	"k8s.io/apiserver/pkg/authentication/authenticator"
	"k8s.io/apiserver/pkg/authentication/request/anonymous"
	"k8s.io/apiserver/pkg/authentication/request/union"
	"k8s.io/utils/clock"
)

// authenticator tells who makes a request. When no credential is good and one is
// wrong, the request is refused; without any it is anonymous.
func (s *Server) authenticator() authenticator.Request {
	credentials := union.New(
		loopbackAuthenticator,
		newCertAuthenticator(s.config.Serving.ClientCAs, clock.RealClock{}),
	)
	return union.NewFailOnError(credentials, anonymous.NewAuthenticator(nil))
}
