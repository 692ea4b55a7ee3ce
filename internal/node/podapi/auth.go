package podapi

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"strings"

	authenticationv1 "k8s.io/api/authentication/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// errNobody is returned for a request without valid credentials.
var errNobody = errors.New("no valid credentials")

// guard lets only those through to a route who are known and allowed.
func (s *Server) guard(r route) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		user, err := s.authenticate(req)
		if errors.Is(err, errNobody) {
			http.Error(w, "Unauthorized", http.StatusUnauthorized)
			return
		}
		if err != nil {
			s.cfg.Log.Warn("caller of the node API not authenticated", "error", err)
			http.Error(w, "Unauthorized", http.StatusUnauthorized)
			return
		}
		verb := r.verb
		if verb == "" {
			verb = "get"
		}
		allowed, err := s.allowed(req.Context(), user, verb, r.subresources)
		if err != nil {
			s.cfg.Log.Warn("caller of the node API not authorised", "user", user.Username, "error", err)
			http.Error(w, "Authorization error", http.StatusInternalServerError)
			return
		}
		if !allowed {
			http.Error(w, fmt.Sprintf("Forbidden (user=%s, verb=%s, resource=nodes, subresource(s)=%v)", user.Username, verb, r.subresources), http.StatusForbidden)
			return
		}
		r.serve(w, req)
	})
}

// authenticate takes a client certificate first, then a bearer token.
func (s *Server) authenticate(r *http.Request) (*authenticationv1.UserInfo, error) {
	if r.TLS != nil && len(r.TLS.PeerCertificates) > 0 {
		if user, err := s.certificate(r.TLS.PeerCertificates); err == nil {
			return user, nil
		}
	}
	token, ok := bearer(r)
	if !ok {
		return nil, errNobody
	}
	review, err := s.cfg.Client.AuthenticationV1().TokenReviews().Create(r.Context(),
		&authenticationv1.TokenReview{Spec: authenticationv1.TokenReviewSpec{Token: token}}, metav1.CreateOptions{})
	if err != nil {
		return nil, fmt.Errorf("reviewing token: %w", err)
	}
	if !review.Status.Authenticated {
		return nil, errNobody
	}
	return &review.Status.User, nil
}

// certificate is the user that a certificate of one of the accepted CAs names.
func (s *Server) certificate(chain []*x509.Certificate) (*authenticationv1.UserInfo, error) {
	if s.cfg.ClientCAs == nil {
		return nil, errNobody
	}
	intermediates := x509.NewCertPool()
	for _, c := range chain[1:] {
		intermediates.AddCert(c)
	}
	leaf := chain[0]
	if _, err := leaf.Verify(x509.VerifyOptions{
		Roots: s.cfg.ClientCAs, Intermediates: intermediates, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}); err != nil {
		return nil, err
	}
	if leaf.Subject.CommonName == "" {
		return nil, errNobody
	}
	groups := append([]string{}, leaf.Subject.Organization...)
	return &authenticationv1.UserInfo{Username: leaf.Subject.CommonName, Groups: append(groups, "system:authenticated")}, nil
}

func bearer(r *http.Request) (string, bool) {
	scheme, token, ok := strings.Cut(strings.TrimSpace(r.Header.Get("Authorization")), " ")
	token = strings.TrimSpace(token)
	return token, ok && strings.EqualFold(scheme, "bearer") && token != ""
}

// allowed asks for each subresource in turn until one is allowed.
func (s *Server) allowed(ctx context.Context, user *authenticationv1.UserInfo, verb string, subresources []string) (bool, error) {
	extra := map[string]authorizationv1.ExtraValue{}
	for k, v := range user.Extra {
		extra[k] = authorizationv1.ExtraValue(v)
	}
	for _, sub := range subresources {
		review, err := s.cfg.Client.AuthorizationV1().SubjectAccessReviews().Create(ctx, &authorizationv1.SubjectAccessReview{
			Spec: authorizationv1.SubjectAccessReviewSpec{
				User: user.Username, Groups: user.Groups, UID: user.UID, Extra: extra,
				ResourceAttributes: &authorizationv1.ResourceAttributes{
					Verb: verb, Version: "v1", Resource: "nodes", Subresource: sub, Name: s.cfg.NodeName,
				},
			},
		}, metav1.CreateOptions{})
		if err != nil {
			return false, fmt.Errorf("reviewing access: %w", err)
		}
		if review.Status.Allowed {
			return true, nil
		}
	}
	return false, nil
}
