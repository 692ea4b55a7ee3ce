package cri

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// CreateContainer makes a container in a sandbox and returns its ID.
func (c *Client) CreateContainer(ctx context.Context, sandboxID string, spec *ContainerSpec, sandbox *SandboxSpec) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	r, err := c.runtime.CreateContainer(ctx, &runtimeapi.CreateContainerRequest{
		PodSandboxId: sandboxID, Config: containerConfig(spec), SandboxConfig: sandboxConfig(sandbox),
	})
	if err != nil {
		return "", callError("creating container", err)
	}
	return r.ContainerId, nil
}

// StartContainer starts a created container.
func (c *Client) StartContainer(ctx context.Context, id string) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	if _, err := c.runtime.StartContainer(ctx, &runtimeapi.StartContainerRequest{ContainerId: id}); err != nil {
		return callError("starting container", err)
	}
	return nil
}

// UpdateContainer changes the limits of a container; zero values change nothing.
func (c *Client) UpdateContainer(ctx context.Context, id string, r Resources) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	if _, err := c.runtime.UpdateContainerResources(ctx, &runtimeapi.UpdateContainerResourcesRequest{
		ContainerId: id, Linux: resources(r),
	}); err != nil {
		return callError("changing the limits of a container", err)
	}
	return nil
}

// StopContainer sends the stop signal, waits for the grace period (whole seconds)
// and kills. It returns once the container has stopped; ending ctx leaves the
// container to a later call. It may be called again.
func (c *Client) StopContainer(ctx context.Context, id string, grace time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout+grace)
	defer cancel()
	_, err := c.runtime.StopContainer(ctx, &runtimeapi.StopContainerRequest{ContainerId: id, Timeout: int64(grace / time.Second)})
	return ignoreNotFound("stopping container", err)
}

// RemoveContainer kills and removes a container, not its log. It may be called again.
func (c *Client) RemoveContainer(ctx context.Context, id string) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	_, err := c.runtime.RemoveContainer(ctx, &runtimeapi.RemoveContainerRequest{ContainerId: id})
	return ignoreNotFound("removing container", err)
}

// ContainerStatus returns a container with every field but SandboxID, or an error
// that wraps ErrNotFound.
func (c *Client) ContainerStatus(ctx context.Context, id string) (Container, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	r, err := c.runtime.ContainerStatus(ctx, &runtimeapi.ContainerStatusRequest{ContainerId: id})
	if err != nil {
		return Container{}, callError("asking for a container's status", err)
	}
	s := r.GetStatus()
	out := Container{
		ID: s.GetId(), Name: s.GetMetadata().GetName(), Attempt: s.GetMetadata().GetAttempt(),
		Image: s.GetImage().GetImage(), ImageRef: s.GetImageRef(), State: containerState(s.GetState()),
		CreatedAt: stamp(s.GetCreatedAt()), Labels: s.GetLabels(), Annotations: s.GetAnnotations(),
		StartedAt: stamp(s.GetStartedAt()), FinishedAt: stamp(s.GetFinishedAt()), ExitCode: s.GetExitCode(),
		Reason: s.GetReason(), Message: s.GetMessage(), LogPath: s.GetLogPath(), StopSignal: signalName(s.GetStopSignal()),
	}
	for _, m := range s.GetMounts() {
		out.Mounts = append(out.Mounts, Mount{HostPath: m.HostPath, ContainerPath: m.ContainerPath, ReadOnly: m.Readonly})
	}
	return out, nil
}

// ContainerPID returns the number of the container's first process on this machine.
// The runtime tells it in the verbose part of the status, which CRI leaves to
// runtimes; containerd and CRI-O have it. The process may have ended since.
func (c *Client) ContainerPID(ctx context.Context, id string) (int, error) {
	const op = "asking for a container's process"
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	r, err := c.runtime.ContainerStatus(ctx, &runtimeapi.ContainerStatusRequest{ContainerId: id, Verbose: true})
	if err != nil {
		return 0, callError(op, err)
	}
	var info struct {
		PID int `json:"pid"`
	}
	if err := json.Unmarshal([]byte(r.GetInfo()["info"]), &info); err != nil {
		return 0, fmt.Errorf("%s: reading the runtime's answer: %w", op, err)
	}
	if info.PID <= 0 {
		return 0, fmt.Errorf("%s: %w", op, ErrNotFound)
	}
	return info.PID, nil
}

// ListContainers returns the containers that match, in no order.
func (c *Client) ListContainers(ctx context.Context, f Filter) ([]Container, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	filter := &runtimeapi.ContainerFilter{LabelSelector: f.Labels}
	r, err := c.runtime.ListContainers(ctx, &runtimeapi.ListContainersRequest{Filter: filter})
	if err != nil {
		return nil, callError("listing containers", err)
	}
	out := make([]Container, 0, len(r.Containers))
	for _, k := range r.Containers {
		out = append(out, Container{
			ID: k.Id, SandboxID: k.PodSandboxId, Name: k.GetMetadata().GetName(), Attempt: k.GetMetadata().GetAttempt(),
			Image: k.GetImage().GetImage(), ImageRef: k.ImageRef, State: containerState(k.State),
			CreatedAt: stamp(k.CreatedAt), Labels: k.Labels, Annotations: k.Annotations,
		})
	}
	return out, nil
}

// ReopenLog makes the runtime open the container's log file anew, after it was renamed.
func (c *Client) ReopenLog(ctx context.Context, id string) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	if _, err := c.runtime.ReopenContainerLog(ctx, &runtimeapi.ReopenContainerLogRequest{ContainerId: id}); err != nil {
		return callError("reopening container log", err)
	}
	return nil
}

func containerState(s runtimeapi.ContainerState) ContainerState {
	switch s {
	case runtimeapi.ContainerState_CONTAINER_CREATED:
		return ContainerCreated
	case runtimeapi.ContainerState_CONTAINER_RUNNING:
		return ContainerRunning
	case runtimeapi.ContainerState_CONTAINER_EXITED:
		return ContainerExited
	}
	return ContainerUnknown
}

// stamp is a CRI time stamp in nanoseconds; zero means never.
func stamp(ns int64) time.Time {
	if ns == 0 {
		return time.Time{}
	}
	return time.Unix(0, ns)
}

func isNotFound(err error) bool { return errors.Is(err, ErrNotFound) }
