package probe

import (
	"time"

	corev1 "k8s.io/api/core/v1"
)

// Kind is what a probe finds out.
type Kind int

// The kinds, in the order in which a container needs them.
const (
	Startup Kind = iota
	Liveness
	Readiness
	kinds
)

// String is the kind in messages.
func (k Kind) String() string { return [...]string{"Startup", "Liveness", "Readiness"}[k] }

// of is the probe of a kind that a container has, nil when it has none.
func (k Kind) of(c *corev1.Container) *corev1.Probe {
	switch k {
	case Startup:
		return c.StartupProbe
	case Liveness:
		return c.LivenessProbe
	}
	return c.ReadinessProbe
}

// State is what is known of a container that runs.
type State struct {
	// Started says that it has no startup probe, or has passed it.
	Started bool
	// Ready says that it has started, and has no readiness probe or passes it.
	Ready bool
	// Failed is why it must not go on, nil when it may.
	Failed *Failure
}

// Failure is the end of a container's liveness, or of its start.
type Failure struct {
	Kind Kind
	// Grace is how long the container has to end itself, where its probe says so.
	Grace *time.Duration
}

// Unprobed is the state of a container that runs and was not probed yet.
func Unprobed(c *corev1.Container) State {
	started := c.StartupProbe == nil
	return State{Started: started, Ready: started && c.ReadinessProbe == nil}
}

// Result is how one run of a probe ended.
type Result int

// The results. Unknown is a probe that could not be carried out, which changes nothing.
const (
	Success Result = iota
	// Warning is a success that something should be said about.
	Warning
	Failed
	Unknown
)

// Run is one run of a probe.
type Run struct {
	Kind   Kind
	Result Result
	// Output is what the other side said or why it could not be asked, at most maxOutput
	// bytes of valid UTF-8.
	Output string
}

// row counts equal results of one probe.
type row struct {
	failing bool
	length  int32
}

// add counts a result and reports whether there are enough of them to count.
func (r *row) add(spec *corev1.Probe, failed bool) (counts bool) {
	if r.length == 0 || r.failing != failed {
		*r = row{failing: failed}
	}
	threshold := spec.SuccessThreshold
	if failed {
		threshold = spec.FailureThreshold
	}
	r.length = min(r.length+1, max(threshold, 1))
	return r.length >= threshold
}

// apply is the state after a result of a kind that counts, and whether that probe rests
// from now on, until there is another container.
func (s State) apply(k Kind, spec *corev1.Probe, failed, readinessProbed bool) (next State, rests bool) {
	switch {
	case k == Readiness:
		s.Ready = !failed
		return s, false
	case failed:
		f := &Failure{Kind: k}
		if g := spec.TerminationGracePeriodSeconds; g != nil {
			grace := time.Duration(*g) * time.Second
			f.Grace = &grace
		}
		s.Failed = f
		return s, true
	case k == Startup:
		s.Started, s.Ready = true, !readinessProbed
		return s, true
	}
	return s, false
}
