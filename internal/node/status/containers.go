package status

import (
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	resourcehelper "k8s.io/component-helpers/resource"

	"laterna.dev/laterna/internal/node/lifecycle"
	"laterna.dev/laterna/internal/runtime/cri"
)

// Reasons of waiting and terminated containers, as upstream writes them.
const (
	ContainerCreating          = "ContainerCreating"
	PodInitializing            = "PodInitializing"
	CrashLoopBackOff           = "CrashLoopBackOff"
	RestartingAllContainers    = "RestartingAllContainers"
	CreateContainerConfigError = "CreateContainerConfigError"
	CreateContainerError       = "CreateContainerError"
	RunContainerError          = "RunContainerError"
	PostStartHookError         = "PostStartHookError"
	ErrImagePull               = "ErrImagePull"
	ImagePullBackOff           = "ImagePullBackOff"
	ErrImageNeverPull          = "ErrImageNeverPull"
	ImageInspectError          = "ImageInspectError"
	InvalidImageName           = "InvalidImageName"
	ContainerStatusUnknown     = "ContainerStatusUnknown"
)

// containerStatuses has one status a container: those of init containers in the spec's
// order, the others by name.
func containerStatuses(in Input) (inits, mains, ephemerals []corev1.ContainerStatus) {
	share := messageShare(in.Pod)
	for _, c := range lifecycle.Containers(&in.Pod.Spec) {
		s := containerStatus(in, c)
		limitMessage(&s.State, share)
		limitMessage(&s.LastTerminationState, share)
		switch c.Role {
		case lifecycle.Main:
			mains = append(mains, s)
		case lifecycle.Ephemeral:
			ephemerals = append(ephemerals, s)
		default:
			inits = append(inits, s)
		}
	}
	for _, list := range [][]corev1.ContainerStatus{mains, ephemerals} {
		slices.SortStableFunc(list, func(a, b corev1.ContainerStatus) int { return strings.Compare(a.Name, b.Name) })
	}
	initialized := mainStarted(&corev1.PodStatus{ContainerStatuses: mains})
	for i, c := range lifecycle.Only(&in.Pod.Spec, lifecycle.Init, lifecycle.Sidecar) {
		if c.Role == lifecycle.Init && initialized {
			vanished(&inits[i])
		}
	}
	return inits, mains, ephemerals
}

// vanished gives an init container, of which nothing is known though the pod is
// initialized, the end that it must have had.
func vanished(s *corev1.ContainerStatus) {
	if s.State.Waiting == nil || s.ContainerID != "" {
		return
	}
	s.State = corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{
		Reason:  "Completed",
		Message: "Unable to get init container status from container runtime and pod has been initialized, treat it as exited normally",
	}}
	s.Ready = true
}

func containerStatus(in Input, k lifecycle.Container) corev1.ContainerStatus {
	c, old := k.Spec, lifecycle.Reported(&in.Pod.Status, k.Spec.Name)
	attempts := lifecycle.Attempts(in.Containers, c.Name)
	// One that was made and never started is not told of: if it is made again, it is no
	// restart.
	made := len(attempts) > 0 && attempts[0].State == cri.ContainerCreated
	if made {
		attempts = attempts[1:]
	}
	if len(attempts) == 0 {
		return withoutContainer(in, k, old)
	}
	newest := attempts[0]
	out := corev1.ContainerStatus{
		Name: c.Name, Image: newest.Image, ImageID: newest.ImageRef, ContainerID: ContainerID(in.Runtime, newest.ID),
		RestartCount: int32(newest.Attempt), VolumeMounts: volumeMounts(c),
	}
	out.State = state(in, newest, old)
	resources(in, &out, k)
	out.StopSignal = stopSignal(newest)
	if len(attempts) > 1 && (attempts[1].State == cri.ContainerExited || attempts[1].State == cri.ContainerUnknown) {
		out.LastTerminationState.Terminated = terminated(in, attempts[1], old)
	} else if old != nil {
		out.LastTerminationState = keptLastState(in, old, out.ContainerID)
	}
	w, waits := in.Waiting[c.Name]
	if made && !waits {
		w, waits = Waiting{Reason: ContainerCreating}, true
	}
	if waits && out.State.Running == nil {
		if out.State.Terminated != nil {
			out.LastTerminationState = out.State
		}
		out.State = corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: w.Reason, Message: w.Message}}
	}
	readiness(in, k, &newest, &out)
	return out
}

// readiness fills in whether a container is started and ready: an init container is
// ready when it has succeeded, and nobody waits for an ephemeral one.
func readiness(in Input, k lifecycle.Container, newest *cri.Container, out *corev1.ContainerStatus) {
	known := lifecycle.Runtime{Probed: in.Probed}
	started := out.State.Running != nil && known.Started(newest)
	switch k.Role {
	case lifecycle.Ephemeral:
		return
	case lifecycle.Init:
		out.Ready = out.State.Terminated != nil && out.State.Terminated.ExitCode == 0
	default:
		out.Ready = started && known.Ready(newest)
	}
	out.Started = &started
}

// stopSignal is what a container is stopped with: what its pod wants, else what the
// runtime says; nil where it does not say.
func stopSignal(c cri.Container) *corev1.Signal {
	signal := corev1.Signal(c.Annotations[lifecycle.AnnotationStopSignal])
	if signal == "" {
		signal = corev1.Signal(c.StopSignal)
	}
	if signal == "" {
		return nil
	}
	return &signal
}

// resources fills in what a container is allocated, and what it has: the same unless it
// runs and is still to be resized. Ephemeral ones have nothing of their own.
func resources(in Input, out *corev1.ContainerStatus, k lifecycle.Container) {
	if k.Role == lifecycle.Ephemeral {
		return
	}
	out.Resources, out.AllocatedResources = &k.Spec.Resources, k.Spec.Resources.Requests
	if actual, ok := in.Actual[k.Spec.Name]; ok && out.State.Running != nil {
		out.Resources = &actual
	}
}

// podResources fills in what a pod with resources of its own as a whole is allocated, and
// what it has: with those of its containers where it names none.
func podResources(in Input, out *corev1.PodStatus) {
	whole := in.Pod.Spec.Resources
	if whole == nil || len(whole.Requests)+len(whole.Limits) == 0 {
		return
	}
	options := resourcehelper.PodResourcesOptions{ExcludeOverhead: true}
	out.AllocatedResources = resourcehelper.PodRequests(in.Pod, options)
	has := *in.Pod
	if in.ActualPod != nil {
		has.Spec.Resources = in.ActualPod
	}
	out.Resources = &corev1.ResourceRequirements{Requests: resourcehelper.PodRequests(&has, options), Limits: has.Spec.Resources.Limits}
}

// withoutContainer is the status of a container that the runtime does not have: not
// made yet, or made in a life of the machine that is over.
func withoutContainer(in Input, k lifecycle.Container, old *corev1.ContainerStatus) corev1.ContainerStatus {
	c := k.Spec
	out := corev1.ContainerStatus{Name: c.Name, Image: c.Image, VolumeMounts: volumeMounts(c)}
	if k.Role != lifecycle.Ephemeral {
		out.Started = new(bool)
	}
	resources(in, &out, k)
	waiting := corev1.ContainerStateWaiting{Reason: ContainerCreating}
	if len(in.Pod.Spec.InitContainers) > 0 && k.Role != lifecycle.Ephemeral {
		waiting.Reason = PodInitializing
	}
	if w, ok := in.Waiting[c.Name]; ok {
		waiting = corev1.ContainerStateWaiting{Reason: w.Reason, Message: w.Message}
	}
	out.State.Waiting = &waiting
	if old == nil || old.ContainerID == "" {
		return out
	}
	out.RestartCount, out.ImageID, out.Image = old.RestartCount, old.ImageID, old.Image
	out.ContainerID, out.LastTerminationState = old.ContainerID, old.LastTerminationState
	if lifecycle.Restarting(&in.Pod.Status) && k.Role != lifecycle.Ephemeral {
		removed(&out)
		return out
	}
	lost := lostState(in, old)
	// What has ended and is not started again stays as it was told.
	kept := k.Role == lifecycle.Init && old.State.Terminated != nil || k.Role == lifecycle.Ephemeral
	if in.Terminal || finished(in.Pod.Status.Phase) || kept {
		if lost.Terminated != nil {
			out.State = lost
			out.Ready = k.Role == lifecycle.Init && lost.Terminated.ExitCode == 0
		}
		return out
	}
	if lost.Terminated != nil {
		out.LastTerminationState = lost
	}
	return out
}

// removed is how a container is that was removed since all of the pod are started again.
func removed(s *corev1.ContainerStatus) {
	const message = "The container is removed because RestartAllContainers in place"
	s.State = corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: RestartingAllContainers, Message: message}}
	s.LastTerminationState = corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{
		Reason: RestartingAllContainers, Message: message, ExitCode: 137,
	}}
}

// lostState is the state of a container that the runtime lost: nobody knows how one
// that ran has ended, nor when, only that it was noticed now.
func lostState(in Input, old *corev1.ContainerStatus) corev1.ContainerState {
	if old.State.Running == nil {
		return old.State
	}
	return corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{
		ExitCode: 137, Reason: ContainerStatusUnknown, ContainerID: old.ContainerID,
		StartedAt: old.State.Running.StartedAt, FinishedAt: in.Now,
		Message: "The container could not be located when the pod was deleted.  The container used to be Running",
	}}
}

func state(in Input, c cri.Container, old *corev1.ContainerStatus) corev1.ContainerState {
	switch c.State {
	case cri.ContainerRunning:
		if in.Probed[c.ID].Hook {
			return corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: ContainerCreating}}
		}
		return corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: stamp(c.StartedAt)}}
	case cri.ContainerExited, cri.ContainerUnknown:
		return corev1.ContainerState{Terminated: terminated(in, c, old)}
	}
	return corev1.ContainerState{}
}

// terminated describes a dead container. What was reported once stays as it was
// reported, since the file of the termination message may be gone.
func terminated(in Input, c cri.Container, old *corev1.ContainerStatus) *corev1.ContainerStateTerminated {
	id := ContainerID(in.Runtime, c.ID)
	if old != nil {
		for _, s := range []corev1.ContainerState{old.State, old.LastTerminationState} {
			if s.Terminated != nil && s.Terminated.ContainerID == id {
				return s.Terminated
			}
		}
	}
	out := &corev1.ContainerStateTerminated{
		ExitCode: c.ExitCode, Reason: c.Reason, Message: c.Message,
		StartedAt: stamp(c.StartedAt), FinishedAt: stamp(c.FinishedAt), ContainerID: id,
	}
	if out.StartedAt.IsZero() { // it never started: upstream writes the epoch
		out.StartedAt = metav1.Unix(0, 0)
	}
	if out.FinishedAt.IsZero() { // the runtime was killed before it could note it
		out.FinishedAt = in.Now
	}
	if out.Reason == "" {
		out.Reason = "Completed"
		if c.ExitCode != 0 {
			out.Reason = "Error"
		}
	}
	return out
}

// keptLastState is the last state that the API has, when the runtime no longer has
// that container.
func keptLastState(in Input, old *corev1.ContainerStatus, current string) corev1.ContainerState {
	last := old.LastTerminationState
	if old.ContainerID != current {
		if lost := lostState(in, old); lost.Terminated != nil {
			last = lost
		}
	}
	if last.Terminated != nil && last.Terminated.ContainerID == current {
		return corev1.ContainerState{}
	}
	return last
}

func volumeMounts(c *corev1.Container) []corev1.VolumeMountStatus {
	var out []corev1.VolumeMountStatus
	for _, m := range c.VolumeMounts {
		s := corev1.VolumeMountStatus{Name: m.Name, MountPath: m.MountPath, ReadOnly: m.ReadOnly}
		if m.ReadOnly {
			disabled := corev1.RecursiveReadOnlyDisabled
			s.RecursiveReadOnly = &disabled
		}
		out = append(out, s)
	}
	return out
}

// ContainerID is a container of a runtime as statuses name it.
func ContainerID(runtime, id string) string { return runtime + "://" + id }

// stamp is in whole seconds, as the API stores it, so that a status read back
// compares equal. A missing time stays missing.
func stamp(t time.Time) metav1.Time {
	if t.IsZero() {
		return metav1.Time{}
	}
	return metav1.NewTime(t.Truncate(time.Second))
}
