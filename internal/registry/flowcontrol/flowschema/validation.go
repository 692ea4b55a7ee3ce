package flowschema

import (
	"fmt"
	"slices"
	"strings"

	flowcontrolv1 "k8s.io/api/flowcontrol/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/apiserver/pkg/apis/flowcontrol/bootstrap"
)

// all is the wildcard of verbs, groups, resources, namespaces and paths alike.
const all = flowcontrolv1.APIGroupAll

var (
	methods = []flowcontrolv1.FlowDistinguisherMethodType{flowcontrolv1.FlowDistinguisherMethodByNamespaceType, flowcontrolv1.FlowDistinguisherMethodByUserType}
	verbs   = []string{"create", "delete", "deletecollection", "get", "list", "patch", "proxy", "update", "watch"}
	kinds   = []flowcontrolv1.SubjectKind{flowcontrolv1.SubjectKindGroup, flowcontrolv1.SubjectKindServiceAccount, flowcontrolv1.SubjectKindUser}
)

func validate(s *schema) field.ErrorList {
	at := field.NewPath("spec")
	errs := validateSpec(s.Name, &s.Spec, at)
	for _, fixed := range bootstrap.MandatoryFlowSchemas {
		if fixed.Name == s.Name && !equality.Semantic.DeepEqual(fixed.Spec, s.Spec) {
			errs = append(errs, field.Invalid(at, s.Spec, fmt.Sprintf("spec of '%s' must equal the fixed value", s.Name)))
		}
	}
	return append(errs, validateStatus(&s.Status)...)
}

func validateSpec(name string, s *flowcontrolv1.FlowSchemaSpec, at *field.Path) (errs field.ErrorList) {
	precedence := func(why string) {
		errs = append(errs, field.Invalid(at.Child("matchingPrecedence"), s.MatchingPrecedence, why))
	}
	if s.MatchingPrecedence <= 0 {
		precedence("must be a positive value")
	}
	if s.MatchingPrecedence > flowcontrolv1.FlowSchemaMaxMatchingPrecedence {
		precedence(fmt.Sprintf("must not be greater than %v", flowcontrolv1.FlowSchemaMaxMatchingPrecedence))
	}
	if s.MatchingPrecedence == 1 && name != flowcontrolv1.FlowSchemaNameExempt {
		precedence("only the schema named 'exempt' may have matchingPrecedence 1")
	}
	if m := s.DistinguisherMethod; m != nil && !slices.Contains(methods, m.Type) {
		errs = append(errs, field.NotSupported(at.Child("distinguisherMethod", "type"), m, methods))
	}
	level := at.Child("priorityLevelConfiguration", "name")
	if s.PriorityLevelConfiguration.Name == "" {
		errs = append(errs, field.Required(level, "must reference a priority level"))
	} else {
		errs = append(errs, named(level, s.PriorityLevelConfiguration.Name, "", apivalidation.NameIsDNSSubdomain)...)
	}
	for i := range s.Rules {
		errs = append(errs, validateRules(&s.Rules[i], at.Child("rules").Index(i))...)
	}
	return errs
}

// named tells what is wrong with a name.
func named(at *field.Path, name, intro string, check apivalidation.ValidateNameFunc) (errs field.ErrorList) {
	for _, why := range check(name, false) {
		errs = append(errs, field.Invalid(at, name, intro+why))
	}
	return errs
}

func validateRules(r *flowcontrolv1.PolicyRulesWithSubjects, at *field.Path) (errs field.ErrorList) {
	if len(r.Subjects) == 0 {
		errs = append(errs, field.Required(at.Child("subjects"), "subjects must contain at least one value"))
	}
	for i := range r.Subjects {
		errs = append(errs, validateSubject(&r.Subjects[i], at.Child("subjects").Index(i))...)
	}
	if len(r.ResourceRules) == 0 && len(r.NonResourceRules) == 0 {
		errs = append(errs, field.Required(at, "at least one of resourceRules and nonResourceRules has to be non-empty"))
	}
	for i := range r.ResourceRules {
		errs = append(errs, validateResourceRule(&r.ResourceRules[i], at.Child("resourceRules").Index(i))...)
	}
	for i := range r.NonResourceRules {
		errs = append(errs, validateNonResourceRule(&r.NonResourceRules[i], at.Child("nonResourceRules").Index(i))...)
	}
	return errs
}

// validateSubject wants the one part that is of the subject's kind.
func validateSubject(s *flowcontrolv1.Subject, at *field.Path) (errs field.ErrorList) {
	if !slices.Contains(kinds, s.Kind) {
		return field.ErrorList{field.NotSupported(at.Child("kind"), s.Kind, kinds)}
	}
	for _, part := range []struct {
		kind  flowcontrolv1.SubjectKind
		field string
		given bool
		check func(*field.Path) field.ErrorList
	}{
		{flowcontrolv1.SubjectKindServiceAccount, "serviceAccount", s.ServiceAccount != nil, func(at *field.Path) field.ErrorList { return validateAccount(s.ServiceAccount, at) }},
		{flowcontrolv1.SubjectKindUser, "user", s.User != nil, func(at *field.Path) field.ErrorList { return required(at.Child("name"), s.User.Name, "") }},
		{flowcontrolv1.SubjectKindGroup, "group", s.Group != nil, func(at *field.Path) field.ErrorList { return required(at.Child("name"), s.Group.Name, "") }},
	} {
		at := at.Child(part.field)
		switch {
		case part.kind == s.Kind && part.given:
			errs = append(errs, part.check(at)...)
		case part.kind == s.Kind:
			errs = append(errs, field.Required(at, fmt.Sprintf("%s is required when subject kind is '%s'", part.field, part.kind)))
		case part.given:
			errs = append(errs, field.Forbidden(at, fmt.Sprintf("%s is forbidden when subject kind is not '%s'", part.field, part.kind)))
		}
	}
	return errs
}

func required(at *field.Path, value, why string) field.ErrorList {
	if value == "" {
		return field.ErrorList{field.Required(at, why)}
	}
	return nil
}

func validateAccount(a *flowcontrolv1.ServiceAccountSubject, at *field.Path) field.ErrorList {
	errs := required(at.Child("name"), a.Name, "")
	if a.Name != "" && a.Name != all {
		errs = append(errs, named(at.Child("name"), a.Name, "", apivalidation.ValidateServiceAccountName)...)
	}
	if a.Namespace == "" {
		return append(errs, field.Required(at.Child("namespace"), "must specify namespace for service account"))
	}
	return append(errs, named(at.Child("namespace"), a.Namespace, "", apivalidation.ValidateNamespaceName)...)
}

// validateVerbs wants verbs of Kubernetes, or all.
func validateVerbs(given []string, at *field.Path) field.ErrorList {
	errs := several(given, at, "verbs must contain at least one value", "verbs")
	if len(given) > 0 && !slices.Contains(given, all) && !sets.New(verbs...).HasAll(given...) {
		errs = append(errs, field.NotSupported(at, given, verbs))
	}
	return errs
}

// several wants at least one value, and no other beside the wildcard.
func several(given []string, at *field.Path, missing, what string) field.ErrorList {
	switch {
	case len(given) == 0:
		return field.ErrorList{field.Required(at, missing)}
	case len(given) > 1 && slices.Contains(given, all):
		return field.ErrorList{field.Invalid(at, given, "if '*' is present, must not specify other "+what)}
	}
	return nil
}

func validateResourceRule(r *flowcontrolv1.ResourcePolicyRule, at *field.Path) field.ErrorList {
	errs := validateVerbs(r.Verbs, at.Child("verbs"))
	errs = append(errs, several(r.APIGroups, at.Child("apiGroups"), "resource rules must supply at least one api group", "api groups")...)
	errs = append(errs, several(r.Resources, at.Child("resources"), "resource rules must supply at least one resource", "resources")...)
	namespaces := at.Child("namespaces")
	if len(r.Namespaces) > 0 || !r.ClusterScope {
		errs = append(errs, several(r.Namespaces, namespaces, "resource rules that are not cluster scoped must supply at least one namespace", "namespaces")...)
	}
	if slices.Contains(r.Namespaces, all) {
		return errs
	}
	for i, name := range r.Namespaces {
		errs = append(errs, named(namespaces.Index(i), name, "each member of this list must be '*' or a DNS-1123 label; ", apivalidation.ValidateNamespaceName)...)
	}
	return errs
}

func validateNonResourceRule(r *flowcontrolv1.NonResourcePolicyRule, at *field.Path) field.ErrorList {
	errs := validateVerbs(r.Verbs, at.Child("verbs"))
	paths := at.Child("nonResourceURLs")
	errs = append(errs, several(r.NonResourceURLs, paths, "nonResourceURLs must contain at least one value", "non-resource URLs")...)
	if slices.Contains(r.NonResourceURLs, all) {
		return errs
	}
	for i, path := range r.NonResourceURLs {
		if why := wrongPath(path); why != "" {
			errs = append(errs, field.Invalid(paths.Index(i), path, why))
		}
	}
	return errs
}

// wrongPath says what is wrong with a path, "" if nothing is.
func wrongPath(path string) string {
	switch stars := strings.Count(path, all); {
	case path == "":
		return "must not be empty"
	case path == "/":
		return ""
	case path[0] != '/':
		return "must start with slash"
	case strings.Contains(path, " "):
		return "must not contain white-space"
	case strings.Contains(path, "//"):
		return "must not contain double slash"
	case stars > 1, stars == 1 && !strings.HasSuffix(path, "/*"):
		return "wildcard can only do suffix matching"
	}
	return ""
}

func validateStatus(s *flowcontrolv1.FlowSchemaStatus) (errs field.ErrorList) {
	seen := map[flowcontrolv1.FlowSchemaConditionType]bool{}
	for i, c := range s.Conditions {
		at := field.NewPath("status", "conditions").Index(i).Child("type")
		if seen[c.Type] {
			errs = append(errs, field.Duplicate(at, c.Type))
		}
		seen[c.Type] = true
		errs = append(errs, required(at, string(c.Type), "")...)
	}
	return errs
}
