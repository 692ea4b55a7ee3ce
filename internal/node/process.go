package node

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"k8s.io/apimachinery/pkg/types"

	"laterna.dev/laterna/internal/host/procfs"
	"laterna.dev/laterna/internal/runtime/cri"
	"laterna.dev/laterna/internal/volumes/freshpath"
)

// holdContainer holds the first process of a running container, which the caller
// closes. Its error is fs.ErrNotExist when the container does not run.
func (a *Agent) holdContainer(ctx context.Context, id string) (*procfs.Held, error) {
	pid, err := a.cri().ContainerPID(ctx, id)
	if errors.Is(err, cri.ErrNotFound) {
		return nil, fmt.Errorf("finding the process of container %s: %w", id, fs.ErrNotExist)
	}
	if err != nil {
		return nil, err
	}
	held, err := procfs.Hold(pid)
	if err != nil {
		return nil, fmt.Errorf("finding the process of container %s: %w", id, err)
	}
	// The runtime may not know yet that the process ended and its number was given to
	// another.
	ok, err := held.InGroup(id)
	if err == nil && !ok {
		err = fmt.Errorf("process %d is not in a control group of the container", pid)
	}
	if err != nil {
		held.Close()
		return nil, fmt.Errorf("finding the process of container %s: %w", id, err)
	}
	return held, nil
}

// newFollower makes what lets subPaths follow updates in running containers.
func (a *Agent) newFollower(volumes freshpath.Volumes) *freshpath.Follower {
	return freshpath.New(freshpath.Config{
		Volumes: volumes, Running: a.runningContainers, Hold: a.holdContainer, Event: a.Event, Log: a.cfg.Log,
	})
}

// runningContainers are the containers of a pod that run, as far as its worker knows.
func (a *Agent) runningContainers(uid types.UID) (running []freshpath.Container) {
	w := a.worker(uid)
	if w == nil {
		return nil
	}
	for _, c := range w.Snapshot().Running() {
		running = append(running, freshpath.Container{ID: c.ID, Name: c.Name})
	}
	return running
}
