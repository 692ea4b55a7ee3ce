package admissionpolicy

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	v1 "k8s.io/api/admissionregistration/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/authorization/authorizer"
	"k8s.io/apiserver/pkg/endpoints/request"
	"k8s.io/utils/ptr"

	"laterna.dev/laterna/internal/registry/admissionregistration/matching"
)

// checker is made once: that takes time.
var checker = matching.NewConditions()

// config lets users read what their name says: "everything", or a verb and a resource.
func config() Config {
	return Config{checker, Access{
		Authorizer: authorizer.AuthorizerFunc(func(_ context.Context, a authorizer.Attributes) (authorizer.Decision, string, error) {
			if name := a.GetUser().GetName(); name == "everything" || name == a.GetVerb()+" "+a.GetResource() {
				return authorizer.DecisionAllow, "", nil
			}
			return authorizer.DecisionNoOpinion, "", nil
		}),
		Resource: func(k schema.GroupVersionKind) string {
			if k.Kind == "ConfigMap" {
				return "configmaps"
			}
			return ""
		},
		ParamKind: func(_ context.Context, name string) (*v1.ParamKind, error) {
			if name == "none" {
				return nil, errors.New("there is none")
			}
			return configMaps(), nil
		},
	}}
}

func configMaps() *v1.ParamKind { return &v1.ParamKind{APIVersion: "v1", Kind: "ConfigMap"} }

func as(t *testing.T, name string) context.Context {
	return request.WithUser(t.Context(), &user.DefaultInfo{Name: name})
}

func match() *v1.MatchResources {
	return &v1.MatchResources{ResourceRules: []v1.NamedRuleWithOperations{{RuleWithOperations: v1.RuleWithOperations{
		Operations: []v1.OperationType{v1.Create}, Rule: v1.Rule{APIGroups: []string{""}, APIVersions: []string{"v1"}, Resources: []string{"pods"}}}}}}
}

func refusing(change func(*v1.ValidatingAdmissionPolicySpec)) *v1.ValidatingAdmissionPolicy {
	p := &v1.ValidatingAdmissionPolicy{ObjectMeta: metav1.ObjectMeta{Name: "p"}, Spec: v1.ValidatingAdmissionPolicySpec{
		MatchConstraints: match(), Validations: []v1.Validation{{Expression: "object.metadata.name != 'a'"}}}}
	change(&p.Spec)
	Validating(Config{}).Default(p)
	return p
}

func changing(change func(*v1.MutatingAdmissionPolicySpec)) *v1.MutatingAdmissionPolicy {
	p := &v1.MutatingAdmissionPolicy{ObjectMeta: metav1.ObjectMeta{Name: "p"}, Spec: v1.MutatingAdmissionPolicySpec{
		MatchConstraints: match(), ReinvocationPolicy: v1.NeverReinvocationPolicy,
		Mutations: []v1.Mutation{{PatchType: v1.PatchTypeApplyConfiguration, ApplyConfiguration: &v1.ApplyConfiguration{Expression: "Object{}"}}}}}
	change(&p.Spec)
	Mutating(Config{}).Default(p)
	return p
}

// says fails unless there is one error for each text, which holds it.
func says(t *testing.T, errs field.ErrorList, want ...string) {
	t.Helper()
	if len(errs) != len(want) {
		t.Errorf("%d errors, want %d: %v", len(errs), len(want), errs)
	}
	for _, text := range want {
		if !strings.Contains(fmt.Sprint(errs), text) {
			t.Errorf("errors %v\nlack %s", errs, text)
		}
	}
}

func TestDefaults(t *testing.T) {
	p := refusing(func(*v1.ValidatingAdmissionPolicySpec) {})
	m := p.Spec.MatchConstraints
	if *p.Spec.FailurePolicy != v1.Fail || *m.MatchPolicy != v1.Equivalent || m.NamespaceSelector == nil || m.ObjectSelector == nil || *m.ResourceRules[0].Scope != v1.AllScopes {
		t.Errorf("%+v", p.Spec)
	}
}

func TestWhatIsRefusedOfPolicies(t *testing.T) {
	type spec = v1.ValidatingAdmissionPolicySpec
	validation := func(v v1.Validation) func(*spec) {
		return func(s *spec) { s.Validations = []v1.Validation{v} }
	}
	for name, tc := range map[string]struct {
		change func(*spec)
		want   []string
	}{
		"good": {func(s *spec) {
			s.Variables = []v1.Variable{{Name: "a", Expression: "object.spec"}, {Name: "b", Expression: "variables.a"}}
			s.ParamKind, s.AuditAnnotations = configMaps(), []v1.AuditAnnotation{{Key: "k", ValueExpression: "string(params.data.x)"}}
			s.Validations = []v1.Validation{{Expression: "has(variables.b) && authorizer.group('').resource('pods').check('get').allowed()", MessageExpression: "'no ' + params.data.x", Reason: ptr.To(metav1.StatusReasonForbidden)}}
			s.MatchConditions = []v1.MatchCondition{{Name: "m", Expression: "params.data.x == 'y'"}}
		}, nil},
		"nothing":          {func(s *spec) { s.Validations = nil }, []string{"spec.validations: Required value: validations or auditAnnotations must contain", "spec.auditAnnotations: Required value"}},
		"no constraints":   {func(s *spec) { s.MatchConstraints = nil }, []string{"spec.matchConstraints: Required value"}},
		"no rules":         {func(s *spec) { s.MatchConstraints.ResourceRules = nil }, []string{"spec.matchConstraints.resourceRules: Required value"}},
		"names":            {func(s *spec) { s.MatchConstraints.ResourceRules[0].ResourceNames = []string{"a", "a", "b/c"} }, []string{"resourceNames[1]: Duplicate", "resourceNames[2]: Invalid value"}},
		"failure policy":   {func(s *spec) { s.FailurePolicy = ptr.To(v1.FailurePolicyType("x")) }, []string{`spec.failurePolicy: Unsupported value: "x": supported values: "Fail", "Ignore"`}},
		"parameters":       {func(s *spec) { s.ParamKind = &v1.ParamKind{APIVersion: "a/b/c", Kind: "X_Y"} }, []string{"spec.paramKind.apiVersion: Invalid value", "spec.paramKind.kind: Invalid value: \"X_Y\": may have mixed case, but should otherwise match: "}},
		"no parameters":    {validation(v1.Validation{Expression: "params.data.x == 'y'"}), []string{"spec.validations[0].expression: Invalid value: \"params.data.x == 'y'\": compilation failed: ERROR"}},
		"no expression":    {validation(v1.Validation{Expression: " "}), []string{"spec.validations[0].expression: Required value: expression is not specified"}},
		"no answer":        {validation(v1.Validation{Expression: "'a'"}), []string{"must evaluate to bool but got string"}},
		"message":          {validation(v1.Validation{Expression: "true", Message: "a\nb"}), []string{"spec.validations[0].message: Invalid value: \"a\\nb\": must not contain line breaks"}},
		"empty message":    {validation(v1.Validation{Expression: "true", Message: " ", MessageExpression: " "}), []string{"message: Invalid value: \" \": must be non-empty if specified", "messageExpression: Invalid value: \" \": must be non-empty"}},
		"number message":   {validation(v1.Validation{Expression: "true", MessageExpression: "1"}), []string{"spec.validations[0].messageExpression: Invalid value: \"1\": must evaluate to string"}},
		"message's rights": {validation(v1.Validation{Expression: "true", MessageExpression: "string(authorizer.group('').resource('pods').check('get').allowed())"}), []string{"undeclared reference to 'authorizer'"}},
		"reason":           {validation(v1.Validation{Expression: "true", Reason: ptr.To(metav1.StatusReasonGone)}), []string{`spec.validations[0].reason: Unsupported value: "Gone": supported values: "Forbidden", "Invalid", "RequestEntityTooLarge"`}},
		"variables": {func(s *spec) {
			s.Variables = []v1.Variable{{Name: "for", Expression: "true"}, {Expression: "1"}, {Name: "x"}, {Name: "y", Expression: "variables.later"}, {Name: "later", Expression: "1"}}
		}, []string{"variables[0].name: Invalid value: \"for\": must be a valid CEL identifier", "variables[1].name: Required value: name is not specified", "variables[2].expression: Required value: expression is not specified", "variables[3].expression: Invalid value: \"variables.later\": compilation failed"}},
		"annotations": {func(s *spec) {
			s.AuditAnnotations = []v1.AuditAnnotation{{Key: "k", ValueExpression: "'a'"}, {Key: "k", ValueExpression: " "}, {Key: "a b", ValueExpression: strings.Repeat("1", 5<<10+1)}}
		}, []string{"auditAnnotations[1].key: Duplicate value", "auditAnnotations[1].valueExpression: Required value: valueExpression is not specified", "auditAnnotations[2].key: Invalid value: \"p/a b\"", "must not exceed 5120 bytes in length"}},
		"many annotations": {func(s *spec) { s.AuditAnnotations = slices.Repeat([]v1.AuditAnnotation{{}}, 21) }, []string{"must not have more than 20 auditAnnotations"}},
	} {
		t.Run(name, func(t *testing.T) {
			says(t, Validating(config()).Rules.Validate(as(t, "everything"), refusing(tc.change)), tc.want...)
		})
	}
}

func TestWhatIsRefusedOfMutations(t *testing.T) {
	type spec = v1.MutatingAdmissionPolicySpec
	mutation := func(m v1.Mutation) func(*spec) {
		return func(s *spec) { s.Mutations = []v1.Mutation{m} }
	}
	for name, tc := range map[string]struct {
		change func(*spec)
		want   []string
	}{
		"good": {func(s *spec) {
			s.Mutations = append(s.Mutations, v1.Mutation{PatchType: v1.PatchTypeJSONPatch, JSONPatch: &v1.JSONPatch{Expression: `[JSONPatch{op: "add", path: "/a", value: "b"}]`}})
		}, nil},
		"nothing":      {func(s *spec) { s.Mutations = nil }, []string{"spec.mutations: Required value: mutations must contain at least one item"}},
		"reinvocation": {func(s *spec) { s.ReinvocationPolicy = "" }, []string{"spec.reinvocationPolicy: Required value"}},
		"deletions":    {func(s *spec) { s.MatchConstraints.ResourceRules[0].Operations = []v1.OperationType{v1.Delete} }, []string{`spec.matchConstraints.resourceRules.operations: Unsupported value: "DELETE": supported values: "*", "CREATE", "UPDATE"`}},
		"no type":      {mutation(v1.Mutation{}), []string{"spec.mutations[0].patchType: Required value"}},
		"type":         {mutation(v1.Mutation{PatchType: "x"}), []string{`patchType: Unsupported value: "x": supported values: "ApplyConfiguration", "JSONPatch"`}},
		"other": {mutation(v1.Mutation{PatchType: v1.PatchTypeJSONPatch, ApplyConfiguration: &v1.ApplyConfiguration{}}),
			[]string{"spec.mutations[0].jsonPatch: Required value: must be specified when patchType is JSONPatch", "applyConfiguration: Invalid value: \"{applyConfiguration}\": must not be specified when patchType is JSONPatch"}},
		"no expression": {mutation(v1.Mutation{PatchType: v1.PatchTypeApplyConfiguration, ApplyConfiguration: &v1.ApplyConfiguration{}}), []string{"spec.mutations[0].applyConfiguration.expression: Required value"}},
		"expression":    {mutation(v1.Mutation{PatchType: v1.PatchTypeApplyConfiguration, ApplyConfiguration: &v1.ApplyConfiguration{Expression: "true"}}), []string{"applyConfiguration.expression: Invalid value: \"true\": must evaluate to Object"}},
	} {
		t.Run(name, func(t *testing.T) {
			says(t, Mutating(config()).Rules.Validate(as(t, "everything"), changing(tc.change)), tc.want...)
		})
	}
}

func TestWhatIsRefusedOfBindings(t *testing.T) {
	b := &v1.ValidatingAdmissionPolicyBinding{ObjectMeta: metav1.ObjectMeta{Name: "b.static.k8s.io"}, Spec: v1.ValidatingAdmissionPolicyBindingSpec{
		ParamRef: &v1.ParamRef{Name: "a", Selector: &metav1.LabelSelector{}}, ValidationActions: []v1.ValidationAction{v1.Deny, v1.Warn, "x", "x"}, MatchResources: &v1.MatchResources{}}}
	says(t, ValidatingBinding(config()).Rules.Validate(as(t, "everything"), b),
		"metadata.name: Invalid value", "spec.policyName: Required", "spec.paramRef.name: Forbidden: name and selector are mutually exclusive", "spec.paramRef.selector: Forbidden", "spec.paramRef.parameterNotFoundAction: Required",
		"matchResources.matchPolicy: Required", "matchResources.namespaceSelector: Required", "matchResources.objectSelector: Required",
		"validationActions[2]: Unsupported", "validationActions[3]: Unsupported", "validationActions[3]: Duplicate", "must not contain both Deny and Warn")
	m := &v1.MutatingAdmissionPolicyBinding{ObjectMeta: metav1.ObjectMeta{Name: "b"}, Spec: v1.MutatingAdmissionPolicyBindingSpec{PolicyName: "a b", MatchResources: match(), ParamRef: &v1.ParamRef{ParameterNotFoundAction: ptr.To(v1.ParameterNotFoundActionType("x"))}}}
	m.Spec.MatchResources.ResourceRules[0].Operations = []v1.OperationType{v1.Connect}
	MutatingBinding(Config{}).Default(m)
	says(t, MutatingBinding(config()).Rules.Validate(as(t, "everything"), m), "spec.policyName: Invalid value", "spec.matchResources.resourceRules.operations: Unsupported value: \"CONNECT\"",
		"spec.paramRef: Required value: one of name or selector must be specified", `parameterNotFoundAction: Unsupported value: "x": supported values: "Deny", "Allow"`)
}

// TestWhoNamesParametersMayReadThem has policies and bindings written by users with few
// rights: what a policy says of parameters would tell them what stands there.
func TestWhoNamesParametersMayReadThem(t *testing.T) {
	policies, bindings := Validating(config()).Rules, ValidatingBinding(config()).Rules
	with := refusing(func(s *v1.ValidatingAdmissionPolicySpec) { s.ParamKind = configMaps() })
	says(t, policies.Validate(as(t, "get configmaps"), with))
	says(t, policies.Validate(as(t, "get secrets"), with), `spec.paramKind: Forbidden: user get secrets must have "get" permission on all objects of the referenced paramKind (kind=ConfigMap, apiVersion=v1)`)
	says(t, policies.ValidateUpdate(as(t, "get secrets"), with, with)) // it was so before
	binding := func(policy, name string) *v1.ValidatingAdmissionPolicyBinding {
		ref := &v1.ParamRef{Name: name, ParameterNotFoundAction: ptr.To(v1.DenyAction)}
		if name == "" {
			ref.Selector = &metav1.LabelSelector{}
		}
		return &v1.ValidatingAdmissionPolicyBinding{ObjectMeta: metav1.ObjectMeta{Name: "b"}, Spec: v1.ValidatingAdmissionPolicyBindingSpec{PolicyName: policy, ParamRef: ref, ValidationActions: []v1.ValidationAction{v1.Deny}}}
	}
	says(t, bindings.Validate(as(t, "get configmaps"), binding("p", "a")))
	says(t, bindings.Validate(as(t, "list configmaps"), binding("p", "")))
	says(t, bindings.Validate(as(t, "get configmaps"), binding("p", "")), `spec.paramRef: Forbidden: user get configmaps does not have "list" permission on the object referenced by paramRef`)
	says(t, bindings.Validate(as(t, "get configmaps"), binding("none", "a")), `unable to get policy none to determine minimum required permissions and user get configmaps does not have "get" permission for all groups, versions and resources`)
	says(t, bindings.ValidateUpdate(as(t, "nobody"), binding("p", "a"), binding("p", "a")))
	says(t, bindings.ValidateUpdate(as(t, "nobody"), binding("p", "b"), binding("p", "a")), "spec.paramRef: Forbidden")
}

// TestWhatIsStoredMayStay changes policies whose expressions would be refused today.
func TestWhatIsStoredMayStay(t *testing.T) {
	old := refusing(func(s *v1.ValidatingAdmissionPolicySpec) {
		s.MatchConditions = []v1.MatchCondition{{Name: "m", Expression: "no such thing"}}
	})
	next := old.DeepCopy()
	next.Spec.FailurePolicy = ptr.To(v1.Ignore)
	says(t, Validating(config()).Rules.ValidateUpdate(as(t, "everything"), next, old))
	next.Spec.MatchConditions[0].Name = "n"
	says(t, Validating(config()).Rules.ValidateUpdate(as(t, "everything"), next, old), "matchConditions[0].expression: Invalid value")
}

func TestCompilingEndsWithTheRequest(t *testing.T) {
	ctx, cancel := context.WithCancel(as(t, "everything"))
	cancel()
	says(t, Validating(config()).Rules.Validate(ctx, refusing(func(*v1.ValidatingAdmissionPolicySpec) {})), "compiling expressions")
}

func TestTables(t *testing.T) {
	p := refusing(func(s *v1.ValidatingAdmissionPolicySpec) { s.ParamKind = configMaps() })
	if row := Validating(Config{}).Columns.Row(p); !slices.Equal(row, []any{"p", int64(1), "v1/ConfigMap", "<unknown>"}) {
		t.Errorf("row %v", row)
	}
	b := &v1.MutatingAdmissionPolicyBinding{ObjectMeta: metav1.ObjectMeta{Name: "b"}, Spec: v1.MutatingAdmissionPolicyBindingSpec{PolicyName: "p"}}
	for want, ref := range map[string]*v1.ParamRef{"<unset>": nil, "*/a": {Name: "a"}, "n/a": {Name: "a", Namespace: "n"}, "x=y": {Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"x": "y"}}}} {
		b.Spec.ParamRef = ref
		if row := MutatingBinding(Config{}).Columns.Row(b); row[1] != "p" || row[2] != want {
			t.Errorf("row %v, want %s", row, want)
		}
	}
}

func TestStatusSaysWhatIsWrongWhere(t *testing.T) {
	says(t, validateStatus(&v1.ValidatingAdmissionPolicyStatus{TypeChecking: &v1.TypeChecking{ExpressionWarnings: []v1.ExpressionWarning{{FieldRef: "spec.validations[0]", Warning: "w"}, {}, {FieldRef: "a[", Warning: "w"}}}}),
		"expressionWarnings[1].warning: Required", "expressionWarnings[1].fieldRef: Required", "expressionWarnings[2].fieldRef: Invalid value: \"a[\": invalid JSONPath")
}
