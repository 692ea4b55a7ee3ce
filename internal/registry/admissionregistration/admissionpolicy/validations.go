package admissionpolicy

import (
	"context"
	"fmt"
	"strings"

	v1 "k8s.io/api/admissionregistration/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	metavalidation "k8s.io/apimachinery/pkg/apis/meta/v1/validation"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
	library "k8s.io/apiserver/pkg/admission/plugin/policy/validating"
	"k8s.io/client-go/util/jsonpath"

	"laterna.dev/laterna/internal/registry/admissionregistration/matching"
	"laterna.dev/laterna/internal/registry/core/podspec/check"
)

const (
	maxAuditAnnotations = 20
	// maxAnnotationExpression is in bytes; the annotation may be twice as long.
	maxAnnotationExpression = 5 << 10
)

// reasons are those that a policy may refuse with.
var reasons = []metav1.StatusReason{metav1.StatusReasonForbidden, metav1.StatusReasonInvalid, metav1.StatusReasonRequestEntityTooLarge}

// validateValidating checks a policy that may refuse. old is the policy before, nil for a
// new one.
func validateValidating(ctx context.Context, c *matching.Conditions, p, old *v1.ValidatingAdmissionPolicy) field.ErrorList {
	said, known := ofValidating(p), map[string]bool{}
	var before *policy
	if old != nil {
		before = new(ofValidating(old))
		for _, v := range old.Spec.Validations {
			known[v.Expression], known[v.MessageExpression] = true, true
		}
		for _, a := range old.Spec.AuditAnnotations {
			known[strings.TrimSpace(a.ValueExpression)] = true
		}
	}
	spec := field.NewPath("spec")
	errs := said.validate(ctx, c, before)
	e, mistake := compiling(ctx, c, said, known)
	if mistake != nil {
		return append(errs, mistake)
	}
	errs = append(errs, e.declare(said.variables, spec.Child("variables"))...)
	validations, annotations := spec.Child("validations"), spec.Child("auditAnnotations")
	if len(p.Spec.Validations) == 0 && len(p.Spec.AuditAnnotations) == 0 {
		const neither = "validations or auditAnnotations must contain at least one item"
		return append(errs, field.Required(validations, neither), field.Required(annotations, neither))
	}
	for i, v := range p.Spec.Validations {
		errs = append(errs, e.validation(v, validations.Index(i))...)
	}
	return append(errs, e.annotations(p, annotations)...)
}

func (e *expressions) validation(v v1.Validation, at *field.Path) (errs field.ErrorList) {
	if strings.TrimSpace(v.Expression) == "" {
		errs = append(errs, field.Required(at.Child("expression"), "expression is not specified"))
	} else {
		errs = append(errs, e.check(&library.ValidationCondition{Expression: v.Expression}, e.with(true, false), at.Child("expression"))...)
	}
	message := at.Child("messageExpression")
	switch {
	case v.MessageExpression == "":
	case strings.TrimSpace(v.MessageExpression) == "":
		errs = append(errs, field.Invalid(message, v.MessageExpression, "must be non-empty if specified"))
	default:
		errs = append(errs, e.check(&library.MessageExpressionCondition{MessageExpression: v.MessageExpression}, e.with(false, false), message)...)
	}
	switch text := strings.TrimSpace(v.Message); {
	case v.Message != "" && text == "":
		errs = append(errs, field.Invalid(at.Child("message"), v.Message, "must be non-empty if specified"))
	case strings.ContainsAny(text, "\n\r"):
		errs = append(errs, field.Invalid(at.Child("message"), v.Message, "must not contain line breaks"))
	}
	return append(errs, matching.OneOf(v.Reason, reasons, at.Child("reason"))...)
}

// annotations checks what a policy adds to the audit log.
func (e *expressions) annotations(p *v1.ValidatingAdmissionPolicy, at *field.Path) (errs field.ErrorList) {
	all, keys := p.Spec.AuditAnnotations, map[string]bool{}
	if len(all) > maxAuditAnnotations {
		return field.ErrorList{field.Invalid(at, all, fmt.Sprintf("must not have more than %d auditAnnotations", maxAuditAnnotations))}
	}
	for i, a := range all {
		key, value := at.Index(i).Child("key"), at.Index(i).Child("valueExpression")
		if p.Name == "" {
			errs = append(errs, field.Invalid(key, a.Key, "requires metadata.name be non-empty"))
		} else {
			errs = append(errs, check.Messages(validation.IsQualifiedName(p.Name+"/"+a.Key), p.Name+"/"+a.Key, key)...)
		}
		switch expression := strings.TrimSpace(a.ValueExpression); {
		case expression == "":
			errs = append(errs, field.Required(value, "valueExpression is not specified"))
		case len(expression) > maxAnnotationExpression:
			errs = append(errs, field.Required(value, fmt.Sprintf("must not exceed %d bytes in length", maxAnnotationExpression)))
		default:
			errs = append(errs, e.check(&library.AuditAnnotationCondition{ValueExpression: expression}, e.with(true, false), value)...)
		}
		if keys[a.Key] {
			errs = append(errs, field.Duplicate(key, a.Key))
		}
		keys[a.Key] = true
	}
	return errs
}

// validateStatus checks what is written of a policy's types.
func validateStatus(s *v1.ValidatingAdmissionPolicyStatus) (errs field.ErrorList) {
	at := field.NewPath("status")
	if s.TypeChecking != nil {
		for i, w := range s.TypeChecking.ExpressionWarnings {
			at := at.Child("typeChecking", "expressionWarnings").Index(i)
			errs = append(errs, check.Required(w.Warning, at.Child("warning"))...)
			ref := strings.TrimSpace(w.FieldRef)
			if ref == "" {
				errs = append(errs, field.Required(at.Child("fieldRef"), ""))
			} else if err := jsonpath.New("spec").Parse("{" + ref + "}"); err != nil {
				errs = append(errs, field.Invalid(at.Child("fieldRef"), ref, fmt.Sprintf("invalid JSONPath: %v", err)))
			}
		}
	}
	return append(errs, metavalidation.ValidateConditions(s.Conditions, at.Child("conditions"))...)
}
