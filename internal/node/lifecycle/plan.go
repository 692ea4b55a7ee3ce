package lifecycle

import (
	corev1 "k8s.io/api/core/v1"

	"laterna.dev/laterna/internal/runtime/cri"
)

// Plan is what must be done for a pod to be as its spec says.
type Plan struct {
	// Sandbox is the one to use, nil when a new one must be made first.
	Sandbox *cri.Sandbox
	// Replaced says that the pod had a sandbox that cannot be used any more.
	Replaced bool
	// Stop are running containers that must not go on: their spec has changed, they are
	// outside the sandbox, or they are to be replaced.
	Stop []cri.Container
	// Start are the containers to start once those are stopped, in their order: those
	// that wait for another one are not among them.
	Start []Start
	// Reset are, where a container's own rule restarts all containers of the pod, those to
	// be killed and removed before anything is started, in this order. Trigger is the one
	// whose rule it is, the last of them.
	Reset   []cri.Container
	Trigger *Start
	// Over says that no main container runs or is to be started again, or that an init
	// container has failed for good. What else runs is to be ended.
	Over bool
}

// Start is a container to be started.
type Start struct {
	Container
	// Asked says that only a wish to replace it has it started.
	Asked bool
}

// Replace has, by the name of a container, the ID of the one that is to be replaced by
// a new one, whether it would be started again or not.
type Replace map[string]string

// Wants reports whether a container is to be replaced.
func (r Replace) Wants(c *cri.Container) bool {
	id, ok := r[c.Name]
	return ok && id == c.ID
}

// Decide compares a pod's spec with what it has on the runtime. What the runtime has no
// more is taken from the pod's status.
func Decide(pod *corev1.Pod, r *Runtime, replace Replace) Plan {
	d := decision{pod: pod, r: r, replace: replace}
	if s := r.Sandbox(); s != nil {
		if usable(pod, s) {
			d.plan.Sandbox = s
		} else {
			d.plan.Replaced = true
		}
	}
	all := Containers(&pod.Spec)
	if trigger := d.trigger(all); trigger != nil {
		d.reset(all, trigger)
		return d.plan
	}
	d.strays(all)
	starts, runs := d.mains(Only(&pod.Spec, Main))
	if len(starts) == 0 && !runs {
		return Plan{Sandbox: d.plan.Sandbox, Replaced: d.plan.Replaced, Over: true}
	}
	done, failed := d.initialize(Only(&pod.Spec, Init, Sidecar))
	if failed {
		return Plan{Sandbox: d.plan.Sandbox, Replaced: d.plan.Replaced, Over: true}
	}
	if done {
		d.plan.Start = append(d.plan.Start, starts...)
	}
	d.plan.Start = append(d.ephemerals(Only(&pod.Spec, Ephemeral)), d.plan.Start...)
	return d.plan
}

// decision is a plan in the making.
type decision struct {
	pod     *corev1.Pod
	r       *Runtime
	replace Replace
	plan    Plan
}

// here is the newest container of a name if it is in the sandbox in use, else nil.
func (d *decision) here(name string) *cri.Container {
	newest := d.r.Newest(name)
	if newest == nil || d.plan.Sandbox == nil || newest.SandboxID != d.plan.Sandbox.ID {
		return nil
	}
	return newest
}

// strays has everything stopped that runs outside the sandbox in use.
func (d *decision) strays(all []Container) {
	for _, c := range all {
		newest := d.r.Newest(c.Spec.Name)
		if newest != nil && newest.State == cri.ContainerRunning && d.here(c.Spec.Name) == nil {
			d.plan.Stop = append(d.plan.Stop, *newest)
		}
	}
}

// mains tells which main containers are to be started once the pod is initialized, and
// whether one runs on.
func (d *decision) mains(list []Container) (starts []Start, runs bool) {
	for _, c := range list {
		newest := d.r.Newest(c.Spec.Name)
		if newest == nil {
			starts = append(starts, Start{Container: c})
			continue
		}
		asked := d.replace.Wants(newest)
		switch {
		case newest.State != cri.ContainerRunning:
			if restarts := d.again(c, newest); restarts || asked {
				starts = append(starts, Start{Container: c, Asked: !restarts})
			}
		case d.here(c.Spec.Name) == nil: // it is stopped, which is no end of its own
			if RestartsAfter(&d.pod.Spec, c, killed) {
				starts = append(starts, Start{Container: c})
			}
		case !follows(c.Spec, newest) || asked:
			d.plan.Stop = append(d.plan.Stop, *newest)
			starts = append(starts, Start{Container: c, Asked: follows(c.Spec, newest)})
		default:
			runs = true
		}
	}
	return starts, runs
}

// ephemerals tells which ephemeral containers are to be started: those that never were.
func (d *decision) ephemerals(list []Container) (starts []Start) {
	for _, c := range list {
		newest := d.r.Newest(c.Spec.Name)
		reported := Reported(&d.pod.Status, c.Spec.Name)
		switch {
		case newest != nil && newest.State == cri.ContainerCreated,
			newest == nil && (reported == nil || reported.ContainerID == ""):
			starts = append(starts, Start{Container: c})
		}
	}
	return starts
}

// usable reports whether containers can be started in a sandbox.
func usable(pod *corev1.Pod, s *cri.Sandbox) bool {
	return s.State == cri.SandboxReady && (pod.Spec.HostNetwork || len(s.IPs) > 0)
}

// follows reports whether a running container was made from the spec as it is now.
func follows(c *corev1.Container, running *cri.Container) bool {
	hash := running.Annotations[AnnotationHash]
	return hash == "" || hash == Hash(c)
}

// Next returns the number of the container to be made in place of newest: one more
// than the last, of which also the API may know only. A container that was made and
// never started is to be removed, and its number used again. newest is nil when the
// runtime has none, reported when the API has no status of the container.
func Next(newest *cri.Container, reported *corev1.ContainerStatus) (attempt uint32, remove bool) {
	switch {
	case newest == nil && reported != nil && reported.ContainerID != "":
		return uint32(reported.RestartCount) + 1, false
	case newest == nil:
		return 0, false
	case newest.State == cri.ContainerCreated:
		return newest.Attempt, true
	}
	return newest.Attempt + 1, false
}
