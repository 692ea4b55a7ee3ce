package webhookconfiguration

import (
	"fmt"
	"slices"
	"strings"

	v1 "k8s.io/api/admissionregistration/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	metavalidation "k8s.io/apimachinery/pkg/apis/meta/v1/validation"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
	webhookutil "k8s.io/apiserver/pkg/util/webhook"
	"k8s.io/utils/ptr"

	"laterna.dev/laterna/internal/registry/admissionregistration/matching"
)

// What fields may say, in the order in which messages name it.
var (
	failurePolicies = []v1.FailurePolicyType{v1.Fail, v1.Ignore}
	matchPolicies   = []v1.MatchPolicyType{v1.Equivalent, v1.Exact}
	allSideEffects  = []v1.SideEffectClass{v1.SideEffectClassNone, v1.SideEffectClassNoneOnDryRun, v1.SideEffectClassSome, v1.SideEffectClassUnknown}
	noSideEffects   = allSideEffects[:2]
	reinvocations   = []v1.ReinvocationPolicyType{v1.IfNeededReinvocationPolicy, v1.NeverReinvocationPolicy}
	// reviewVersions are the versions of AdmissionReview that the server speaks.
	reviewVersions = []string{"v1", "v1beta1"}
)

// demands are what is asked of a configuration. What was stored before it was asked may
// stay as long as it is not mended.
type demands struct{ noSideEffects, reviewVersion, uniqueNames, labelValues bool }

// strict is what is asked of a new configuration.
func strict() demands { return demands{true, true, true, true} }

// since is what is asked of the successor of a configuration.
func since(old []hook) demands {
	d, names := strict(), map[string]bool{}
	for _, h := range old {
		d.noSideEffects = d.noSideEffects && h.sideEffects != nil && slices.Contains(noSideEffects, *h.sideEffects)
		d.reviewVersion = d.reviewVersion && (len(h.versions) == 0 || slices.ContainsFunc(h.versions, spoken))
		d.uniqueNames = d.uniqueNames && !names[h.name]
		d.labelValues = d.labelValues && len(h.validateSelectors(true, nil)) == 0
		names[h.name] = true
	}
	return d
}

func spoken(version string) bool { return slices.Contains(reviewVersions, version) }

// checkConditions returns what is wrong with the match conditions of a webhook.
type checkConditions func(all []v1.MatchCondition, at *field.Path) field.ErrorList

func validate(hooks []hook, d demands, conditions checkConditions) field.ErrorList {
	var errs field.ErrorList
	names := map[string]bool{}
	for i, h := range hooks {
		at := field.NewPath("webhooks").Index(i)
		errs = append(errs, h.validate(d, at)...)
		errs = append(errs, conditions(h.conditions, at.Child("matchConditions"))...)
		errs = append(errs, validateVersions(h.versions, d, at.Child("admissionReviewVersions"))...)
		if d.uniqueNames && h.name != "" && names[h.name] {
			errs = append(errs, field.Duplicate(at.Child("name"), h.name))
		}
		names[h.name] = true
	}
	return errs
}

// validate checks all of a webhook but its match conditions and versions.
func (h hook) validate(d demands, at *field.Path) field.ErrorList {
	errs := validation.IsFullyQualifiedName(at.Child("name"), h.name)
	for i, r := range h.rules {
		errs = append(errs, matching.Rule(r, at.Child("rules").Index(i))...)
	}
	errs = append(errs, matching.OneOf(*h.failure, failurePolicies, at.Child("failurePolicy"))...)
	errs = append(errs, matching.OneOf(*h.match, matchPolicies, at.Child("matchPolicy"))...)
	allowed := allSideEffects
	if d.noSideEffects {
		allowed = noSideEffects
	}
	if h.sideEffects == nil {
		errs = append(errs, field.Required(at.Child("sideEffects"), "must specify one of "+strings.Join(texts(allowed), ", ")))
	}
	errs = append(errs, matching.OneOf(h.sideEffects, allowed, at.Child("sideEffects"))...)
	if t := *h.timeout; t != nil && (*t < 1 || *t > 30) {
		errs = append(errs, field.Invalid(at.Child("timeoutSeconds"), *t, "the timeout value must be between 1 and 30 seconds"))
	}
	errs = append(errs, h.validateSelectors(d.labelValues, at)...)
	if h.reinvocation != nil {
		errs = append(errs, matching.OneOf(*h.reinvocation, reinvocations, at.Child("reinvocationPolicy"))...)
	}
	return append(errs, validateClient(h.client, at.Child("clientConfig"))...)
}

// validateSelectors checks the selectors of namespaces and objects, whose values are to be
// those of labels where values is set.
func (h hook) validateSelectors(values bool, at *field.Path) field.ErrorList {
	options := metavalidation.LabelSelectorValidationOptions{AllowInvalidLabelValueInSelector: !values}
	var errs field.ErrorList
	for _, s := range []struct {
		name     string
		selector *metav1.LabelSelector
	}{{"namespaceSelector", *h.namespaces}, {"objectSelector", *h.objects}} {
		if s.selector != nil {
			errs = append(errs, metavalidation.ValidateLabelSelector(s.selector, options, at.Child(s.name))...)
		}
	}
	return errs
}

func validateClient(c *v1.WebhookClientConfig, at *field.Path) field.ErrorList {
	switch {
	case (c.URL == nil) == (c.Service == nil):
		return field.ErrorList{field.Required(at, "exactly one of url or service is required")}
	case c.URL != nil:
		return webhookutil.ValidateWebhookURL(at.Child("url"), *c.URL, true)
	}
	return webhookutil.ValidateWebhookService(at.Child("service"), c.Service.Namespace, c.Service.Name, c.Service.Path, ptr.Deref(c.Service.Port, 0))
}

func validateVersions(versions []string, d demands, at *field.Path) field.ErrorList {
	if len(versions) == 0 {
		return field.ErrorList{field.Required(at, "must specify one of "+strings.Join(reviewVersions, ", "))}
	}
	var errs field.ErrorList
	seen := map[string]bool{}
	for i, v := range versions {
		if seen[v] {
			errs = append(errs, field.Invalid(at.Index(i), v, "duplicate version"))
			continue
		}
		seen[v] = true
		for _, msg := range validation.IsDNS1035Label(v) {
			errs = append(errs, field.Invalid(at.Index(i), v, msg))
		}
	}
	if d.reviewVersion && !slices.ContainsFunc(versions, spoken) {
		errs = append(errs, field.Invalid(at, versions, "must include at least one of "+strings.Join(reviewVersions, ", ")))
	}
	return errs
}

func texts[T ~string](all []T) (list []string) {
	for _, v := range all {
		list = append(list, fmt.Sprint(v))
	}
	return list
}
