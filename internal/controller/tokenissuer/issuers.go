package tokenissuer

import (
	"fmt"
	"slices"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	operatorv1 "laterna.dev/laterna/api/operator/v1"
)

// MaxIssuers is how many issuers can be accepted at the same time, as on OpenShift.
const MaxIssuers = 10

type trusted = operatorv1.ServiceAccountIssuerStatus

// nextIssuers returns the accepted issuers when want is to issue: want first, without
// an end; the one that issued before for as long as overlap; others until the end that
// they have. What has ended is left out. The rules are those of OpenShift's
// kube-apiserver operator. It fails, and nothing changes, where that would be more than
// MaxIssuers.
func nextIssuers(now *operatorv1.KubeAPIServerStatus, want string, overlap time.Duration, at time.Time) ([]trusted, error) {
	next := []trusted{{Name: want}}
	for _, t := range now.ServiceAccountIssuers {
		if t.Name == want {
			continue
		}
		if t.ExpirationTime == nil {
			t.ExpirationTime = &metav1.Time{Time: at.Add(overlap).UTC().Truncate(time.Second)}
		}
		if t.ExpirationTime.After(at) && !slices.ContainsFunc(next, func(k trusted) bool { return k.Name == t.Name }) {
			next = append(next, t)
		}
	}
	if len(next) > MaxIssuers && now.ActiveIssuer() != want {
		var names []string
		for _, t := range now.ServiceAccountIssuers {
			names = append(names, t.Name)
		}
		return nil, fmt.Errorf("unable to configure more than %d trusted service account issuers at the time, wait until one of them has ended: %s", MaxIssuers, strings.Join(names, ", "))
	}
	return next, nil
}

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
