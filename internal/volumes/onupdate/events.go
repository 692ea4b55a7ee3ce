package onupdate

import (
	"fmt"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
)

// Reasons of the Events.
const (
	// ReasonApplied says that an action has succeeded. There are only a few of them in
	// a row, so that they leave room for what is worse.
	ReasonApplied = "UpdateApplied"
	// ReasonFailed says that an action has not.
	ReasonFailed = "UpdateActionFailed"
	// ReasonRejected says that a check held back new files.
	ReasonRejected = "UpdateRejected"
	// ReasonUnchecked says that new files are published without the check that they
	// should have had.
	ReasonUnchecked = "UpdateNotChecked"
	// ReasonInvalid says that the annotation is not honoured.
	ReasonInvalid = "OnUpdateInvalid"
)

// Of the Events about success a container has burst at once, then one every refill.
// Clients drop Events of an object beyond 25 at once and one in five minutes.
const (
	burst  = 5
	refill = 5 * time.Minute
)

// bucket limits Events.
type bucket struct {
	left float64
	last time.Time
}

// take tells whether there may be an Event now.
func (b *bucket) take(now time.Time) bool {
	b.left = min(b.left+float64(now.Sub(b.last))/float64(refill), burst)
	b.last = now
	if b.left < 1 {
		return false
	}
	b.left--
	return true
}

// applied records a success, now and again.
func (r *Runner) applied(st *podState, container, message string) {
	now := r.cfg.Clock.Now()
	st.mu.Lock()
	b := st.limits[container]
	if b == nil {
		b = &bucket{left: burst, last: now}
		st.limits[container] = b
	}
	ok, pod := b.take(now), st.pod
	st.mu.Unlock()
	if ok {
		r.cfg.Event(pod, container, corev1.EventTypeNormal, ReasonApplied, shorten(message))
	}
}

func (r *Runner) warn(st *podState, container, reason, message string) {
	st.mu.Lock()
	pod := st.pod
	st.mu.Unlock()
	r.cfg.Event(pod, container, corev1.EventTypeWarning, reason, shorten(message))
}

// most is how many volumes a message names.
const most = 3

// quoted names volumes in messages.
func quoted(volumes []string) string {
	if len(volumes) == 1 {
		return fmt.Sprintf("volume %q was updated", volumes[0])
	}
	more := ""
	if n := len(volumes) - most; n > 0 {
		volumes, more = volumes[:most], fmt.Sprintf(" and %d more", n)
	}
	return fmt.Sprintf(`volumes "%s"%s were updated`, strings.Join(volumes, `", "`), more)
}
