package authorization

import (
	"context"

	authorizationv1 "k8s.io/api/authorization/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apiserver/pkg/authorization/authorizer"

	"laterna.dev/laterna/internal/registry/resource"
)

// SelfSubjectRulesReview lists what the caller may do in a namespace, for
// `kubectl auth can-i --list`.
func SelfSubjectRulesReview(rules authorizer.RuleResolver) resource.Question[*authorizationv1.SelfSubjectRulesReview] {
	type review = authorizationv1.SelfSubjectRulesReview
	return resource.Question[*review]{
		Plural:   "selfsubjectrulesreviews",
		Singular: "selfsubjectrulesreview",
		New:      func() *review { return &review{} },
		Check: func(ctx context.Context, r *review) error {
			if _, err := caller(ctx); err != nil {
				return err
			}
			if r.Spec.Namespace == "" {
				return apierrors.NewBadRequest("no namespace on request")
			}
			return nil
		},
		Answer: func(ctx context.Context, r *review) (*review, error) {
			u, err := caller(ctx)
			if err != nil {
				return nil, err
			}
			resources, paths, incomplete, err := rules.RulesFor(ctx, u, r.Spec.Namespace)
			out := &review{Status: authorizationv1.SubjectRulesReviewStatus{
				ResourceRules:    resourceRules(resources),
				NonResourceRules: pathRules(paths),
				Incomplete:       incomplete,
			}}
			if err != nil {
				out.Status.EvaluationError = err.Error()
			}
			return out, nil
		},
	}
}

func resourceRules(infos []authorizer.ResourceRuleInfo) []authorizationv1.ResourceRule {
	out := make([]authorizationv1.ResourceRule, len(infos))
	for i, r := range infos {
		out[i] = authorizationv1.ResourceRule{Verbs: r.GetVerbs(), APIGroups: r.GetAPIGroups(), Resources: r.GetResources(), ResourceNames: r.GetResourceNames()}
	}
	return out
}

func pathRules(infos []authorizer.NonResourceRuleInfo) []authorizationv1.NonResourceRule {
	out := make([]authorizationv1.NonResourceRule, len(infos))
	for i, r := range infos {
		out[i] = authorizationv1.NonResourceRule{Verbs: r.GetVerbs(), NonResourceURLs: r.GetNonResourceURLs()}
	}
	return out
}
