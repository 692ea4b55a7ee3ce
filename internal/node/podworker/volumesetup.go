package podworker

import (
	"context"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
)

// volumeSetup is the publishing of a pod's volumes, which goes on beside the
// worker's steps: it waits for objects that may not exist yet.
type volumeSetup struct {
	stop context.CancelFunc // nil before the first start
	done chan struct{}

	mu  sync.Mutex
	err error
}

// begin begins to publish the pod's volumes, unless that is done or under way. The
// worker is woken at the end.
func (v *volumeSetup) begin(ctx context.Context, k *core, pod *corev1.Pod) {
	if v.stop != nil {
		if published, _ := v.state(); published || !v.ended() {
			return
		}
	}
	k.deps.Projections.Add(pod)
	ctx, v.stop = context.WithCancel(ctx)
	done := make(chan struct{})
	v.done = done
	v.set(nil)
	go func() {
		err := k.deps.Volumes.Setup(ctx, pod)
		if err != nil && ctx.Err() == nil {
			k.log("volumes not set up", "error", err)
		}
		v.set(err)
		close(done)
		k.board.signal()
	}()
}

func (v *volumeSetup) set(err error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.err = err
}

func (v *volumeSetup) ended() bool {
	select {
	case <-v.done:
		return true
	default:
		return false
	}
}

// state says whether the volumes are published, and after which pause a set-up that
// failed is to be tried again.
func (v *volumeSetup) state() (published bool, pause time.Duration) {
	if v.stop == nil || !v.ended() {
		return false, 0
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.err != nil {
		return false, again
	}
	return true, 0
}

// cancel ends a set-up under way and waits for its end.
func (v *volumeSetup) cancel() {
	if v.stop == nil {
		return
	}
	v.stop()
	<-v.done
	v.stop = nil
}
