package security

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"laterna.dev/laterna/internal/podfields"
)

const (
	// maxGMSA is the size of a credential specification, in KiB.
	maxGMSA = 64
	// maxDomain is one more than the longest domain of a user.
	maxDomain = 256
	// maxUser is the longest name of a user, less its domain.
	maxUser = 104
)

var (
	controlCharacter = regexp.MustCompile(`[[:cntrl:]]`)
	domainLabel      = regexp.MustCompile(`^[a-zA-Z0-9]([a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?$`)
)

// maxNetBIOS is the longest name of a domain of old, in characters.
const maxNetBIOS = 15

// isDomain is true for a domain that a user may have: a NetBIOS name, or a DNS name of
// which each label is one.
func isDomain(name string) bool {
	if n := utf8.RuneCountInString(name); n > 0 && n <= maxNetBIOS && name[0] != '.' && !strings.ContainsAny(name, `\/:*?"<>|`) {
		return true
	}
	return !slices.ContainsFunc(strings.Split(name, "."), func(label string) bool { return !domainLabel.MatchString(label) })
}

// validateWindows checks the options that only Windows knows. The agent runs no Windows,
// but a spec that is stored must be one that Kubernetes would store.
func validateWindows(o *corev1.WindowsSecurityContextOptions, path *field.Path) field.ErrorList {
	if o == nil {
		return nil
	}
	var errs field.ErrorList
	if name := o.GMSACredentialSpecName; name != nil {
		for _, msg := range validation.IsDNS1123Subdomain(*name) {
			errs = append(errs, field.Invalid(path.Child("gmsaCredentialSpecName"), *name, msg))
		}
	}
	if spec, at := o.GMSACredentialSpec, path.Child("gmsaCredentialSpec"); spec != nil {
		switch {
		case *spec == "":
			errs = append(errs, field.Invalid(at, *spec, "gmsaCredentialSpec cannot be an empty string"))
		case len(*spec) > maxGMSA<<10:
			errs = append(errs, field.Invalid(at, *spec, fmt.Sprintf("gmsaCredentialSpec size must be under %d KiB", maxGMSA)))
		}
	}
	if o.RunAsUserName != nil {
		errs = append(errs, validateUserName(*o.RunAsUserName, path.Child("runAsUserName"))...)
	}
	return errs
}

// validateUserName checks a user of Windows, DOMAIN\USER or USER.
func validateUserName(name string, path *field.Path) field.ErrorList {
	domain, user, separated := strings.Cut(name, `\`)
	if !separated {
		domain, user = "", name
	}
	switch {
	case name == "":
		return field.ErrorList{field.Invalid(path, name, "runAsUserName cannot be an empty string")}
	case controlCharacter.MatchString(name):
		return field.ErrorList{field.Invalid(path, name, "runAsUserName cannot contain control characters")}
	case strings.Contains(user, `\`):
		return field.ErrorList{field.Invalid(path, name, "runAsUserName cannot contain more than one backslash")}
	}
	var errs field.ErrorList
	for _, rule := range []struct {
		wrong bool
		text  string
	}{
		{len(domain) >= maxDomain, fmt.Sprintf("runAsUserName's Domain length must be under %d characters", maxDomain)},
		{separated && !isDomain(domain), "runAsUserName's Domain doesn't match the NetBios nor the DNS format"},
		{user == "", "runAsUserName's User cannot be empty"},
		{len(user) > maxUser, fmt.Sprintf("runAsUserName's User length must not be longer than %d characters", maxUser)},
		{user != "" && strings.Trim(user, ". ") == "", "runAsUserName's User cannot contain only periods or spaces"},
		{strings.ContainsAny(user, `"/\:;|=,+*?<>@[]`), `runAsUserName's User cannot contain the following characters: "/\:;|=,+*?<>@[]`},
	} {
		if rule.wrong {
			errs = append(errs, field.Invalid(path, name, rule.text))
		}
	}
	return errs
}

// ValidateHostProcess checks that all containers of a spec, which is at path, are host
// processes of Windows, or none.
func ValidateHostProcess(spec *corev1.PodSpec, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	var pod *bool
	if sc := spec.SecurityContext; sc != nil && sc.WindowsOptions != nil {
		pod = sc.WindowsOptions.HostProcess
	}
	all, processes := 0, 0
	for place, c := range podfields.Containers(spec) {
		all++
		effective := pod
		if sc := c.SecurityContext; sc != nil && sc.WindowsOptions != nil && sc.WindowsOptions.HostProcess != nil {
			effective = sc.WindowsOptions.HostProcess
		}
		if pod != nil && *pod != *effective {
			errs = append(errs, field.Invalid(path.Child(string(place.List)).Index(place.Index).Child("securityContext", "windowsOptions", "hostProcess"),
				*effective, fmt.Sprintf("pod hostProcess value must be identical if both are specified, was %v", *pod)))
		}
		if effective != nil && *effective {
			processes++
		}
	}
	if processes == 0 {
		return errs
	}
	if processes != all {
		errs = append(errs, field.Invalid(path, "", "If pod contains any hostProcess containers then all containers must be HostProcess containers"))
	}
	if !spec.HostNetwork {
		errs = append(errs, field.Invalid(path.Child("hostNetwork"), spec.HostNetwork, "hostNetwork must be true if pod contains any hostProcess containers"))
	}
	return errs
}
