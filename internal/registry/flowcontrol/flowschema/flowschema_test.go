package flowschema

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	flowcontrolv1 "k8s.io/api/flowcontrol/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apiserver/pkg/apis/flowcontrol/bootstrap"
)

func valid() *schema {
	return &schema{
		ObjectMeta: metav1.ObjectMeta{Name: "mine"},
		Spec: flowcontrolv1.FlowSchemaSpec{
			MatchingPrecedence:         500,
			PriorityLevelConfiguration: flowcontrolv1.PriorityLevelConfigurationReference{Name: "workload-low"},
			DistinguisherMethod:        &flowcontrolv1.FlowDistinguisherMethod{Type: flowcontrolv1.FlowDistinguisherMethodByUserType},
			Rules: []flowcontrolv1.PolicyRulesWithSubjects{{
				Subjects: []flowcontrolv1.Subject{
					{Kind: "User", User: &flowcontrolv1.UserSubject{Name: "ann"}},
					{Kind: "Group", Group: &flowcontrolv1.GroupSubject{Name: "g"}},
					{Kind: "ServiceAccount", ServiceAccount: &flowcontrolv1.ServiceAccountSubject{Namespace: "n", Name: "*"}},
				},
				ResourceRules:    []flowcontrolv1.ResourcePolicyRule{{Verbs: []string{"get", "list"}, APIGroups: []string{""}, Resources: []string{"pods"}, Namespaces: []string{"n"}}},
				NonResourceRules: []flowcontrolv1.NonResourcePolicyRule{{Verbs: []string{"*"}, NonResourceURLs: []string{"/", "/a/*"}}},
			}},
		},
	}
}

func TestSchemasThatAreRefused(t *testing.T) {
	type rule = flowcontrolv1.PolicyRulesWithSubjects
	first := func(change func(*rule)) func(*schema) { return func(s *schema) { change(&s.Spec.Rules[0]) } }
	for _, tc := range []struct {
		change func(*schema)
		want   string
	}{
		{func(s *schema) {}, ""},
		{func(s *schema) { s.Spec.Rules = nil }, ""},
		{func(s *schema) { s.Spec.MatchingPrecedence = -1 }, "spec.matchingPrecedence: Invalid value: -1: must be a positive value"},
		{func(s *schema) { s.Spec.MatchingPrecedence = 10001 }, "spec.matchingPrecedence: Invalid value: 10001: must not be greater than 10000"},
		{func(s *schema) { s.Spec.MatchingPrecedence = 1 }, "spec.matchingPrecedence: Invalid value: 1: only the schema named 'exempt' may have matchingPrecedence 1"},
		{func(s *schema) { s.Spec.DistinguisherMethod.Type = "ByHat" }, `spec.distinguisherMethod.type: Unsupported value: {"type":"ByHat"}: supported values: "ByNamespace", "ByUser"`},
		{func(s *schema) { s.Spec.PriorityLevelConfiguration.Name = "" }, "spec.priorityLevelConfiguration.name: Required value: must reference a priority level"},
		{func(s *schema) { s.Spec.PriorityLevelConfiguration.Name = "A" }, `spec.priorityLevelConfiguration.name: Invalid value: "A": a lowercase RFC 1123 subdomain`},
		{first(func(r *rule) { r.Subjects = nil }), "spec.rules[0].subjects: Required value: subjects must contain at least one value"},
		{first(func(r *rule) { r.ResourceRules, r.NonResourceRules = nil, nil }), "spec.rules[0]: Required value: at least one of resourceRules and nonResourceRules has to be non-empty"},
		{first(func(r *rule) { r.Subjects[0].Kind = "Hat" }), `spec.rules[0].subjects[0].kind: Unsupported value: "Hat": supported values: "Group", "ServiceAccount", "User"`},
		{first(func(r *rule) { r.Subjects[0].User = nil }), "spec.rules[0].subjects[0].user: Required value: user is required when subject kind is 'User'"},
		{first(func(r *rule) { r.Subjects[0].User.Name = "" }), "spec.rules[0].subjects[0].user.name: Required value"},
		{first(func(r *rule) { r.Subjects[1].User = &flowcontrolv1.UserSubject{Name: "x"} }), "spec.rules[0].subjects[1].user: Forbidden: user is forbidden when subject kind is not 'User'"},
		{first(func(r *rule) { r.Subjects[2].ServiceAccount = nil }), "spec.rules[0].subjects[2].serviceAccount: Required value: serviceAccount is required when subject kind is 'ServiceAccount'"},
		{first(func(r *rule) { r.Subjects[2].ServiceAccount.Namespace = "" }), "spec.rules[0].subjects[2].serviceAccount.namespace: Required value: must specify namespace for service account"},
		{first(func(r *rule) { r.Subjects[2].ServiceAccount.Name = "A_" }), `spec.rules[0].subjects[2].serviceAccount.name: Invalid value: "A_"`},
		{first(func(r *rule) { r.ResourceRules[0].Verbs = nil }), "spec.rules[0].resourceRules[0].verbs: Required value: verbs must contain at least one value"},
		{first(func(r *rule) { r.ResourceRules[0].Verbs = []string{"*", "get"} }), `spec.rules[0].resourceRules[0].verbs: Invalid value: ["*","get"]: if '*' is present, must not specify other verbs`},
		{first(func(r *rule) { r.ResourceRules[0].Verbs = []string{"feed"} }), `spec.rules[0].resourceRules[0].verbs: Unsupported value: ["feed"]: supported values: "create", "delete", "deletecollection", "get", "list", "patch", "proxy", "update", "watch"`},
		{first(func(r *rule) { r.ResourceRules[0].APIGroups = nil }), "spec.rules[0].resourceRules[0].apiGroups: Required value: resource rules must supply at least one api group"},
		{first(func(r *rule) { r.ResourceRules[0].APIGroups = []string{"a", "*"} }), `spec.rules[0].resourceRules[0].apiGroups: Invalid value: ["a","*"]: if '*' is present, must not specify other api groups`},
		{first(func(r *rule) { r.ResourceRules[0].Resources = nil }), "spec.rules[0].resourceRules[0].resources: Required value: resource rules must supply at least one resource"},
		{first(func(r *rule) { r.ResourceRules[0].Namespaces = nil }), "spec.rules[0].resourceRules[0].namespaces: Required value: resource rules that are not cluster scoped must supply at least one namespace"},
		{first(func(r *rule) { r.ResourceRules[0].Namespaces, r.ResourceRules[0].ClusterScope = nil, true }), ""},
		{first(func(r *rule) { r.ResourceRules[0].Namespaces = []string{"A"} }), `spec.rules[0].resourceRules[0].namespaces[0]: Invalid value: "A": each member of this list must be '*' or a DNS-1123 label; `},
		{first(func(r *rule) { r.NonResourceRules[0].NonResourceURLs = nil }), "spec.rules[0].nonResourceRules[0].nonResourceURLs: Required value: nonResourceURLs must contain at least one value"},
		{first(func(r *rule) { r.NonResourceRules[0].NonResourceURLs = []string{"*", "/"} }), "if '*' is present, must not specify other non-resource URLs"},
		{first(func(r *rule) { r.NonResourceRules[0].NonResourceURLs = []string{""} }), "must not be empty"},
		{first(func(r *rule) { r.NonResourceRules[0].NonResourceURLs = []string{"a"} }), "must start with slash"},
		{first(func(r *rule) { r.NonResourceRules[0].NonResourceURLs = []string{"/a b"} }), "must not contain white-space"},
		{first(func(r *rule) { r.NonResourceRules[0].NonResourceURLs = []string{"/a//b"} }), "must not contain double slash"},
		{first(func(r *rule) { r.NonResourceRules[0].NonResourceURLs = []string{"/*/b"} }), "wildcard can only do suffix matching"},
		{func(s *schema) { s.Name = "catch-all" }, "spec of 'catch-all' must equal the fixed value"},
	} {
		s := valid()
		tc.change(s)
		if errs := validate(s); (tc.want == "") != (len(errs) == 0) || !strings.Contains(fmt.Sprint(errs), tc.want) {
			t.Errorf("%v, want %s", errs, tc.want)
		}
	}
}

func TestSchemasOfKubernetesAreValidAndDefaulted(t *testing.T) {
	d := Definition()
	for _, s := range slices.Concat(bootstrap.MandatoryFlowSchemas, bootstrap.SuggestedFlowSchemas) {
		same := s.DeepCopy()
		d.Default(same)
		if errs := validate(same); len(errs) > 0 || fmt.Sprint(same) != fmt.Sprint(s) {
			t.Errorf("%s: %v", s.Name, errs)
		}
	}
	s := &schema{}
	d.Default(s)
	if s.Spec.MatchingPrecedence != 1000 {
		t.Errorf("precedence %d", s.Spec.MatchingPrecedence)
	}
}

func TestStatusIsOfWhoActsOnIt(t *testing.T) {
	d, told := Definition(), valid()
	told.Status.Conditions = []flowcontrolv1.FlowSchemaCondition{{Type: "Dangling", Status: "True"}, {Type: "Dangling"}, {}}
	errs := fmt.Sprint(validateStatus(&told.Status))
	for _, want := range []string{`status.conditions[1].type: Duplicate value: "Dangling"`, "status.conditions[2].type: Required value"} {
		if !strings.Contains(errs, want) {
			t.Errorf("%s, want %s", errs, want)
		}
	}
	made := told.DeepCopy()
	d.Rules.PrepareCreate(t.Context(), made)
	if row := d.Columns.Row(made); len(made.Status.Conditions) != 0 || fmt.Sprint(row) != "[mine workload-low 500 ByUser <unknown> ?]" || len(row) != len(d.Columns.Columns) {
		t.Errorf("a new schema has %v: %v", made.Status, row)
	}
	d.Rules.PrepareCreate(WithFound(t.Context(), time.Unix(1, 0)), made)
	if row := d.Columns.Row(made); fmt.Sprint(row) != "[mine workload-low 500 ByUser <unknown> False]" {
		t.Errorf("one whose level is known to exist: %v", row)
	}
	other := made.DeepCopy()
	other.Labels, other.Spec.MatchingPrecedence, other.Status.Conditions = map[string]string{"a": "b"}, 7, nil
	d.Status.PrepareUpdate(t.Context(), other, made)
	if other.Labels != nil || other.Spec.MatchingPrecedence != 500 || other.Status.Conditions != nil {
		t.Errorf("who writes the status writes %v", other)
	}
}
