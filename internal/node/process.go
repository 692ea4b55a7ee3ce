package node

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"laterna.dev/laterna/internal/host/procfs"
	"laterna.dev/laterna/internal/runtime/cri"
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
