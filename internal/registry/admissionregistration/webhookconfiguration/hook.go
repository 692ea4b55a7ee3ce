package webhookconfiguration

import (
	v1 "k8s.io/api/admissionregistration/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
)

// hook is a webhook of either kind. Its pointers lead into the configuration.
type hook struct {
	name                string
	client              *v1.WebhookClientConfig
	rules               []v1.RuleWithOperations
	failure             **v1.FailurePolicyType
	match               **v1.MatchPolicyType
	namespaces, objects **metav1.LabelSelector
	sideEffects         *v1.SideEffectClass
	timeout             **int32
	versions            []string
	conditions          []v1.MatchCondition
	// reinvocation is nil for webhooks that change nothing.
	reinvocation **v1.ReinvocationPolicyType
}

func mutating(w *v1.MutatingWebhook) hook {
	return hook{
		name: w.Name, client: &w.ClientConfig, rules: w.Rules, failure: &w.FailurePolicy, match: &w.MatchPolicy,
		namespaces: &w.NamespaceSelector, objects: &w.ObjectSelector, sideEffects: w.SideEffects, timeout: &w.TimeoutSeconds,
		versions: w.AdmissionReviewVersions, conditions: w.MatchConditions, reinvocation: &w.ReinvocationPolicy,
	}
}

func validating(w *v1.ValidatingWebhook) hook {
	return hook{
		name: w.Name, client: &w.ClientConfig, rules: w.Rules, failure: &w.FailurePolicy, match: &w.MatchPolicy,
		namespaces: &w.NamespaceSelector, objects: &w.ObjectSelector, sideEffects: w.SideEffects, timeout: &w.TimeoutSeconds,
		versions: w.AdmissionReviewVersions, conditions: w.MatchConditions,
	}
}

const (
	defaultTimeout = 10 // seconds
	defaultPort    = 443
)

// setDefaults fills in what a webhook leaves out.
func (h hook) setDefaults() {
	fill(h.failure, v1.Fail)
	fill(h.match, v1.Equivalent)
	fill(h.namespaces, metav1.LabelSelector{})
	fill(h.objects, metav1.LabelSelector{})
	fill(h.timeout, defaultTimeout)
	if h.reinvocation != nil {
		fill(h.reinvocation, v1.NeverReinvocationPolicy)
	}
	if h.client.Service != nil {
		fill(&h.client.Service.Port, defaultPort)
	}
	for i := range h.rules {
		fill(&h.rules[i].Scope, v1.AllScopes)
	}
}

func fill[T any](field **T, value T) {
	if *field == nil {
		*field = ptr.To(value)
	}
}
