package review

import "time"

// Observer is told what is noticed while tokens are checked. Its methods are called
// while a request waits: they must return at once and may be called concurrently, for
// the same thing many times a second.
type Observer interface {
	// KeptTokenUsed tells that a token of a Secret is used on a day that its label
	// does not say.
	KeptTokenUsed(KeptUse)
	// StaleTokenUsed tells that a token is used that should have been replaced.
	StaleTokenUsed(StaleUse)
}

// KeptUse is the use of a token that a Secret holds.
type KeptUse struct {
	Namespace, Secret, UID string
	// Day is the date of the use (DateFormat).
	Day string
}

// StaleUse is the use of a token by a client that does not read its file again.
type StaleUse struct {
	Namespace, ServiceAccount string
	Pod, PodUID               string
	Reason                    StaleReason
	// For is how long ago the token should have been replaced.
	For time.Duration
}

// StaleReason says how a token is known to be stale.
type StaleReason string

const (
	// Superseded: the pod's node was given a newer token in its stead.
	Superseded StaleReason = "superseded"
	// WarnAfter: the token is of extended life and past its claim warnafter.
	WarnAfter StaleReason = "warnafter"
)
