package volumes

import (
	"fmt"
	"strings"

	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// validateBundleName checks the name of a ClusterTrustBundle: a subdomain, or for
// the bundle of a signer the signer name with ':' in place of '/', and then a
// subdomain.
func validateBundleName(name string, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	if name == "" {
		errs = append(errs, field.Required(path, "must be a valid object name"))
	}
	// With a colon, all before the last one is the signer's name, so the prefix
	// matches by itself and only the rest is left to check.
	suffix := name[strings.LastIndex(name, ":")+1:]
	for _, msg := range apivalidation.NameIsDNSSubdomain(suffix, false) {
		errs = append(errs, field.Invalid(path, name, fmt.Sprintf("not a valid clustertrustbundlename: %v", msg)))
	}
	return errs
}

// maxSignerName is two DNS subdomains, the domain and the path, with the slash and
// the room that the names of certificates need.
const maxSignerName = 571

// ValidateSignerName checks <domain of two labels or more>/<path of subdomains>.
func ValidateSignerName(name string, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	if name == "" {
		return field.ErrorList{field.Required(path, "")}
	}
	domain, rest, found := strings.Cut(name, "/")
	if !found || strings.Contains(rest, "/") {
		return field.ErrorList{field.Invalid(path, name, "must be a fully qualified domain and path of the form 'example.com/signer-name'")}
	}
	labels := strings.Split(domain, ".")
	errs = append(errs, firstWrong(labels, validation.IsDNS1123Label, domain, path)...)
	if len(labels) < 2 {
		errs = append(errs, field.Invalid(path, domain, "should be a domain with at least two segments separated by dots"))
	}
	errs = append(errs, firstWrong(strings.Split(rest, "."), validation.IsDNS1123Subdomain, rest, path)...)
	if len(name) > maxSignerName {
		errs = append(errs, field.TooLong(path, name, maxSignerName))
	}
	return errs
}

// firstWrong reports the first label that check refuses.
func firstWrong(labels []string, check func(string) []string, value string, path *field.Path) field.ErrorList {
	for _, label := range labels {
		var errs field.ErrorList
		for _, msg := range check(label) {
			errs = append(errs, field.Invalid(path, value, fmt.Sprintf("validating label %q: %s", label, msg)))
		}
		if len(errs) > 0 {
			return errs
		}
	}
	return nil
}
