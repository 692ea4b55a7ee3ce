package publish

import (
	"errors"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"

	"laterna.dev/laterna/projection"
	"laterna.dev/laterna/projection/atomicdir"
)

// Place is where a volume lies. Its methods are called one at a time.
type Place interface {
	// Open makes the place, or finds it as an earlier process left it, and returns the
	// directory that content is published to, nil for a volume that shows nothing of the
	// API's (emptyDir, hostPath, image). The directory stays the place's. After an error Open is called
	// again later.
	Open(spec *corev1.Pod) (*atomicdir.Dir, error)
	// Gone says what somebody else did to a place that was opened ("unmounted"), ""
	// when it is there.
	Gone() (how string, err error)
	// Empty tells whether nothing is published there any more.
	Empty() bool
	// Written is when the last file of a generation was made, zero when that cannot be
	// seen.
	Written(generation string) time.Time
	// Fit gives the place the bounds that the pod's limits call for. It returns after
	// what time it wants to be called again, 0 for never.
	Fit(spec *corev1.Pod) (again time.Duration)
	// Grow makes room for an update beside what it replaces, until Fit takes it back. It
	// tells whether it did.
	Grow() bool
	// Grown tells whether the place has the room that Grow gives.
	Grown() bool
	// Lost gives up what Open returned: the place is gone, and opened anew later.
	Lost()
	// Close gives up what Open returned; nothing is called afterwards. Files stay.
	Close() error
}

// open opens the place of a volume. The caller holds v.mu.
func (pub *Publisher) open(v *volume) error {
	if v.opened {
		return nil
	}
	if err := errors.Join(supported(v), CheckSegment(v.source.Name)); err != nil {
		return err
	}
	content, err := v.place.Open(v.pod.spec.Load())
	if err != nil {
		return diskError{err}
	}
	v.content, v.opened = content, true
	if content != nil {
		v.setShown(v.found())
	}
	return nil
}

// lost has the next worker open the volume again. The caller holds v.mu.
func (v *volume) lost() {
	v.place.Lost()
	v.content, v.opened, v.trial, v.rejected = nil, false, nil, rejection{}
	v.setShown(shown{})
}

// supported refuses what cannot be made, by the path of the field.
func supported(v *volume) error {
	at := fmt.Sprintf("spec.volumes[%d]", v.index)
	if e := v.source.EmptyDir; e != nil {
		if e.Medium != corev1.StorageMediumDefault && e.Medium != corev1.StorageMediumMemory {
			return fmt.Errorf("%s.emptyDir.medium: %q is not supported, use %q or leave it out", at, e.Medium, corev1.StorageMediumMemory)
		}
		return nil
	}
	if v.source.HostPath != nil || v.source.Image != nil {
		return nil
	}
	if !projection.Projected(v.source) {
		return fmt.Errorf("%s.%s: volumes of this kind are not supported; supported are configMap, downwardAPI, emptyDir, hostPath, image, projected and secret", at, projection.Kind(v.source))
	}
	if v.source.Projected == nil {
		return nil
	}
	for i := range v.source.Projected.Sources {
		if kind := projection.UnsupportedSource(&v.source.Projected.Sources[i]); kind != "" {
			return fmt.Errorf("%s.projected.sources[%d].%s: sources of this kind are not supported; supported are configMap, downwardAPI, secret and serviceAccountToken", at, i, kind)
		}
	}
	return nil
}
