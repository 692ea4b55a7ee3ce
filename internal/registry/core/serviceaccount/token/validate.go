package token

import (
	"fmt"
	"slices"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

const (
	minSeconds     = 10 * 60
	maxSeconds     = 1 << 32
	defaultSeconds = 60 * 60
)

// SetDefaults fills in spec.expirationSeconds.
func SetDefaults(req *authenticationv1.TokenRequest) {
	if req.Spec.ExpirationSeconds == nil {
		hour := int64(defaultSeconds)
		req.Spec.ExpirationSeconds = &hour
	}
}

// Validate returns what is wrong with a request that has its defaults.
func Validate(req *authenticationv1.TokenRequest) field.ErrorList {
	var errs field.ErrorList
	spec := field.NewPath("spec")
	asked := *req.Spec.ExpirationSeconds
	if asked < minSeconds {
		errs = append(errs, field.Invalid(spec.Child("expirationSeconds"), asked, "may not specify a duration less than 10 minutes"))
	}
	if asked > maxSeconds {
		errs = append(errs, field.Invalid(spec.Child("expirationSeconds"), asked, "may not specify a duration larger than 2^32 seconds"))
	}
	if len(req.Spec.Attestations) > 0 {
		errs = append(errs, field.Invalid(spec.Child("attestations"), req.Spec.Attestations, "attestations may only be specified with a webhook bound object reference"))
	}
	return errs
}

// ValidateMaxExpiration checks a value of --service-account-max-token-expiration:
// 0 (no limit) or 1 h to 2^32 s.
func ValidateMaxExpiration(d time.Duration) error {
	if d == 0 || d >= time.Hour && d <= seconds(maxSeconds) {
		return nil
	}
	return fmt.Errorf("service account max token expiration %v must be between 1 hour and 2^32 seconds", d)
}

// PreventsExtension tells whether a maximum that ValidateMaxExpiration accepts is
// so short that injected tokens are never extended, which an operator who asked
// for both should be told.
func PreventsExtension(most time.Duration) bool {
	return most != 0 && most < seconds(injectedSeconds)
}

// checkNames refuses a body that names another object than the URL.
func checkNames(req *authenticationv1.TokenRequest, namespace, name string) field.ErrorList {
	meta := field.NewPath("metadata")
	if req.Name != "" && req.Name != name {
		return field.ErrorList{field.Invalid(meta.Child("name"), req.Name, "must match the service account name if specified")}
	}
	if req.Namespace != "" && req.Namespace != namespace {
		return field.ErrorList{field.Invalid(meta.Child("namespace"), req.Namespace, "must match the service account namespace if specified")}
	}
	return nil
}

func seconds(n int64) time.Duration { return time.Duration(n) * time.Second }

func subset(some, all []string) bool {
	return !slices.ContainsFunc(some, func(s string) bool { return !slices.Contains(all, s) })
}
