package credentialprovider

import (
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
	configv1 "k8s.io/kubelet/config/v1"
	pluginv1 "k8s.io/kubelet/pkg/apis/credentialprovider/v1"

	"laterna.dev/laterna/internal/node/imagepull"
)

func validateProvider(p *configv1.CredentialProvider, path *field.Path) (errs field.ErrorList) {
	name := path.Child("name")
	switch {
	case p.Name == "":
		errs = append(errs, field.Required(name, ""))
	case strings.Contains(p.Name, "/"):
		errs = append(errs, field.Invalid(name, p.Name, "provider name cannot contain '/'"))
	case strings.Contains(p.Name, " "):
		errs = append(errs, field.Invalid(name, p.Name, "provider name cannot contain spaces"))
	case p.Name == ".", p.Name == "..":
		errs = append(errs, field.Invalid(name, p.Name, "provider name cannot be '"+p.Name+"'"))
	}
	version := path.Child("apiVersion")
	if supported := pluginv1.SchemeGroupVersion.String(); p.APIVersion == "" {
		errs = append(errs, field.Required(version, ""))
	} else if p.APIVersion != supported {
		errs = append(errs, field.NotSupported(version, p.APIVersion, []string{supported}))
	}
	match := path.Child("matchImages")
	if len(p.MatchImages) == 0 {
		errs = append(errs, field.Required(match, "at least 1 item in matchImages is required"))
	}
	for i, pattern := range p.MatchImages {
		if why := imagepull.CheckPattern(pattern); why != "" {
			errs = append(errs, field.Invalid(match.Index(i), pattern, "match image is invalid: "+why))
		}
	}
	duration := path.Child("defaultCacheDuration")
	if p.DefaultCacheDuration == nil {
		errs = append(errs, field.Required(duration, ""))
	} else if p.DefaultCacheDuration.Duration < 0 {
		errs = append(errs, field.Invalid(duration, p.DefaultCacheDuration.Duration.String(), "defaultCacheDuration must be greater than or equal to 0"))
	}
	for i, e := range p.Env {
		if e.Name == "" || strings.ContainsAny(e.Name, "=\x00") || strings.Contains(e.Value, "\x00") {
			errs = append(errs, field.Invalid(path.Child("env").Index(i), e.Name, "must be the name of an environment variable, with a value that has no NUL"))
		}
	}
	if p.TokenAttributes != nil {
		errs = append(errs, validateToken(p.TokenAttributes, path.Child("tokenAttributes"))...)
	}
	return errs
}

var cacheTypes = []configv1.ServiceAccountTokenCacheType{
	configv1.ServiceAccountServiceAccountTokenCacheType, configv1.TokenServiceAccountTokenCacheType,
}

func validateToken(t *configv1.ServiceAccountTokenAttributes, path *field.Path) (errs field.ErrorList) {
	if t.ServiceAccountTokenAudience == "" {
		errs = append(errs, field.Required(path.Child("serviceAccountTokenAudience"), ""))
	}
	required := path.Child("requiredServiceAccountAnnotationKeys")
	if t.RequireServiceAccount == nil {
		errs = append(errs, field.Required(path.Child("requireServiceAccount"), ""))
	} else if !*t.RequireServiceAccount && len(t.RequiredServiceAccountAnnotationKeys) > 0 {
		errs = append(errs, field.Forbidden(required, "requireServiceAccount cannot be false when requiredServiceAccountAnnotationKeys is set"))
	}
	errs = append(errs, validateKeys(t.RequiredServiceAccountAnnotationKeys, required)...)
	errs = append(errs, validateKeys(t.OptionalServiceAccountAnnotationKeys, path.Child("optionalServiceAccountAnnotationKeys"))...)
	both := sets.New(t.RequiredServiceAccountAnnotationKeys...).Intersection(sets.New(t.OptionalServiceAccountAnnotationKeys...))
	if both.Len() > 0 {
		errs = append(errs, field.Invalid(path, sets.List(both), "annotation keys cannot be both required and optional"))
	}
	kind := path.Child("cacheType")
	if t.CacheType == "" {
		errs = append(errs, field.Required(kind, "cacheType is required to be set when tokenAttributes is specified. Supported values are: ServiceAccount, Token"))
	} else if !slices.Contains(cacheTypes, t.CacheType) {
		errs = append(errs, field.NotSupported(kind, t.CacheType, cacheTypes))
	}
	return errs
}

func validateKeys(keys []string, path *field.Path) (errs field.ErrorList) {
	seen := map[string]bool{}
	for i, k := range keys {
		for _, why := range validation.IsQualifiedName(strings.ToLower(k)) {
			errs = append(errs, field.Invalid(path.Index(i), k, why))
		}
		if seen[k] {
			errs = append(errs, field.Duplicate(path.Index(i), k))
		}
		seen[k] = true
	}
	return errs
}
