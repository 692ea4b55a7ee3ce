package authorization_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	authorizationv1 "k8s.io/api/authorization/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/authorization/authorizer"
	"k8s.io/apiserver/pkg/endpoints/request"
	"k8s.io/apiserver/pkg/registry/rest"

	"laterna.dev/laterna/internal/registry/authorization"
)

// echo allows ann to get, denies eve, and reports what it was asked.
var echo = authorizer.AuthorizerFunc(func(_ context.Context, a authorizer.Attributes) (authorizer.Decision, string, error) {
	asked := fmt.Sprintf("%s %v %v: %s %s", a.GetUser().GetName(), a.GetUser().GetGroups(), a.GetUser().GetExtra(), a.GetVerb(), a.GetPath())
	if a.IsResourceRequest() {
		fields, _ := a.GetFieldSelector()
		labels, _ := a.GetLabelSelector()
		asked = fmt.Sprintf("%s %v %v: %s %s/%s %s/%s/%s in %s fields %v labels %v", a.GetUser().GetName(), a.GetUser().GetGroups(), a.GetUser().GetExtra(),
			a.GetVerb(), a.GetAPIGroup(), a.GetAPIVersion(), a.GetResource(), a.GetSubresource(), a.GetName(), a.GetNamespace(), fields, labels)
	}
	switch {
	case a.GetUser().GetName() == "eve":
		return authorizer.DecisionDeny, asked, errors.New("half blind")
	case a.GetVerb() == "get":
		return authorizer.DecisionAllow, asked, nil
	}
	return authorizer.DecisionNoOpinion, asked, nil
})

// only returns the one storage of a review.
func only(storages map[string]rest.Storage) rest.Storage {
	for _, s := range storages {
		return s
	}
	return nil
}

func create(t *testing.T, s rest.Storage, namespace string, obj runtime.Object) (runtime.Object, error) {
	t.Helper()
	ctx := request.WithUser(t.Context(), &user.DefaultInfo{Name: "me", Groups: []string{"g"}})
	return s.(rest.Creater).Create(request.WithNamespace(ctx, namespace), obj, rest.ValidateAllObjectFunc, &metav1.CreateOptions{})
}

var (
	getPod = &authorizationv1.ResourceAttributes{Verb: "get", Namespace: "n", Resource: "pods", Subresource: "log", Name: "p"}
	path   = &authorizationv1.NonResourceAttributes{Verb: "get", Path: "/metrics"}
)

func TestAnswers(t *testing.T) {
	sar, self, local := only(authorization.SubjectAccessReview(echo).Storages()), only(authorization.SelfSubjectAccessReview(echo).Storages()), only(authorization.LocalSubjectAccessReview(echo).Storages())
	type spec = authorizationv1.SubjectAccessReviewSpec
	extra := map[string]authorizationv1.ExtraValue{"k": {"v"}}
	for name, tc := range map[string]struct {
		storage rest.Storage
		obj     runtime.Object
		want    string
	}{
		"resource": {sar, &authorizationv1.SubjectAccessReview{Spec: spec{User: "ann", Groups: []string{"ops"}, Extra: extra, ResourceAttributes: getPod}},
			"allowed=true denied=false reason=ann [ops] map[k:[v]]: get /* pods/log/p in n fields [] labels  error="},
		"path":       {sar, &authorizationv1.SubjectAccessReview{Spec: spec{Groups: []string{"ops"}, NonResourceAttributes: path}}, "allowed=true denied=false reason= [ops] map[]: get /metrics error="},
		"no opinion": {sar, &authorizationv1.SubjectAccessReview{Spec: spec{User: "ann", NonResourceAttributes: &authorizationv1.NonResourceAttributes{Verb: "put", Path: "/"}}}, "allowed=false denied=false reason=ann [] map[]: put / error="},
		"denied":     {sar, &authorizationv1.SubjectAccessReview{Spec: spec{User: "eve", NonResourceAttributes: path}}, "allowed=false denied=true reason=eve [] map[]: get /metrics error=half blind"},
		"myself": {self, &authorizationv1.SelfSubjectAccessReview{Spec: authorizationv1.SelfSubjectAccessReviewSpec{ResourceAttributes: getPod}},
			"allowed=true denied=false reason=me [g] map[]: get /* pods/log/p in n fields [] labels  error="},
		"local": {local, &authorizationv1.LocalSubjectAccessReview{ObjectMeta: metav1.ObjectMeta{Namespace: "n"}, Spec: spec{User: "ann", ResourceAttributes: getPod}},
			"allowed=true denied=false reason=ann [] map[]: get /* pods/log/p in n fields [] labels  error="},
		"selectors": {sar, &authorizationv1.SubjectAccessReview{Spec: spec{User: "ann", ResourceAttributes: &authorizationv1.ResourceAttributes{
			Verb: "list", Version: "v1", Resource: "pods",
			FieldSelector: &authorizationv1.FieldSelectorAttributes{RawSelector: "spec.nodeName=a"},
			LabelSelector: &authorizationv1.LabelSelectorAttributes{Requirements: []metav1.LabelSelectorRequirement{{Key: "x", Operator: "In", Values: []string{"y"}}, {Key: "z", Operator: "Near", Values: []string{"y"}}}},
		}}}, "allowed=false denied=false reason=ann [] map[]: list /v1 pods// in  fields [{= spec.nodeName a}] labels x in (y) error=spec.resourceAttributes.labelSelector partially ignored due to parse error"},
		"unreadable selectors": {sar, &authorizationv1.SubjectAccessReview{Spec: spec{User: "ann", ResourceAttributes: &authorizationv1.ResourceAttributes{
			Verb: "list", Version: "v1", Resource: "pods",
			FieldSelector: &authorizationv1.FieldSelectorAttributes{Requirements: []metav1.FieldSelectorRequirement{{Key: "a", Operator: "Exists"}}},
			LabelSelector: &authorizationv1.LabelSelectorAttributes{RawSelector: "!!"},
		}}}, "allowed=false denied=false reason=ann [] map[]: list /v1 pods// in  fields [] labels  error=spec.resourceAttributes.fieldSelector ignored due to parse error; spec.resourceAttributes.labelSelector ignored due to parse error"},
	} {
		t.Run(name, func(t *testing.T) {
			out, err := create(t, tc.storage, "n", tc.obj)
			if err != nil {
				t.Fatal(err)
			}
			var s authorizationv1.SubjectAccessReviewStatus
			switch r := out.(type) {
			case *authorizationv1.SubjectAccessReview:
				s = r.Status
			case *authorizationv1.SelfSubjectAccessReview:
				s = r.Status
			case *authorizationv1.LocalSubjectAccessReview:
				s = r.Status
			}
			if got := fmt.Sprintf("allowed=%v denied=%v reason=%s error=%s", s.Allowed, s.Denied, s.Reason, s.EvaluationError); got != tc.want {
				t.Errorf("got  %s\nwant %s", got, tc.want)
			}
		})
	}
}

func TestRefusals(t *testing.T) {
	sar, self, local := only(authorization.SubjectAccessReview(echo).Storages()), only(authorization.SelfSubjectAccessReview(echo).Storages()), only(authorization.LocalSubjectAccessReview(echo).Storages())
	type spec = authorizationv1.SubjectAccessReviewSpec
	meta := metav1.ObjectMeta{Name: "x"}
	here := metav1.ObjectMeta{Namespace: "n"}
	selected := func(f *authorizationv1.FieldSelectorAttributes) runtime.Object {
		return &authorizationv1.SubjectAccessReview{Spec: spec{User: "a", ResourceAttributes: &authorizationv1.ResourceAttributes{FieldSelector: f}}}
	}
	for name, tc := range map[string]struct {
		storage rest.Storage
		obj     runtime.Object
		want    string
	}{
		"nothing asked":   {sar, &authorizationv1.SubjectAccessReview{Spec: spec{User: "a"}}, "spec.resourceAttributes: Invalid value: null: exactly one of nonResourceAttributes or resourceAttributes must be specified"},
		"both asked":      {sar, &authorizationv1.SubjectAccessReview{Spec: spec{User: "a", ResourceAttributes: getPod, NonResourceAttributes: path}}, "cannot be specified in combination with resourceAttributes"},
		"nobody":          {sar, &authorizationv1.SubjectAccessReview{Spec: spec{NonResourceAttributes: path}}, `spec.user: Invalid value: "": at least one of user or group must be specified`},
		"metadata":        {sar, &authorizationv1.SubjectAccessReview{ObjectMeta: meta, Spec: spec{User: "a", NonResourceAttributes: path}}, "must be empty"},
		"self, nothing":   {self, &authorizationv1.SelfSubjectAccessReview{}, "exactly one of nonResourceAttributes or resourceAttributes must be specified"},
		"self, metadata":  {self, &authorizationv1.SelfSubjectAccessReview{ObjectMeta: meta, Spec: authorizationv1.SelfSubjectAccessReviewSpec{NonResourceAttributes: path}}, "must be empty"},
		"local path":      {local, &authorizationv1.LocalSubjectAccessReview{ObjectMeta: here, Spec: spec{User: "a", NonResourceAttributes: path}}, "disallowed on this kind of request"},
		"local elsewhere": {local, &authorizationv1.LocalSubjectAccessReview{ObjectMeta: here, Spec: spec{User: "a", ResourceAttributes: &authorizationv1.ResourceAttributes{Namespace: "m"}}}, `spec.resourceAttributes.namespace: Invalid value: "m": must match metadata.namespace`},
		"local in another namespace's path": {local, &authorizationv1.LocalSubjectAccessReview{ObjectMeta: metav1.ObjectMeta{Namespace: "m"}, Spec: spec{User: "a", ResourceAttributes: &authorizationv1.ResourceAttributes{Namespace: "m"}}},
			"spec.resourceAttributes.namespace must match namespace: n"},
		"wrong object": {sar, &authorizationv1.SelfSubjectAccessReview{}, "not a SubjectAccessReview"},
		"two forms of a selector": {sar, selected(&authorizationv1.FieldSelectorAttributes{RawSelector: "a=b", Requirements: []metav1.FieldSelectorRequirement{{Key: "a", Operator: "In", Values: []string{"b"}}}}),
			`spec.resourceAttributes.fieldSelector.rawSelector: Invalid value: "a=b": may not specified at the same time as requirements`},
		"no form of a selector": {sar, selected(&authorizationv1.FieldSelectorAttributes{}), "spec.resourceAttributes.fieldSelector.requirements: Required value: when spec.resourceAttributes.fieldSelector is specified, requirements or rawSelector is required"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := create(t, tc.storage, "n", tc.obj)
			if err == nil || !strings.Contains(err.Error(), tc.want) || !apierrors.IsInvalid(err) && !apierrors.IsBadRequest(err) {
				t.Errorf("err = %v\nwant %s", err, tc.want)
			}
		})
	}
}

type rules struct{}

func (rules) RulesFor(_ context.Context, u user.Info, namespace string) ([]authorizer.ResourceRuleInfo, []authorizer.NonResourceRuleInfo, bool, error) {
	return []authorizer.ResourceRuleInfo{&authorizer.DefaultResourceRuleInfo{Verbs: []string{"get"}, APIGroups: []string{""}, Resources: []string{u.GetName()}, ResourceNames: []string{namespace}}},
		[]authorizer.NonResourceRuleInfo{&authorizer.DefaultNonResourceRuleInfo{Verbs: []string{"get"}, NonResourceURLs: []string{"/x"}}}, true, errors.New("half blind")
}

func TestRules(t *testing.T) {
	s := only(authorization.SelfSubjectRulesReview(rules{}).Storages())
	out, err := create(t, s, "", &authorizationv1.SelfSubjectRulesReview{Spec: authorizationv1.SelfSubjectRulesReviewSpec{Namespace: "n"}})
	if err != nil {
		t.Fatal(err)
	}
	if got, want := fmt.Sprintf("%+v", out.(*authorizationv1.SelfSubjectRulesReview).Status),
		"{ResourceRules:[{Verbs:[get] APIGroups:[] Resources:[me] ResourceNames:[n]}] NonResourceRules:[{Verbs:[get] NonResourceURLs:[/x]}] Incomplete:true EvaluationError:half blind}"; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if _, err := create(t, s, "", &authorizationv1.SelfSubjectRulesReview{}); !apierrors.IsBadRequest(err) || err.Error() != "no namespace on request" {
		t.Errorf("without a namespace: %v", err)
	}
}

// TestAdmissionMayRefuse checks that validating admission is asked before answering.
func TestAdmissionMayRefuse(t *testing.T) {
	no := func(context.Context, runtime.Object) error { return errors.New("no") }
	obj := &authorizationv1.SubjectAccessReview{Spec: authorizationv1.SubjectAccessReviewSpec{User: "a", NonResourceAttributes: path}}
	if _, err := only(authorization.SubjectAccessReview(echo).Storages()).(rest.Creater).Create(t.Context(), obj, no, nil); err == nil || err.Error() != "no" {
		t.Errorf("err = %v", err)
	}
}
