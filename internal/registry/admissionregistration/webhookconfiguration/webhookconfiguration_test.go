package webhookconfiguration

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	v1 "k8s.io/api/admissionregistration/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/utils/ptr"

	"laterna.dev/laterna/internal/registry/admissionregistration/matching"
)

// configuration returns one with a webhook for each change, with defaults.
func configuration(changes ...func(*v1.MutatingWebhook)) *v1.MutatingWebhookConfiguration {
	c := &v1.MutatingWebhookConfiguration{ObjectMeta: metav1.ObjectMeta{Name: "c"}}
	for i, change := range changes {
		w := v1.MutatingWebhook{
			Name:                    fmt.Sprintf("hook%d.example.com", i),
			ClientConfig:            v1.WebhookClientConfig{Service: &v1.ServiceReference{Namespace: "ns", Name: "s"}},
			SideEffects:             ptr.To(v1.SideEffectClassNone),
			AdmissionReviewVersions: []string{"v1"},
			Rules: []v1.RuleWithOperations{{Operations: []v1.OperationType{v1.Create}, Rule: v1.Rule{
				APIGroups: []string{""}, APIVersions: []string{"v1"}, Resources: []string{"pods"}}}},
		}
		change(&w)
		c.Webhooks = append(c.Webhooks, w)
	}
	Mutating(nil).Default(c)
	return c
}

func same(*v1.MutatingWebhook) {}

func conditions(expressions ...string) func(*v1.MutatingWebhook) {
	return func(w *v1.MutatingWebhook) {
		for i, e := range expressions {
			w.MatchConditions = append(w.MatchConditions, v1.MatchCondition{Name: fmt.Sprintf("condition-%d", i), Expression: e})
		}
	}
}

func TestDefaults(t *testing.T) {
	w := configuration(same).Webhooks[0]
	if *w.FailurePolicy != v1.Fail || *w.MatchPolicy != v1.Equivalent || w.NamespaceSelector == nil || w.ObjectSelector == nil || *w.TimeoutSeconds != 10 ||
		*w.ReinvocationPolicy != v1.NeverReinvocationPolicy || *w.ClientConfig.Service.Port != 443 || *w.Rules[0].Scope != v1.AllScopes {
		t.Errorf("%+v", w)
	}
	v := &v1.ValidatingWebhookConfiguration{Webhooks: []v1.ValidatingWebhook{{}}}
	Validating(nil).Default(v)
	if *v.Webhooks[0].FailurePolicy != v1.Fail || *v.Webhooks[0].TimeoutSeconds != 10 {
		t.Errorf("%+v", v.Webhooks[0])
	}
}

func TestWhatIsRefused(t *testing.T) {
	rule := func(change func(*v1.RuleWithOperations)) func(*v1.MutatingWebhook) {
		return func(w *v1.MutatingWebhook) { change(&w.Rules[0]) }
	}
	resources := func(all ...string) func(*v1.MutatingWebhook) {
		return rule(func(r *v1.RuleWithOperations) { r.Resources = all })
	}
	url := func(url string) func(*v1.MutatingWebhook) {
		return func(w *v1.MutatingWebhook) { w.ClientConfig = v1.WebhookClientConfig{URL: &url} }
	}
	twice := func(w *v1.MutatingWebhook) { w.Name = "same.example.com" }
	for name, tc := range map[string]struct {
		c    *v1.MutatingWebhookConfiguration
		want []string
	}{
		"good":             {configuration(same, url("https://example.com/path")), nil},
		"name":             {configuration(func(w *v1.MutatingWebhook) { w.Name = "short" }), []string{`webhooks[0].name: Invalid value: "short": should be a domain with at least three segments separated by dots`}},
		"names":            {configuration(twice, twice), []string{`webhooks[1].name: Duplicate value: "same.example.com"`}},
		"no operation":     {configuration(rule(func(r *v1.RuleWithOperations) { r.Operations = nil })), []string{"webhooks[0].rules[0].operations: Required value"}},
		"operations":       {configuration(rule(func(r *v1.RuleWithOperations) { r.Operations = []v1.OperationType{"*", "GET"} })), []string{"if '*' is present, must not specify other operations", `webhooks[0].rules[0].operations[1]: Unsupported value: "GET": supported values: "*", "CONNECT", "CREATE", "DELETE", "UPDATE"`}},
		"groups":           {configuration(rule(func(r *v1.RuleWithOperations) { r.APIGroups = []string{"*", "a"} })), []string{"if '*' is present, must not specify other API groups"}},
		"versions of APIs": {configuration(rule(func(r *v1.RuleWithOperations) { r.APIVersions = []string{""} })), []string{"webhooks[0].rules[0].apiVersions[0]: Required value"}},
		"scope":            {configuration(rule(func(r *v1.RuleWithOperations) { r.Scope = ptr.To(v1.ScopeType("x")) })), []string{`supported values: "*", "Cluster", "Namespaced"`}},
		"covered":          {configuration(resources("a/*", "a/b", "*/c", "d/c")), []string{`rules[0].resources[1]: Invalid value: "a/b": if 'a/*' is present, must not specify a/b`, "if '*/c' is present, must not specify d/c"}},
		"all":              {configuration(resources("*/*", "a")), []string{"if '*/*' is present, must not specify other resources"}},
		"all resources":    {configuration(resources("*", "a")), []string{"if '*' is present, must not specify other resources without subresources"}},
		"policies": {configuration(func(w *v1.MutatingWebhook) {
			w.FailurePolicy, w.MatchPolicy, w.ReinvocationPolicy = ptr.To(v1.FailurePolicyType("x")), ptr.To(v1.MatchPolicyType("x")), ptr.To(v1.ReinvocationPolicyType("x"))
		}), []string{`failurePolicy: Unsupported value: "x": supported values: "Fail", "Ignore"`, `supported values: "Equivalent", "Exact"`, `supported values: "IfNeeded", "Never"`}},
		"no side effects": {configuration(func(w *v1.MutatingWebhook) { w.SideEffects = nil }), []string{"webhooks[0].sideEffects: Required value: must specify one of None, NoneOnDryRun"}},
		"side effects":    {configuration(func(w *v1.MutatingWebhook) { w.SideEffects = ptr.To(v1.SideEffectClassSome) }), []string{`webhooks[0].sideEffects: Unsupported value: "Some": supported values: "None", "NoneOnDryRun"`}},
		"timeout":         {configuration(func(w *v1.MutatingWebhook) { w.TimeoutSeconds = ptr.To[int32](31) }), []string{"webhooks[0].timeoutSeconds: Invalid value: 31: the timeout value must be between 1 and 30 seconds"}},
		"selector": {configuration(func(w *v1.MutatingWebhook) {
			w.NamespaceSelector = &metav1.LabelSelector{MatchLabels: map[string]string{"a": "b c"}}
		}), []string{"webhooks[0].namespaceSelector.matchLabels: Invalid value"}},
		"nobody":         {configuration(func(w *v1.MutatingWebhook) { w.ClientConfig.Service = nil }), []string{"webhooks[0].clientConfig: Required value: exactly one of url or service is required"}},
		"both":           {configuration(func(w *v1.MutatingWebhook) { w.ClientConfig.URL = ptr.To("https://a") }), []string{"exactly one of url or service is required"}},
		"plain HTTP":     {configuration(url("http://a/")), []string{`clientConfig.url: Invalid value: "http": 'https' is the only allowed URL scheme; desired format: https://host[/path]`}},
		"query and user": {configuration(url("https://u@a/?b#c")), []string{"user information is not permitted", "fragments are not permitted", "query parameters are not permitted"}},
		"service": {configuration(func(w *v1.MutatingWebhook) {
			*w.ClientConfig.Service = v1.ServiceReference{Port: ptr.To[int32](0), Path: ptr.To("a b")}
		}), []string{"service.name: Required", "service.namespace: Required", "service.port: Invalid value: 0: port is not valid", "must start with a '/'", "segment[0]"}},
		"no version":       {configuration(func(w *v1.MutatingWebhook) { w.AdmissionReviewVersions = nil }), []string{"webhooks[0].admissionReviewVersions: Required value: must specify one of v1, v1beta1"}},
		"unknown versions": {configuration(func(w *v1.MutatingWebhook) { w.AdmissionReviewVersions = []string{"v2", "v2"} }), []string{"admissionReviewVersions[1]: Invalid value: \"v2\": duplicate version", "must include at least one of v1, v1beta1"}},
		"no expression":    {configuration(conditions(" ")), []string{"webhooks[0].matchConditions[0].expression: Required value"}},
		"bad expression":   {configuration(conditions("object.metadata.name == 'a'", "... [][][] '\"")), []string{`webhooks[0].matchConditions[1].expression: Invalid value: "... [][][] '\"": compilation failed: ERROR: `}},
		"no answer":        {configuration(conditions("'text'")), []string{"matchConditions[0].expression: Invalid value: \"'text'\": must evaluate to bool but got string"}},
		"authorizer":       {configuration(conditions("authorizer.group('').resource('pods').check('get').allowed()", "params == null")), []string{"matchConditions[1].expression: Invalid value: \"params == null\": compilation failed"}},
		"condition names": {configuration(func(w *v1.MutatingWebhook) {
			w.MatchConditions = []v1.MatchCondition{{Expression: "true"}, {Name: "a b", Expression: "true"}, {Name: "c", Expression: "true"}, {Name: "c", Expression: "true"}}
		}), []string{"matchConditions[0].name: Required value", "matchConditions[1].name: Invalid value", "matchConditions[3].name: Duplicate value: \"c\""}},
		"many conditions": {configuration(conditions(slices.Repeat([]string{"true"}, 65)...)), []string{"webhooks[0].matchConditions: Too many: 65: must have at most 64 items"}},
	} {
		t.Run(name, func(t *testing.T) {
			errs := Mutating(checker).Rules.Validate(t.Context(), tc.c)
			if len(errs) != len(tc.want) {
				t.Errorf("%d errors: %v", len(errs), errs)
			}
			for _, want := range tc.want {
				if !strings.Contains(fmt.Sprint(errs), want) {
					t.Errorf("errors %v\nlack %s", errs, want)
				}
			}
		})
	}
}

// checker is made once: that takes time.
var checker = matching.NewConditions()

// TestWhatIsStoredMayStay changes configurations that would be refused today.
func TestWhatIsStoredMayStay(t *testing.T) {
	rules := Mutating(checker).Rules
	old := configuration(same, same)
	for i := range old.Webhooks {
		w := &old.Webhooks[i]
		w.Name, w.SideEffects, w.AdmissionReviewVersions = "same.example.com", ptr.To(v1.SideEffectClassSome), []string{"v2"}
		w.ObjectSelector = &metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{{Key: "a", Operator: metav1.LabelSelectorOpIn, Values: []string{"b c"}}}}
		w.MatchConditions = []v1.MatchCondition{{Name: "a", Expression: "no such thing"}}
	}
	next := old.DeepCopy()
	next.Webhooks[0].TimeoutSeconds = ptr.To[int32](3)
	if errs := rules.ValidateUpdate(t.Context(), next, old); len(errs) != 0 {
		t.Errorf("errors %v", errs)
	}
	next.Webhooks[0].MatchConditions[0].Name = "b"
	if errs := rules.ValidateUpdate(t.Context(), next, old); len(errs) != 2 {
		t.Errorf("conditions that change are not checked: %v", errs)
	}
	if errs := rules.ValidateUpdate(t.Context(), next, configuration(same)); len(errs) != 9 {
		t.Errorf("%d errors after a good one: %v", len(errs), errs)
	}
}

func TestGenerationCountsWhatIsSaid(t *testing.T) {
	rules := Mutating(checker).Rules
	old := configuration(same)
	rules.PrepareCreate(t.Context(), old)
	next := old.DeepCopy()
	next.Labels = map[string]string{"a": "b"}
	rules.PrepareUpdate(t.Context(), next, old)
	if old.Generation != 1 || next.Generation != 1 {
		t.Errorf("generations %d, %d", old.Generation, next.Generation)
	}
	next.Webhooks = nil
	if rules.PrepareUpdate(t.Context(), next, old); next.Generation != 2 {
		t.Errorf("generation %d", next.Generation)
	}
	if row := Mutating(nil).Columns.Row(old); !slices.Equal(row, []any{"c", int64(1), "<unknown>"}) {
		t.Errorf("row %v", row)
	}
}

// TestCompilingEndsWithTheRequest tries a configuration with very many expressions for
// somebody who does not wait.
func TestCompilingEndsWithTheRequest(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	errs := newConditions(ctx, checker)(configuration(conditions("true")).Webhooks[0].MatchConditions, field.NewPath("a"))
	if len(errs) != 1 || errs[0].Type != field.ErrorTypeInternal {
		t.Errorf("errors %v", errs)
	}
}
