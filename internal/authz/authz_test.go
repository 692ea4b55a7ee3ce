package authz_test

import (
	"context"
	"testing"
	"time"

	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/authorization/authorizer"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes/fake"

	"laterna.dev/laterna/internal/authz"
	"laterna.dev/laterna/internal/authz/node"
	"laterna.dev/laterna/internal/authz/rbac"
	"laterna.dev/laterna/internal/clock"
	"laterna.dev/laterna/internal/registry"
)

// TestOrder asks before anything is known of roles: the server itself, which loads
// them, must not have to wait for them, and nodes need no roles for their own node.
func TestOrder(t *testing.T) {
	client := fake.NewClientset()
	n, err := node.New(node.Config{Pods: informers.NewSharedInformerFactory(client, 0).Core().V1().Pods().Informer(), Client: client, Kinds: registry.Kinds().NodeAccess(), Clock: clock.Real()})
	if err != nil {
		t.Fatal(err)
	}
	all, rules, err := authz.New(n, rbac.New())
	if err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		who  user.Info
		name string
		want authorizer.Decision
	}{
		{&user.DefaultInfo{Name: "system:apiserver", Groups: []string{"system:masters"}}, "a", authorizer.DecisionAllow},
		{&user.DefaultInfo{Name: "system:node:a", Groups: []string{"system:nodes"}}, "a", authorizer.DecisionAllow},
		{&user.DefaultInfo{Name: "system:node:a", Groups: []string{"system:nodes"}}, "b", authorizer.DecisionNoOpinion},
		{&user.DefaultInfo{Name: "ann"}, "a", authorizer.DecisionNoOpinion},
	} {
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
		got, _, err := all.Authorize(ctx, authorizer.AttributesRecord{User: tc.who, Verb: "get", Resource: "nodes", Name: tc.name, ResourceRequest: true})
		cancel()
		if got != tc.want || (err != nil) != (tc.want != authorizer.DecisionAllow) {
			t.Errorf("%s, node %s: %v, %v, want %v and an error unless allowed", tc.who.GetName(), tc.name, got, err, tc.want)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if _, _, incomplete, err := rules.RulesFor(ctx, &user.DefaultInfo{Name: "system:node:a", Groups: []string{"system:nodes"}}, "n"); !incomplete || err == nil {
		t.Errorf("rules of a node: incomplete %v, %v", incomplete, err)
	}
}
