package runspec

import (
	"fmt"
	"path/filepath"
	"strconv"

	corev1 "k8s.io/api/core/v1"

	"laterna.dev/laterna/internal/node/env"
	"laterna.dev/laterna/internal/node/hook"
	"laterna.dev/laterna/internal/node/lifecycle"
	"laterna.dev/laterna/internal/runtime/cri"
)

// ContainerOptions is what a container needs beside pod and container.
type ContainerOptions struct {
	Instance string
	Attempt  uint32
	Image    cri.Image
	Env      []env.Var
	Mounts   []cri.Mount
	// MemoryCapacity is the machine's memory in bytes.
	MemoryCapacity int64
	// Target is the ID of the container whose processes this one shares, "" for none.
	Target string
}

// Container returns the specification of container c. The error is one of the
// security context (runAsNonRoot), with upstream's wording, or says that a program
// cannot be given such arguments.
func Container(pod *corev1.Pod, c *corev1.Container, o ContainerOptions) (*cri.ContainerSpec, error) {
	security, err := containerSecurity(pod, c, o.Image)
	if err != nil {
		return nil, err
	}
	if o.Target != "" {
		security.Namespaces.TargetID = o.Target
	}
	labels := podLabels(pod, o.Instance)
	labels[LabelContainerName] = c.Name
	out := &cri.ContainerSpec{
		Name: c.Name, Attempt: o.Attempt, ImageRef: o.Image.ID, UserImage: c.Image,
		WorkingDir: c.WorkingDir, Mounts: o.Mounts, Labels: labels,
		Annotations: containerAnnotations(pod, c, o.Attempt),
		LogPath:     LogPath(c.Name, o.Attempt),
		Stdin:       c.Stdin, StdinOnce: c.StdinOnce, TTY: c.TTY,
		StopSignal: stopSignal(c),
		Resources:  Resources(pod, c, o.MemoryCapacity),
		Security:   security,
	}
	if out.Command, out.Args, err = env.Command(c, o.Env); err != nil {
		return nil, err
	}
	for _, v := range o.Env {
		out.Env = append(out.Env, cri.EnvVar(v))
	}
	return out, nil
}

// stopSignal is what a container wants to be stopped with, "" for its image's.
func stopSignal(c *corev1.Container) string {
	if c.Lifecycle == nil || c.Lifecycle.StopSignal == nil {
		return ""
	}
	return string(*c.Lifecycle.StopSignal)
}

// mostPath is how much of a termination message's path a container is annotated with:
// the runtime lists all containers in one answer, whose size is bounded.
const mostPath = 1 << 10

func containerAnnotations(pod *corev1.Pod, c *corev1.Container, attempt uint32) map[string]string {
	out := map[string]string{
		lifecycle.AnnotationHash:    lifecycle.Hash(c),
		AnnotationRestartCount:      strconv.Itoa(int(attempt)),
		AnnotationTerminationPath:   c.TerminationMessagePath[:min(len(c.TerminationMessagePath), mostPath)],
		AnnotationTerminationPolicy: string(c.TerminationMessagePolicy),
	}
	if g := pod.Spec.TerminationGracePeriodSeconds; g != nil {
		out[lifecycle.AnnotationGracePeriod] = strconv.FormatInt(*g, 10)
	}
	if signal := stopSignal(c); signal != "" {
		out[lifecycle.AnnotationStopSignal] = signal
	}
	if h := hook.Annotation(c); h != "" {
		out[hook.AnnotationPreStop] = h
	}
	return out
}

// maxFileName is how long one segment of a path may be on Linux, in bytes.
const maxFileName = 255

// LogDir is the directory of a pod's logs under the directory of all logs. A name that
// is too long for it is cut off; the uid tells pods apart.
func LogDir(root, namespace, name, uid string) string {
	room := maxFileName - len(namespace) - len(uid) - len("__")
	return filepath.Join(root, namespace+"_"+name[:min(len(name), max(room, 0))]+"_"+uid)
}

// LogPath is a container's log under its pod's log directory.
func LogPath(container string, attempt uint32) string {
	return filepath.Join(container, fmt.Sprintf("%d.log", attempt))
}

// ContainerLog is a container's log, relative to the directory of all logs.
func ContainerLog(pod *corev1.Pod, container string, attempt uint32) string {
	return filepath.Join(LogDir("", pod.Namespace, pod.Name, string(pod.UID)), LogPath(container, attempt))
}
