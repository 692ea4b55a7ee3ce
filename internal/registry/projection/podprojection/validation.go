package podprojection

import (
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"
	"unicode"

	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	metav1validation "k8s.io/apimachinery/pkg/apis/meta/v1/validation"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"laterna.dev/laterna/api/projection/v1alpha1"
)

// maxVersion is the length of resource versions and names of generations in bytes.
const maxVersion = 128

var digest = regexp.MustCompile("^" + v1alpha1.DigestPrefix + "[0-9a-f]{64}$")

func validate(p *object) field.ErrorList {
	errs := validateOwner(p)
	at := field.NewPath("spec", "nodeName")
	if p.Spec.NodeName == "" {
		errs = append(errs, field.Required(at, ""))
	} else {
		errs = append(errs, wrong(at, p.Spec.NodeName, apivalidation.NameIsDNSSubdomain(p.Spec.NodeName, false))...)
	}
	return append(errs, validateStatus(&p.Status, field.NewPath("status"))...)
}

func validateUpdate(p, old *object) field.ErrorList {
	errs := apivalidation.ValidateImmutableField(p.Spec, old.Spec, field.NewPath("spec"))
	errs = append(errs, apivalidation.ValidateImmutableField(p.OwnerReferences, old.OwnerReferences, field.NewPath("metadata", "ownerReferences"))...)
	return append(errs, validateStatus(&p.Status, field.NewPath("status"))...)
}

// validateOwner wants the pod of the same name as the only owner.
func validateOwner(p *object) field.ErrorList {
	at := field.NewPath("metadata", "ownerReferences")
	if len(p.OwnerReferences) == 0 {
		return field.ErrorList{field.Required(at, "must refer to the pod of the same name")}
	}
	if o := p.OwnerReferences[0]; len(p.OwnerReferences) > 1 || o.APIVersion != "v1" || o.Kind != "Pod" || o.Name != p.Name {
		return field.ErrorList{field.Invalid(at, p.OwnerReferences, "must refer to the pod of the same name alone")}
	}
	return nil
}

func validateStatus(s *v1alpha1.PodProjectionStatus, at *field.Path) field.ErrorList {
	errs := metav1validation.ValidateConditions(s.Conditions, at.Child("conditions"))
	sources, tokens, outcomes := 0, 0, 0
	for i := range s.Volumes {
		v := &s.Volumes[i]
		sources, tokens, outcomes = sources+len(v.Sources), tokens+len(v.Tokens), outcomes+len(v.Checks)+len(v.Actions)
	}
	volumes := at.Child("volumes")
	errs = append(errs, atMost(volumes, "volumes", len(s.Volumes), v1alpha1.MaxVolumes)...)
	errs = append(errs, atMost(volumes, "sources", sources, v1alpha1.MaxSources)...)
	errs = append(errs, atMost(volumes, "tokens", tokens, v1alpha1.MaxTokens)...)
	errs = append(errs, atMost(volumes, "checks and actions", outcomes, v1alpha1.MaxOutcomes)...)
	if len(errs) > 0 {
		return errs
	}
	return each(volumes, s.Volumes, validateVolume, func(v *v1alpha1.VolumeStatus) string { return v.Name })
}

func validateVolume(v *v1alpha1.VolumeStatus, at *field.Path) field.ErrorList {
	errs := wrong(at.Child("name"), v.Name, validation.IsDNS1123Label(v.Name))
	if strings.ContainsFunc(v.Generation, func(r rune) bool { return r == '/' || unicode.IsControl(r) }) {
		errs = append(errs, field.Invalid(at.Child("generation"), v.Generation, "must be the name of a directory"))
	}
	errs = append(errs, long(at.Child("generation"), v.Generation, maxVersion)...)
	if v.Digest != "" && !digest.MatchString(v.Digest) {
		errs = append(errs, field.Invalid(at.Child("digest"), v.Digest, "must be "+v1alpha1.DigestPrefix+" and 64 hexadecimal digits"))
	}
	errs = append(errs, long(at.Child("problem"), v.Problem, v1alpha1.MaxMessage)...)
	errs = append(errs, each(at.Child("sources"), v.Sources, validateSource, func(s *v1alpha1.SourceStatus) string {
		return string(s.Kind) + "/" + s.Name
	})...)
	errs = append(errs, each(at.Child("tokens"), v.Tokens, validateToken, func(t *v1alpha1.TokenStatus) string { return t.Path })...)
	errs = append(errs, validateOutcomes(v.Checks, at.Child("checks"))...)
	return append(errs, validateOutcomes(v.Actions, at.Child("actions"))...)
}

var kinds = []v1alpha1.SourceKind{v1alpha1.SourceConfigMap, v1alpha1.SourcePod, v1alpha1.SourceSecret}

func validateSource(s *v1alpha1.SourceStatus, at *field.Path) field.ErrorList {
	var errs field.ErrorList
	if !slices.Contains(kinds, s.Kind) {
		errs = append(errs, field.NotSupported(at.Child("kind"), s.Kind, kinds))
	}
	if s.Name == "" { // any other name can stand in a pod
		errs = append(errs, field.Required(at.Child("name"), ""))
	}
	errs = append(errs, long(at.Child("name"), s.Name, v1alpha1.MaxName)...)
	errs = append(errs, long(at.Child("observedVersion"), s.ObservedVersion, maxVersion)...)
	return append(errs, long(at.Child("publishedVersion"), s.PublishedVersion, maxVersion)...)
}

func validateToken(t *v1alpha1.TokenStatus, at *field.Path) field.ErrorList {
	var errs field.ErrorList
	if t.Path == "" || path.IsAbs(t.Path) || slices.Contains(strings.Split(t.Path, "/"), "..") {
		errs = append(errs, field.Invalid(at.Child("path"), t.Path, "must be a path inside the volume"))
	}
	errs = append(errs, long(at.Child("path"), t.Path, v1alpha1.MaxPath)...)
	return append(errs, long(at.Child("audience"), t.Audience, v1alpha1.MaxPath)...)
}

var results = []v1alpha1.Result{v1alpha1.Failed, v1alpha1.Rejected, v1alpha1.Skipped, v1alpha1.Succeeded}

func validateOutcomes(all []v1alpha1.OutcomeStatus, at *field.Path) field.ErrorList {
	return each(at, all, validateOutcome, func(o *v1alpha1.OutcomeStatus) string { return o.Container + ": " + o.Action })
}

func validateOutcome(o *v1alpha1.OutcomeStatus, at *field.Path) field.ErrorList {
	errs := wrong(at.Child("container"), o.Container, validation.IsDNS1123Label(o.Container))
	if o.Action == "" {
		errs = append(errs, field.Required(at.Child("action"), ""))
	}
	if !slices.Contains(results, o.Result) {
		errs = append(errs, field.NotSupported(at.Child("result"), o.Result, results))
	}
	if o.Time.IsZero() {
		errs = append(errs, field.Required(at.Child("time"), ""))
	}
	errs = append(errs, long(at.Child("action"), o.Action, v1alpha1.MaxName)...)
	errs = append(errs, long(at.Child("generation"), o.Generation, maxVersion)...)
	return append(errs, long(at.Child("message"), o.Message, v1alpha1.MaxMessage)...)
}

// each validates the items of a list whose keys must be unique.
func each[T any](at *field.Path, items []T, check func(*T, *field.Path) field.ErrorList, key func(*T) string) field.ErrorList {
	var errs field.ErrorList
	seen := map[string]bool{}
	for i := range items {
		errs = append(errs, check(&items[i], at.Index(i))...)
		if k := key(&items[i]); seen[k] {
			errs = append(errs, field.Duplicate(at.Index(i), k))
		} else {
			seen[k] = true
		}
	}
	return errs
}

func wrong(at *field.Path, value string, messages []string) field.ErrorList {
	var errs field.ErrorList
	for _, m := range messages {
		errs = append(errs, field.Invalid(at, value, m))
	}
	return errs
}

func long(at *field.Path, value string, most int) field.ErrorList {
	if len(value) <= most {
		return nil
	}
	return field.ErrorList{field.TooLong(at, "" /* unused */, most)}
}

func atMost(at *field.Path, what string, count, most int) field.ErrorList {
	if count <= most {
		return nil
	}
	return field.ErrorList{field.Forbidden(at, fmt.Sprintf("has %d %s, at most %d are allowed", count, what, most))}
}
