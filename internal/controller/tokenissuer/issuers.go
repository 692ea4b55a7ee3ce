package tokenissuer

import (
	"slices"
	"time"

	operatorv1 "laterna.dev/laterna/api/operator/v1"
)

type trusted = operatorv1.ServiceAccountIssuerStatus

// unended leaves out what has ended.
func unended(all []trusted, at time.Time) []trusted {
	return slices.DeleteFunc(slices.Clone(all), func(t trusted) bool { return t.ExpirationTime != nil && !t.ExpirationTime.After(at) })
}

// firstEnd is when the first of the issuers ends; ok is false when none does.
func firstEnd(all []trusted) (first time.Time, ok bool) {
	for _, t := range all {
		if t.ExpirationTime != nil && (!ok || t.ExpirationTime.Time.Before(first)) {
			first, ok = t.ExpirationTime.Time, true
		}
	}
	return first, ok
}
