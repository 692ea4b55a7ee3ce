package rbac

import (
	"context"
	"fmt"
	"sync/atomic"

	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/runtime"
	utilerrors "k8s.io/apimachinery/pkg/util/errors"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/authorization/authorizer"
)

// Authorizer decides by the roles and bindings of the view. Its methods may be
// called concurrently. Until the first listing of all four kinds has arrived,
// decisions wait, at most as long as their context lives.
type Authorizer struct {
	view *view
	// unlisted counts the kinds without a listing yet; at zero synced is closed.
	unlisted atomic.Int32
	synced   chan struct{}
}

var (
	_ authorizer.Authorizer   = &Authorizer{}
	_ authorizer.RuleResolver = &Authorizer{}
)

// New returns an authorizer with an empty view; Run fills it.
func New() *Authorizer {
	a := &Authorizer{view: newView(), synced: make(chan struct{})}
	a.unlisted.Store(kinds)
	return a
}

// listed records the first listing of one kind.
func (a *Authorizer) listed() {
	if a.unlisted.Add(-1) == 0 {
		close(a.synced)
	}
}

// Synced is closed when the first listing of all four kinds has arrived.
func (a *Authorizer) Synced() <-chan struct{} { return a.synced }

// Written tells the view of a role or binding that this server has just stored.
func (a *Authorizer) Written(obj runtime.Object) { utilruntime.HandleError(set(a.view, obj)) }

// Deleted tells the view of a role or binding that this server has just deleted;
// its resource version is that of the deletion.
func (a *Authorizer) Deleted(obj runtime.Object) { utilruntime.HandleError(drop(a.view, obj, false)) }

func (a *Authorizer) wait(ctx context.Context) error {
	select {
	case <-a.synced:
		return nil
	default:
	}
	select {
	case <-a.synced:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("waiting for roles and bindings: %w", context.Cause(ctx))
	}
}

// Authorize implements authorizer.Authorizer. It never denies: without a rule that
// allows it has no opinion, and its reason then names roles that are missing.
func (a *Authorizer) Authorize(ctx context.Context, attrs authorizer.Attributes) (authorizer.Decision, string, error) {
	if err := a.wait(ctx); err != nil {
		return authorizer.DecisionNoOpinion, "", err
	}
	var allowed string
	var errs []error
	a.view.visit(attrs.GetUser(), attrs.GetNamespace(), func(g grant, rule *rbacv1.PolicyRule, err error) bool {
		if err != nil {
			errs = append(errs, err)
		} else if RuleAllows(attrs, rule) {
			allowed = g.reason
		}
		return allowed == ""
	})
	if allowed != "" {
		return authorizer.DecisionAllow, allowed, nil
	}
	if len(errs) > 0 {
		return authorizer.DecisionNoOpinion, "RBAC: " + utilerrors.NewAggregate(errs).Error(), nil
	}
	return authorizer.DecisionNoOpinion, "", nil
}

// ConditionsAwareAuthorize implements authorizer.Authorizer; there are no conditions.
func (a *Authorizer) ConditionsAwareAuthorize(ctx context.Context, attrs authorizer.Attributes) authorizer.ConditionsAwareDecision {
	return authorizer.ConditionsAwareDecisionFromParts(a.Authorize(ctx, attrs))
}

// EvaluateConditions implements authorizer.Authorizer; it refuses.
func (a *Authorizer) EvaluateConditions(context.Context, authorizer.ConditionsAwareDecision, authorizer.ConditionsData) (authorizer.Decision, string, error) {
	return authorizer.DecisionDeny, "", authorizer.ErrorConditionEvaluationNotSupported
}

// Rules returns all rules that u has in namespace ("" for cluster-wide ones only).
// With an error the rules are still right but not all of them. Callers must not
// change them.
func (a *Authorizer) Rules(ctx context.Context, u user.Info, namespace string) ([]rbacv1.PolicyRule, error) {
	if err := a.wait(ctx); err != nil {
		return nil, err
	}
	var rules []rbacv1.PolicyRule
	var errs []error
	subjectOf := map[*binding]string{}
	a.view.visit(u, namespace, func(g grant, rule *rbacv1.PolicyRule, err error) bool {
		if first, seen := subjectOf[g.binding]; seen && first != g.reason {
			return true
		}
		subjectOf[g.binding] = g.reason
		if err != nil {
			errs = append(errs, err)
		} else {
			rules = append(rules, *rule)
		}
		return true
	})
	return rules, utilerrors.NewAggregate(errs)
}

// RoleRules returns the rules of the role that ref names in the namespace of its
// binding. The error of a role that is not there is a NotFound. Callers must not
// change the rules.
func (a *Authorizer) RoleRules(ctx context.Context, ref rbacv1.RoleRef, namespace string) ([]rbacv1.PolicyRule, error) {
	if err := a.wait(ctx); err != nil {
		return nil, err
	}
	a.view.mu.RLock()
	defer a.view.mu.RUnlock()
	rules, ok := a.view.rules(ref, namespace)
	if !ok {
		return nil, missing(ref, "s")
	}
	return rules, nil
}

// RulesFor implements authorizer.RuleResolver.
func (a *Authorizer) RulesFor(ctx context.Context, u user.Info, namespace string) ([]authorizer.ResourceRuleInfo, []authorizer.NonResourceRuleInfo, bool, error) {
	rules, err := a.Rules(ctx, u, namespace)
	var resources []authorizer.ResourceRuleInfo
	var paths []authorizer.NonResourceRuleInfo
	for _, r := range rules {
		if len(r.Resources) > 0 {
			resources = append(resources, &authorizer.DefaultResourceRuleInfo{Verbs: r.Verbs, APIGroups: r.APIGroups, Resources: r.Resources, ResourceNames: r.ResourceNames})
		}
		if len(r.NonResourceURLs) > 0 {
			paths = append(paths, &authorizer.DefaultNonResourceRuleInfo{Verbs: r.Verbs, NonResourceURLs: r.NonResourceURLs})
		}
	}
	return resources, paths, false, err
}
