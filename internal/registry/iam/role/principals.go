package role

import (
	"context"
	"fmt"

	"k8s.io/apimachinery/pkg/util/validation/field"

	"laterna.dev/laterna/api/iam/v1alpha1"
	"laterna.dev/laterna/internal/aws/iam"
)

// IDs looks up the unique id of the role with an ARN; "" where there is none.
type IDs func(ctx context.Context, arn string) string

// principals returns the roles that a trust policy means, with the ids that they have
// now; those that do not exist have none.
func principals(ctx context.Context, document string, ids IDs) []v1alpha1.Principal {
	var all []v1alpha1.Principal
	for _, arn := range iam.TrustedRoles(document) {
		all = append(all, v1alpha1.Principal{ARN: arn, ID: ids(ctx, arn)})
	}
	return all
}

// validatePrincipals refuses roles that do not exist, in AWS's words: whoever makes them
// later would be trusted.
func validatePrincipals(all []v1alpha1.Principal) field.ErrorList {
	var errs field.ErrorList
	for _, p := range all {
		if p.ID == "" {
			errs = append(errs, field.Invalid(field.NewPath("spec", "assumeRolePolicyDocument"), field.OmitValueType{},
				fmt.Sprintf("Invalid principal in policy: \"AWS\":%q", p.ARN)))
		}
	}
	return errs
}
