package compat

import (
	"context"
	"fmt"
	"strings"
	"testing"

	v1 "k8s.io/api/admissionregistration/v1"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

func TestConformanceValidatingPolicies(t *testing.T) {
	d := newDesk(t)
	d.conforms(t, "[sig-api-machinery] ValidatingAdmissionPolicy [Privileged:ClusterAdmin] should validate against a Deployment", func(t *testing.T) {
		p := d.policed(t)
		p.refuse(t, nil,
			v1.Validation{Expression: "object.spec.replicas > 1", MessageExpression: "'wants replicas > 1, got ' + object.spec.replicas"},
			v1.Validation{Expression: "namespaceObject.metadata.name == '" + p.ns + "'", Message: "Internal error! Other namespace should not be allowed."})
		p.marked(t)
		refused(t, p.deploy(t, 1), "ValidatingAdmissionPolicy '"+p.ns+"' with binding '"+p.ns+"' denied request: failed expression: object.spec.replicas > 1")
		d.must(t, p.deploy(t, 2))
		p.replicaSetPasses(t)
	})
	d.conforms(t, "[sig-api-machinery] ValidatingAdmissionPolicy [Privileged:ClusterAdmin] should allow expressions to refer variables.", func(t *testing.T) {
		p := d.policed(t)
		p.refuse(t, []v1.Variable{{Name: "replicas", Expression: "object.spec.replicas"}, {Name: "oddReplicas", Expression: "variables.replicas % 2 == 1"}},
			v1.Validation{Expression: "variables.replicas > 1"}, v1.Validation{Expression: "variables.oddReplicas"})
		p.marked(t)
		refused(t, p.deploy(t, 2), "failed expression: variables.oddReplicas")
		d.must(t, p.deploy(t, 3))
		p.replicaSetPasses(t)
	})
	rules := map[string]any{"resourceRules": []any{map[string]any{"operations": []any{"CREATE"}, "apiGroups": []any{"apps"}, "apiVersions": []any{"v1"}, "resources": []any{"deployments"}}}}
	d.conforms(t, "[sig-api-machinery] ValidatingAdmissionPolicy [Privileged:ClusterAdmin] should support ValidatingAdmissionPolicy API operations", d.lives(life{
		resource: v1.SchemeGroupVersion.WithResource("validatingadmissionpolicies"), silent: true,
		object: func() map[string]any {
			return map[string]any{"kind": "ValidatingAdmissionPolicy", "spec": map[string]any{
				"validations": []any{map[string]any{"expression": "object.spec.replicas <= 100"}}, "matchConstraints": rules}}
		},
		status: map[string]any{"observedGeneration": int64(7)},
		settled: func(p *unstructured.Unstructured) bool {
			seen, _, _ := unstructured.NestedInt64(p.Object, "status", "observedGeneration")
			return seen == p.GetGeneration()
		},
	}))
	d.conforms(t, "[sig-api-machinery] ValidatingAdmissionPolicy [Privileged:ClusterAdmin] should support ValidatingAdmissionPolicyBinding API operations", d.lives(life{
		resource: v1.SchemeGroupVersion.WithResource("validatingadmissionpolicybindings"), silent: true,
		object: func() map[string]any {
			return map[string]any{"kind": "ValidatingAdmissionPolicyBinding", "spec": map[string]any{"policyName": "replicalimit-policy.example.com", "validationActions": []any{"Deny"}}}
		},
	}))
	d.conforms(t, "[sig-api-machinery] ValidatingAdmissionPolicy [Privileged:ClusterAdmin] should type check validation expressions", d.typesAreChecked)
}

func TestConformanceMutatingPolicies(t *testing.T) {
	d := newDesk(t)
	d.conforms(t, "[sig-api-machinery] MutatingAdmissionPolicy [Privileged:ClusterAdmin] should mutate a Deployment with annotations", func(t *testing.T) {
		p := d.policed(t)
		p.change(t, `Object{metadata: Object.metadata{annotations: {"mutated-by": "admission-policy"}}}`)
		eventually(t, stepTimeout, func() error {
			if made, err := p.create(t, 1); err != nil || made.Annotations["mutated-by"] != "admission-policy" {
				return fmt.Errorf("created %v, %v", made, err)
			}
			return nil
		})
	})
	d.conforms(t, "[sig-api-machinery] MutatingAdmissionPolicy [Privileged:ClusterAdmin] should mutate a Deployment", func(t *testing.T) {
		p := d.policed(t)
		p.change(t, `Object{spec: Object.spec{replicas: 1337}}`)
		eventually(t, stepTimeout, func() error {
			if made, err := p.create(t, 1); err != nil || *made.Spec.Replicas != 1337 {
				return fmt.Errorf("created %v, %v", made, err)
			}
			return nil
		})
	})
	rules := map[string]any{"resourceRules": []any{map[string]any{"operations": []any{"CREATE"}, "apiGroups": []any{"apps"}, "apiVersions": []any{"v1"}, "resources": []any{"deployments"}}}}
	d.conforms(t, "[sig-api-machinery] MutatingAdmissionPolicy [Privileged:ClusterAdmin] should support MutatingAdmissionPolicy API operations", d.lives(life{
		resource: v1.SchemeGroupVersion.WithResource("mutatingadmissionpolicies"), silent: true,
		object: func() map[string]any {
			return map[string]any{"kind": "MutatingAdmissionPolicy", "spec": map[string]any{
				"reinvocationPolicy": "Never", "matchConstraints": rules,
				"mutations": []any{map[string]any{"patchType": "ApplyConfiguration", "applyConfiguration": map[string]any{"expression": "Object{spec: Object.spec{replicas: 100}}"}}},
			}}
		},
	}))
	d.conforms(t, "[sig-api-machinery] MutatingAdmissionPolicy [Privileged:ClusterAdmin] should support MutatingAdmissionPolicyBinding API operations", d.lives(life{
		resource: v1.SchemeGroupVersion.WithResource("mutatingadmissionpolicybindings"), silent: true,
		object: func() map[string]any {
			return map[string]any{"kind": "MutatingAdmissionPolicyBinding", "spec": map[string]any{"policyName": "replicalimit-policy.example.com"}}
		},
	}))
}

// policed is a namespace with policies of its own.
type policed struct {
	*stage
	match *v1.MatchResources
}

func (d desk) policed(t *testing.T) *policed {
	t.Helper()
	ns := d.name("policed")
	_, err := d.client.CoreV1().Namespaces().Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: ns, Labels: map[string]string{"policed": ns}}}, metav1.CreateOptions{})
	d.must(t, err)
	return &policed{&stage{system: d.system, ns: ns, client: d.client}, &v1.MatchResources{
		NamespaceSelector: &metav1.LabelSelector{MatchLabels: map[string]string{"policed": ns}},
		ResourceRules: []v1.NamedRuleWithOperations{{RuleWithOperations: v1.RuleWithOperations{
			Operations: []v1.OperationType{v1.Create}, Rule: v1.Rule{APIGroups: []string{"apps"}, APIVersions: []string{"v1"}, Resources: []string{"deployments"}},
		}}},
	}}
}

// refuse makes a policy of deployments and binds it.
func (p *policed) refuse(t *testing.T, variables []v1.Variable, validations ...v1.Validation) {
	t.Helper()
	a := p.client.AdmissionregistrationV1()
	_, err := a.ValidatingAdmissionPolicies().Create(t.Context(), &v1.ValidatingAdmissionPolicy{ObjectMeta: metav1.ObjectMeta{Name: p.ns}, Spec: v1.ValidatingAdmissionPolicySpec{
		MatchConstraints: p.match, Variables: variables, Validations: validations,
	}}, metav1.CreateOptions{})
	p.must(t, err)
	_, err = a.ValidatingAdmissionPolicyBindings().Create(t.Context(), &v1.ValidatingAdmissionPolicyBinding{ObjectMeta: metav1.ObjectMeta{Name: p.ns}, Spec: v1.ValidatingAdmissionPolicyBindingSpec{
		PolicyName: p.ns, ValidationActions: []v1.ValidationAction{v1.Deny},
	}}, metav1.CreateOptions{})
	p.must(t, err)
}

// change makes a policy that changes deployments and binds it.
func (p *policed) change(t *testing.T, expression string) {
	t.Helper()
	a := p.client.AdmissionregistrationV1()
	_, err := a.MutatingAdmissionPolicies().Create(t.Context(), &v1.MutatingAdmissionPolicy{ObjectMeta: metav1.ObjectMeta{Name: p.ns}, Spec: v1.MutatingAdmissionPolicySpec{
		MatchConstraints: p.match, ReinvocationPolicy: v1.NeverReinvocationPolicy,
		Mutations: []v1.Mutation{{PatchType: v1.PatchTypeApplyConfiguration, ApplyConfiguration: &v1.ApplyConfiguration{Expression: expression}}},
	}}, metav1.CreateOptions{})
	p.must(t, err)
	_, err = a.MutatingAdmissionPolicyBindings().Create(t.Context(), &v1.MutatingAdmissionPolicyBinding{
		ObjectMeta: metav1.ObjectMeta{Name: p.ns}, Spec: v1.MutatingAdmissionPolicyBindingSpec{PolicyName: p.ns}}, metav1.CreateOptions{})
	p.must(t, err)
}

// create makes a deployment that is not stored.
func (p *policed) create(t *testing.T, replicas int32) (*appsv1.Deployment, error) {
	d := p.deployment("deployment", replicas)
	return p.client.AppsV1().Deployments(p.ns).Create(t.Context(), d, metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
}

func (p *policed) deploy(t *testing.T, replicas int32) error {
	_, err := p.create(t, replicas)
	return err
}

func (p *policed) deployment(name string, replicas int32) *appsv1.Deployment {
	labels := map[string]string{"app": name}
	return &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: appsv1.DeploymentSpec{
		Replicas: &replicas, Selector: &metav1.LabelSelector{MatchLabels: labels},
		Template: corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: labels}, Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "main", Image: "busybox:1.28"}}}},
	}}
}

// marked waits until a deployment is refused that no policy lets pass.
func (p *policed) marked(t *testing.T) {
	t.Helper()
	eventually(t, stepTimeout, func() error {
		if err := p.deploy(t, 1); !apierrors.IsInvalid(err) {
			return fmt.Errorf("the marker: %w", err)
		}
		return nil
	})
}

// replicaSetPasses makes what the policies are not about.
func (p *policed) replicaSetPasses(t *testing.T) {
	t.Helper()
	d := p.deployment("set", 1)
	_, err := p.client.AppsV1().ReplicaSets(p.ns).Create(t.Context(), &appsv1.ReplicaSet{ObjectMeta: d.ObjectMeta, Spec: appsv1.ReplicaSetSpec{
		Replicas: d.Spec.Replicas, Selector: d.Spec.Selector, Template: d.Spec.Template}}, metav1.CreateOptions{})
	p.must(t, err)
}

// typesAreChecked has a policy with wrong types and a right one looked at.
func (d desk) typesAreChecked(t *testing.T) {
	p := d.policed(t)
	policies := d.client.AdmissionregistrationV1().ValidatingAdmissionPolicies()
	checked := func(name string, v v1.Validation) []v1.ExpressionWarning {
		_, err := policies.Create(t.Context(), &v1.ValidatingAdmissionPolicy{ObjectMeta: metav1.ObjectMeta{Name: p.ns + name}, Spec: v1.ValidatingAdmissionPolicySpec{
			MatchConstraints: p.match, Validations: []v1.Validation{v}}}, metav1.CreateOptions{})
		d.must(t, err)
		var policy *v1.ValidatingAdmissionPolicy
		eventually(t, stepTimeout, func() error {
			policy, err = policies.Get(context.WithoutCancel(t.Context()), p.ns+name, metav1.GetOptions{})
			if err == nil && (policy.Status.TypeChecking == nil || policy.Status.ObservedGeneration != 1) {
				err = fmt.Errorf("status %+v", policy.Status)
			}
			return err
		})
		return policy.Status.TypeChecking.ExpressionWarnings
	}
	if w := checked("-right", v1.Validation{Expression: "object.spec.replicas > 1"}); len(w) != 0 {
		t.Errorf("warnings of what is right: %v", w)
	}
	w := checked("-wrong", v1.Validation{Expression: "object.spec.replicas > '1'", MessageExpression: "'wants replicas > 1, got ' + object.spec.replicas"})
	if len(w) != 2 || w[0].FieldRef != "spec.validations[0].expression" || w[1].FieldRef != "spec.validations[0].messageExpression" ||
		!strings.Contains(w[0].Warning, "found no matching overload for '_>_' applied to '(int, string)'") || !strings.Contains(w[1].Warning, "found no matching overload for '_+_' applied to '(string, int)'") {
		t.Errorf("warnings of what is wrong: %+v", w)
	}
}
