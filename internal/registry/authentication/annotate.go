package authentication

import (
	"context"
	"strings"

	"k8s.io/apiserver/pkg/audit"
	"k8s.io/apiserver/pkg/authentication/authenticator"
	"k8s.io/apiserver/pkg/authentication/user"
)

// ReviewedAnnotation is the audit annotation with the ID of the credential that was
// reviewed, if it was good. That of the caller is among the user's extras.
const ReviewedAnnotation = "authentication.laterna.dev/reviewed-credential-id"

// annotate adds to the audit event of a review what was noted about the token. Notes
// about the caller's own token stay as they are.
func annotate(ctx, inner context.Context, resp *authenticator.Response) {
	event := audit.AuditContextFrom(ctx)
	if !event.Enabled() {
		return
	}
	for key, value := range audit.AuditContextFrom(inner).GetEventAnnotations() {
		if _, ok := event.GetEventAnnotation(key); !ok {
			audit.AddAuditAnnotation(ctx, key, value)
		}
	}
	if resp == nil || resp.User == nil {
		return
	}
	if ids := resp.User.GetExtra()[user.CredentialIDKey]; len(ids) > 0 {
		audit.AddAuditAnnotation(ctx, ReviewedAnnotation, strings.Join(ids, ","))
	}
}
