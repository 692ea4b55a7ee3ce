package resize

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	utilerrors "k8s.io/apimachinery/pkg/util/errors"

	"laterna.dev/laterna/internal/host/cgroups"
	"laterna.dev/laterna/internal/node/events"
	"laterna.dev/laterna/internal/node/lifecycle"
	"laterna.dev/laterna/internal/node/runspec"
	"laterna.dev/laterna/internal/runtime/cri"
)

// tryAgain is the pause after a resize that failed: memory may be given back meanwhile.
const tryAgain = 5 * time.Second

// MakeGroup makes the control group of a pod, before its sandbox.
func (l *Ledger) MakeGroup(pod *corev1.Pod) error {
	limits := runspec.PodLimits(l.View(pod))
	if err := l.cfg.Groups.MakePod(pod.UID, limits); err != nil {
		return err
	}
	l.note(pod.UID, func(r *record) { r.Group = &limits })
	return nil
}

// Starting notes that a container is about to be made with what its spec c says.
func (l *Ledger) Starting(uid types.UID, c *corev1.Container) {
	l.note(uid, func(r *record) {
		r.Actuated = r.Actuated.with(c.Name, corev1.ResourceRequirements{})
		r.Actuated.Containers[c.Name] = *c.Resources.DeepCopy()
	})
}

// Restarting are the containers that an earlier agent was about to replace, their IDs by
// name.
func (l *Ledger) Restarting(uid types.UID) map[string]string {
	l.mu.Lock()
	defer l.mu.Unlock()
	if e := l.pods[uid]; e != nil {
		return e.Restarting
	}
	return nil
}

// note changes the record of a pod.
func (l *Ledger) note(uid types.UID, change func(*record)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if e := l.pods[uid]; e != nil {
		change(&e.record)
		l.keep(uid, e.record)
	}
}

// Apply brings what a pod is allocated to its control group and its running containers.
// It returns the containers that must be restarted for it, after which, and after a pause
// if there is one, it is to be called again. One pod is worked on at one place only.
func (l *Ledger) Apply(ctx context.Context, pod *corev1.Pod, containers []cri.Container) (restart []cri.Container, pause time.Duration) {
	pod = l.View(pod)
	l.mu.Lock()
	e := l.pods[pod.UID]
	if e == nil {
		l.mu.Unlock()
		return nil, 0
	}
	r := e.record
	l.mu.Unlock()

	list := changes(pod, r.Actuated, containers, l.cfg.Memory)
	want, have := runspec.PodLimits(pod), runspec.PodLimits(r.Actuated.in(pod))
	if r.Group != nil {
		have = *r.Group
	}
	waits := r.waits(containers)
	if len(list) == 0 && have == want {
		if waits {
			l.begin(pod)
		} else {
			l.settle(pod, want)
		}
		return nil, 0
	}
	l.begin(pod)
	restart = l.restarting(pod.UID, list)
	w := work{l, ctx, pod, list, have, want}
	err := w.do()
	switch {
	case ctx.Err() != nil:
	case err != nil:
		l.fail(pod, err)
		return restart, tryAgain
	case len(restart) == 0 && !waits:
		l.settle(pod, want)
	}
	return restart, 0
}

// waits reports whether a container that is being replaced was stopped and not started
// again yet.
func (r record) waits(containers []cri.Container) bool {
	for name, id := range r.Restarting {
		if attempts := lifecycle.Attempts(containers, name); len(attempts) > 0 && attempts[0].ID == id && attempts[0].State != cri.ContainerRunning {
			return true
		}
	}
	return false
}

// restarting notes which containers are about to be replaced, and returns them.
func (l *Ledger) restarting(uid types.UID, list []change) (all []cri.Container) {
	ids := map[string]string{}
	for _, c := range list {
		if c.restart {
			all = append(all, c.container)
			ids[c.spec.Name] = c.container.ID
		}
	}
	if len(all) > 0 {
		l.note(uid, func(r *record) { r.Restarting = ids })
	}
	return all
}

// begin notes that a pod does not have what it is allocated.
func (l *Ledger) begin(pod *corev1.Pod) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if e := l.pods[pod.UID]; e != nil && e.progress == nil {
		e.progress = &state{generation: pod.Generation}
	}
}

// settle notes that a pod has what it was allocated when Apply began.
func (l *Ledger) settle(pod *corev1.Pod, group cgroups.Limits) {
	l.mu.Lock()
	defer l.mu.Unlock()
	e := l.pods[pod.UID]
	if e == nil || !of(&pod.Spec).equal(e.Allocated) {
		return
	}
	if e.Group == nil || *e.Group != group || e.progress != nil || len(e.Restarting) > 0 {
		e.Group, e.Actuated.Pod, e.Restarting = &group, e.Allocated.Pod, nil
		l.keep(pod.UID, e.record)
	}
	if e.progress != nil {
		l.event(pod, corev1.EventTypeNormal, events.ResizeCompleted, "completed", e.progress.generation, "")
		e.progress = nil
	}
}

// fail notes why a pod does not get what it is allocated.
func (l *Ledger) fail(pod *corev1.Pod, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	e := l.pods[pod.UID]
	if e == nil || e.progress == nil {
		return
	}
	was := *e.progress
	now := state{corev1.PodReasonError, cri.Message(err), was.generation}
	e.progress = &now
	if was.reason != now.reason {
		l.event(pod, corev1.EventTypeWarning, events.ResizeError, "error", now.generation, now.message)
	}
}

// work is one resize of a pod.
type work struct {
	*Ledger
	ctx        context.Context
	pod        *corev1.Pod
	list       []change
	have, want cgroups.Limits
}

// do changes memory first, then CPU. Of each, what grows grows in the pod's group before
// its containers, and what shrinks shrinks there after them. While a container is still to
// be restarted nothing shrinks in the group: it has the old limits until then.
func (w *work) do() error {
	inPlace := slices.DeleteFunc(slices.Clone(w.list), func(c change) bool { return c.restart })
	shrinks := len(inPlace) == len(w.list)
	if err := w.fits(inPlace, shrinks); err != nil {
		return err
	}
	err := w.inOrder([]limit{{w.have.MemoryBytes, w.want.MemoryBytes, cgroups.Limits{MemoryBytes: w.want.MemoryBytes}}}, shrinks, func() error {
		return w.containers(lowerFirst(inPlace, func(r cri.Resources) int64 { return r.MemoryBytes }), corev1.ResourceMemory, func(r cri.Resources) cri.Resources {
			return cri.Resources{MemoryBytes: r.MemoryBytes}
		})
	})
	if err != nil {
		return err
	}
	// A limit grows before the request, and shrinks after it.
	return w.inOrder([]limit{
		{w.have.CPUQuota, w.want.CPUQuota, cgroups.Limits{CPUPeriod: w.want.CPUPeriod, CPUQuota: w.want.CPUQuota}},
		{w.have.CPUShares, w.want.CPUShares, cgroups.Limits{CPUShares: w.want.CPUShares}},
	}, shrinks, func() error {
		return w.containers(lowerFirst(inPlace, func(r cri.Resources) int64 { return r.CPUQuota }), corev1.ResourceCPU, func(r cri.Resources) cri.Resources {
			return cri.Resources{CPUPeriod: r.CPUPeriod, CPUQuota: r.CPUQuota, CPUShares: r.CPUShares}
		})
	})
}

// limit is one limit of the pod's group, and what sets it.
type limit struct {
	have, want int64
	set        cgroups.Limits
}

func (w *work) inOrder(limits []limit, shrinks bool, containers func() error) error {
	for _, m := range limits {
		if lower(m.want, m.have) {
			if err := w.group(m.set); err != nil {
				return err
			}
		}
	}
	if err := containers(); err != nil {
		return err
	}
	slices.Reverse(limits)
	for _, m := range limits {
		if shrinks && lower(m.have, m.want) {
			if err := w.group(m.set); err != nil {
				return err
			}
		}
	}
	return nil
}

// group changes the pod's group. A pod whose group could not be made has the limits of
// its containers alone.
func (w *work) group(l cgroups.Limits) error {
	if err := w.cfg.Groups.ChangePod(w.pod.UID, l); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("limiting the pod: %w", err)
	}
	return nil
}

// containers changes one resource of containers, and notes it of each. One that has ended
// meanwhile is left alone.
func (w *work) containers(list []change, name corev1.ResourceName, part func(cri.Resources) cri.Resources) error {
	for _, c := range list {
		if part(c.have) != part(c.want) {
			err := w.cfg.Runtime.UpdateContainer(w.ctx, c.container.ID, part(c.want))
			if errors.Is(err, cri.ErrNotFound) {
				continue
			}
			if err != nil {
				return fmt.Errorf("resizing %s of container %s: %w", name, c.spec.Name, err)
			}
		}
		w.note(w.pod.UID, func(r *record) { r.Actuated = r.Actuated.with(c.spec.Name, c.spec.Resources, name) })
	}
	return nil
}

// fits refuses limits of memory that are below what is in use: the kernel would kill for
// them, or refuse them in words that tell nobody why.
func (w *work) fits(inPlace []change, shrinks bool) error {
	var errs []error
	if shrinks && lower(w.have.MemoryBytes, w.want.MemoryBytes) {
		used, err := w.cfg.Groups.MemoryUsed(w.pod.UID, "")
		switch {
		case errors.Is(err, fs.ErrNotExist):
		case err != nil:
			return fmt.Errorf("failed to read memory usage: %w", err)
		case used >= w.want.MemoryBytes:
			errs = append(errs, fmt.Errorf("attempting to set pod memory limit (%d) below current usage (%d)", w.want.MemoryBytes, used))
		}
	}
	for _, c := range inPlace {
		if !lower(c.have.MemoryBytes, c.want.MemoryBytes) {
			continue
		}
		used, err := w.cfg.Groups.MemoryUsed(w.pod.UID, c.container.ID)
		switch {
		case errors.Is(err, fs.ErrNotExist):
		case err != nil:
			return fmt.Errorf("failed to read memory usage: %w", err)
		case used >= c.want.MemoryBytes:
			errs = append(errs, fmt.Errorf("attempting to set container %q memory limit (%d) below current usage (%d)", c.spec.Name, c.want.MemoryBytes, used))
		}
	}
	if len(errs) == 0 {
		return nil
	}
	return fmt.Errorf("cannot decrease memory limits: %w", utilerrors.NewAggregate(errs))
}
