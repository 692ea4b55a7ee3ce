package pod

import (
	"context"
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apiserver/pkg/authorization/authorizer"
	"k8s.io/apiserver/pkg/endpoints/request"

	"laterna.dev/laterna/api"
	"laterna.dev/laterna/api/onupdate"
)

// onUpdateRight lets only those who may create pods/exec add or change rules of what
// runs in the containers of a pod that exists: it is the same as exec, a little later.
// Whoever creates a pod chooses its commands anyway. Taking rules away runs nothing.
type onUpdateRight struct {
	authorizer authorizer.UnconditionalAuthorizer
}

// check returns a 403 when the request's user may not make old's rules those of p. It is
// asked by every way in which a pod is written.
func (r onUpdateRight) check(ctx context.Context, p, old *corev1.Pod) error {
	if !addsRules(p.Annotations[api.OnUpdate], old) {
		return nil
	}
	who, ok := request.UserFrom(ctx)
	if !ok || r.authorizer == nil {
		return forbidRules(old, "a user", "")
	}
	decision, reason, err := r.authorizer.Authorize(ctx, authorizer.AttributesRecord{
		User:            who,
		Verb:            "create",
		Namespace:       old.Namespace,
		APIVersion:      "v1",
		Resource:        "pods",
		Subresource:     "exec",
		Name:            old.Name,
		ResourceRequest: true,
	})
	if decision == authorizer.DecisionAllow {
		return nil
	}
	if err != nil {
		reason = err.Error()
	}
	return forbidRules(old, fmt.Sprintf("User %q", who.GetName()), reason)
}

func forbidRules(p *corev1.Pod, who, reason string) error {
	if reason != "" {
		reason = ": " + reason
	}
	return apierrors.NewForbidden(podsResource, p.Name, fmt.Errorf(
		"%s cannot add or change rules of the annotation %s on a pod that exists: they run commands in its containers, which needs the right to create resource \"pods/exec\" in API group \"\" in the namespace %q%s",
		who, api.OnUpdate, p.Namespace, reason))
}

// addsRules tells whether text has a rule that the pod has not, or has its rules in
// another order.
func addsRules(text string, old *corev1.Pod) bool {
	before := old.Annotations[api.OnUpdate]
	if text == before || strings.TrimSpace(text) == "" {
		return false
	}
	now, err := onupdate.Parse(text)
	if err != nil {
		return true // validation says what is wrong
	}
	had, err := onupdate.Parse(before)
	if err != nil || onupdate.Validate(had, old) != nil {
		had = nil // they are not honoured
	}
	for _, rule := range now {
		for len(had) > 0 && !had[0].Equal(rule) {
			had = had[1:]
		}
		if len(had) == 0 {
			return true
		}
		had = had[1:]
	}
	return false
}
