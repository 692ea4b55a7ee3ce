package apiserver_test

import (
	"fmt"
	"strings"
	"testing"

	v1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
)

// creations are the constraints of a policy about creations of a resource of the core group.
func creations(resource string) *v1.MatchResources {
	return &v1.MatchResources{ResourceRules: []v1.NamedRuleWithOperations{{RuleWithOperations: v1.RuleWithOperations{
		Operations: []v1.OperationType{v1.Create}, Rule: v1.Rule{APIGroups: []string{""}, APIVersions: []string{"v1"}, Resources: []string{resource}},
	}}}}
}

// TestPoliciesApplyFromTheFirstBinding stores a policy of either kind in a system that has
// none, and starts it again.
func TestPoliciesApplyFromTheFirstBinding(t *testing.T) {
	dir := t.TempDir()
	s := boot(t, dir)
	a := s.admin().AdmissionregistrationV1()
	_, err := a.ValidatingAdmissionPolicies().Create(t.Context(), &v1.ValidatingAdmissionPolicy{ObjectMeta: metav1.ObjectMeta{Name: "no-secrets"}, Spec: v1.ValidatingAdmissionPolicySpec{
		MatchConstraints: creations("configmaps"), Validations: []v1.Validation{{Expression: "object.metadata.name != params.data.name", Message: "that name is taken"}},
		ParamKind: &v1.ParamKind{APIVersion: "v1", Kind: "ConfigMap"},
	}}, metav1.CreateOptions{})
	must(t, err)
	_, err = a.MutatingAdmissionPolicies().Create(t.Context(), &v1.MutatingAdmissionPolicy{ObjectMeta: metav1.ObjectMeta{Name: "labels"}, Spec: v1.MutatingAdmissionPolicySpec{
		MatchConstraints: creations("configmaps"), ReinvocationPolicy: v1.NeverReinvocationPolicy, Mutations: []v1.Mutation{
			{PatchType: v1.PatchTypeApplyConfiguration, ApplyConfiguration: &v1.ApplyConfiguration{Expression: `Object{metadata: Object.metadata{labels: {"a": "b"}}}`}},
			{PatchType: v1.PatchTypeJSONPatch, JSONPatch: &v1.JSONPatch{Expression: `[JSONPatch{op: "add", path: "/metadata/labels/c", value: "d"}]`}},
		}}}, metav1.CreateOptions{})
	must(t, err)
	param := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "param"}, Data: map[string]string{"name": "bad"}}
	_, err = s.admin().CoreV1().ConfigMaps("default").Create(t.Context(), param, metav1.CreateOptions{})
	must(t, err)
	_, err = a.MutatingAdmissionPolicyBindings().Create(t.Context(), &v1.MutatingAdmissionPolicyBinding{ObjectMeta: metav1.ObjectMeta{Name: "b"}, Spec: v1.MutatingAdmissionPolicyBindingSpec{PolicyName: "labels"}}, metav1.CreateOptions{})
	must(t, err)
	_, err = a.ValidatingAdmissionPolicyBindings().Create(t.Context(), &v1.ValidatingAdmissionPolicyBinding{ObjectMeta: metav1.ObjectMeta{Name: "b"}, Spec: v1.ValidatingAdmissionPolicyBindingSpec{
		PolicyName: "no-secrets", ValidationActions: []v1.ValidationAction{v1.Deny},
		ParamRef: &v1.ParamRef{Name: "param", Namespace: "default", ParameterNotFoundAction: ptr.To(v1.DenyAction)},
	}}, metav1.CreateOptions{})
	must(t, err)
	eventually(t, func() error { return s.policiesApply() })
	must(t, s.group.Stop(t.Context()))
	again := boot(t, dir)
	if err := again.policiesApply(); err != nil {
		t.Error(err) // at once
	}
}

// policiesApply creates an object that is changed, and one that is refused.
func (s *system) policiesApply() error {
	maps := s.admin().CoreV1().ConfigMaps("default")
	create := func(name string) (*corev1.ConfigMap, error) {
		return maps.Create(s.t.Context(), &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: name}}, metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
	}
	if m, err := create("good"); err != nil || m.Labels["a"] != "b" || m.Labels["c"] != "d" {
		return fmt.Errorf("created %v: %w", m, err)
	}
	if _, err := create("bad"); !apierrors.IsInvalid(err) || !strings.Contains(err.Error(), "ValidatingAdmissionPolicy 'no-secrets' with binding 'b' denied request: that name is taken") {
		return fmt.Errorf("refused with %w", err)
	}
	return nil
}
