// Package selfsubjectrulesreview lists what the caller may do in a namespace, for
// `kubectl auth can-i --list`.
package selfsubjectrulesreview

import (
	"context"
	"fmt"

	authorizationv1 "k8s.io/api/authorization/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apiserver/pkg/authorization/authorizer"
	"k8s.io/apiserver/pkg/endpoints/request"
	"k8s.io/apiserver/pkg/registry/rest"

	"laterna.dev/laterna/internal/registry/authorization"
)

// NewStorage returns the storage of selfsubjectrulesreviews.
func NewStorage(rules authorizer.RuleResolver) rest.Storage {
	return &authorization.Review{
		Singular:  "selfsubjectrulesreview",
		NewObject: func() runtime.Object { return &authorizationv1.SelfSubjectRulesReview{} },
		Decide: func(ctx context.Context, obj runtime.Object, validate func() error) (runtime.Object, error) {
			review, ok := obj.(*authorizationv1.SelfSubjectRulesReview)
			if !ok {
				return nil, apierrors.NewBadRequest(fmt.Sprintf("not a SelfSubjectRulesReview: %#v", obj))
			}
			u, ok := request.UserFrom(ctx)
			if !ok {
				return nil, apierrors.NewBadRequest("no user present on request")
			}
			namespace := review.Spec.Namespace
			if namespace == "" {
				return nil, apierrors.NewBadRequest("no namespace on request")
			}
			if err := validate(); err != nil {
				return nil, err
			}
			resources, paths, incomplete, err := rules.RulesFor(ctx, u, namespace)
			out := &authorizationv1.SelfSubjectRulesReview{Status: authorizationv1.SubjectRulesReviewStatus{
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
