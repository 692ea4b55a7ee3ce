// Package signers says who may act for a signer of certificates: role-based rules of the
// virtual resource `signers` in certificates.k8s.io, by the signer's name or by its domain
// with an asterisk. Kinds that name a signer live beside it.
package signers

import (
	"context"
	"fmt"
	"strings"

	certificatesv1 "k8s.io/api/certificates/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/authorization/authorizer"
	"k8s.io/apiserver/pkg/endpoints/request"
)

// Verbs are what may be done for a signer.
const (
	Approve = "approve"
	Sign    = "sign"
	Attest  = "attest"
)

// Permit refuses a write of an object by somebody who may not do what verb says for a
// signer; message, with the signer's name quoted behind it, is what they are told.
func Permit(ctx context.Context, a authorizer.Authorizer, verb, signer string, of schema.GroupResource, name, message string) error {
	who, ok := request.UserFrom(ctx)
	if !ok {
		return apierrors.NewForbidden(of, name, fmt.Errorf("nobody asks"))
	}
	domain, _, _ := strings.Cut(signer, "/")
	for _, allowed := range []string{signer, domain + "/*"} {
		decision, _, err := a.Authorize(ctx, authorizer.AttributesRecord{
			User: who, Verb: verb, Name: allowed, ResourceRequest: true,
			APIGroup: certificatesv1.GroupName, APIVersion: "*", Resource: "signers",
		})
		if decision == authorizer.DecisionAllow && err == nil {
			return nil
		}
	}
	return apierrors.NewForbidden(of, name, fmt.Errorf("%s %q", message, signer))
}

// Subresource is the part of an object that a request is for.
func Subresource(ctx context.Context) string {
	if info, ok := request.RequestInfoFrom(ctx); ok {
		return info.Subresource
	}
	return ""
}
