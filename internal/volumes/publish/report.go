package publish

import (
	"errors"
	"fmt"
	"reflect"
	"time"

	corev1 "k8s.io/api/core/v1"

	"laterna.dev/laterna/internal/wait"
	"laterna.dev/laterna/projection"
)

// lastTry bounds the pause between tries after an error of the machine.
const lastTry = 5 * time.Second

// tells are the pauses between events about an error: as Kubernetes',
// pkg/util/goroutinemap/exponentialbackoff.
var tells = wait.Backoff{First: 500 * time.Millisecond, Most: 2*time.Minute + 2*time.Second}

// outcome is what a worker's visit of a volume led to. The zero value is success.
type outcome struct {
	spec *corev1.Pod
	err  error // to be told
	// note says why the volume is not up to date although nothing is wrong.
	note string
	// wait is set when there is no saying yet whether anything is wrong.
	wait      bool
	again     time.Duration // after which to visit the volume again; 0 when it will be marked
	usable    bool          // containers may start with what is there
	published []Publication
}

func (o *outcome) failed(err error) {
	if o.err != nil {
		err = fmt.Errorf("%w; %w", err, o.err)
	}
	o.err = err
}

func (o *outcome) waits(note string) { o.wait, o.note = true, note }

func (o *outcome) later(wait time.Duration) {
	if o.again == 0 || wait < o.again {
		o.again = wait
	}
}

// conclude stores what a visit led to, has v visited again where nothing will mark
// it, and tells an error, now and again while it lasts.
func (pub *Publisher) conclude(v *volume, out *outcome) {
	tell := false
	v.state.Lock()
	switch {
	case out.err != nil:
		tell = pub.failed(v, out)
	case out.wait:
		v.note = out.note
	default:
		v.failure, v.failures, v.note = nil, 0, out.note
		if v.timer != nil {
			v.timer.Stop()
			v.timer = nil
		}
	}
	if out.again > 0 {
		pub.arm(v, out.again)
	}
	v.state.Unlock()
	if tell {
		pub.cfg.Event(out.spec, corev1.EventTypeWarning, "FailedMount", failedMount(v.source.Name, out.err))
		pub.cfg.Log.Warn("a volume is not up to date", "volume", v.source.Name, "uid", v.pod.uid, "pod", out.spec.Name, "namespace", out.spec.Namespace, "error", out.err)
	}
	if out.usable && !v.isReady() {
		close(v.ready)
	}
}

// failed records an error and says whether it is time to tell it. What is missing
// marks the volume by itself when it appears; an error of the machine does not, and
// is tried again. The caller holds v.state.
func (pub *Publisher) failed(v *volume, out *outcome) (tell bool) {
	now := pub.cfg.Clock.Now()
	v.failure, v.note = out.err, ""
	if tell = v.failures == 0 || !now.Before(v.nextTell); tell {
		v.failures++
		v.nextTell = now.Add(tells.After(v.failures))
	}
	out.later(v.nextTell.Sub(now))
	var disk diskError
	if errors.As(out.err, &disk) {
		out.later(lastTry)
	}
	return tell
}

// arm marks v after a pause, in place of an earlier mark that is not due yet. The
// caller holds v.state.
func (pub *Publisher) arm(v *volume, wait time.Duration) {
	if v.timer != nil {
		v.timer.Stop()
	}
	// Own goroutine: a test's clock may call back with its lock held.
	v.timer = pub.cfg.Clock.AfterFunc(wait, func() { go pub.queue.Add(v) })
}

// tell calls Changed when v's status is not the one that was told last. It is called
// by the worker that has v.
func (pub *Publisher) tell(v *volume) {
	if pub.cfg.Changed == nil || !projection.Projected(v.source) {
		return
	}
	if now := v.status(); !reflect.DeepEqual(now, v.told) {
		v.told = now
		pub.cfg.Changed(v.pod.uid)
	}
}

// failedMount is the event's message, in Kubernetes' form.
func failedMount(volume string, err error) string {
	return fmt.Sprintf("MountVolume.SetUp failed for volume %q : %v", volume, err)
}
