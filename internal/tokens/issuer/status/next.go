package status

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

// TooManyError says that one more issuer would be more than MaxIssuers.
type TooManyError struct {
	// Names are the issuers that are accepted now.
	Names []string
	// Ends is the one whose end makes room, RoomAt when that is: "" where too few have
	// an end, as a status may say that was written by hand.
	Ends   string
	RoomAt time.Time
}

// Error says so in the words of OpenShift's kube-apiserver operator, and when there is
// room. It stays the same for as long as the status does.
func (e *TooManyError) Error() string {
	text := fmt.Sprintf("unable to configure more than %d trusted service account issuers at the time, wait until one of them has ended: %s",
		MaxIssuers, strings.Join(e.Names, ", "))
	if e.Ends != "" {
		text += fmt.Sprintf(" (%q ends at %s)", e.Ends, e.RoomAt.UTC().Format(time.RFC3339))
	}
	return text
}

// Next returns the accepted issuers when want is to issue: want first, without an end;
// the one that issued before for as long as overlap; others until the end that they
// have. What has ended is left out. The rules are those of OpenShift's kube-apiserver
// operator. It returns a *TooManyError, and nothing shall change, where that would be
// more than MaxIssuers.
func Next(now *operatorv1.KubeAPIServerStatus, want string, overlap time.Duration, at time.Time) ([]trusted, error) {
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
		return nil, tooMany(now, want, at, len(next)-MaxIssuers)
	}
	return next, nil
}

// tooMany describes why there is no room for want until as many as excess have ended. The
// active issuer has no end while nothing takes its place.
func tooMany(now *operatorv1.KubeAPIServerStatus, want string, at time.Time, excess int) *TooManyError {
	e := &TooManyError{}
	var ending []trusted
	for _, t := range now.ServiceAccountIssuers {
		e.Names = append(e.Names, t.Name)
		if t.Name != want && t.ExpirationTime != nil && t.ExpirationTime.After(at) {
			ending = append(ending, t)
		}
	}
	if len(ending) < excess {
		return e
	}
	slices.Reverse(ending) // of those that end in one second the oldest, which stands last
	slices.SortStableFunc(ending, func(a, b trusted) int { return a.ExpirationTime.Compare(b.ExpirationTime.Time) })
	e.Ends, e.RoomAt = ending[excess-1].Name, ending[excess-1].ExpirationTime.Time
	return e
}
