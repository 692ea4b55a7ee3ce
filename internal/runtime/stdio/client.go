package stdio

import (
	"context"
	"log/slog"
	"os"

	"laterna.dev/laterna/internal/clock"
	"laterna.dev/laterna/internal/runtime/cri"
)

// Config is what a Client needs. All fields but Dir are required.
type Config struct {
	// Dir is where containerd's CRI service keeps the streams of containers
	// (containerd.Info.Streams); empty where the runtime loses nothing.
	Dir string
	// Logs is the directory that all logs are in, and LogRoot its path.
	Logs    *os.Root
	LogRoot string
	Wall    clock.Wall
	Log     *slog.Logger
}

// Client is a CRI client that tells of a container's end once its log is whole. Its
// methods may be called concurrently.
type Client struct {
	*cri.Client
	keeper *keeper
}

// New returns a client that stands before c. It works until ctx ends.
func New(ctx context.Context, c *cri.Client, cfg Config) *Client {
	if cfg.Dir == "" {
		return &Client{Client: c}
	}
	return &Client{Client: c, keeper: newKeeper(ctx, cfg)}
}

// CreateContainer is cri.Client's.
func (c *Client) CreateContainer(ctx context.Context, sandboxID string, spec *cri.ContainerSpec, sandbox *cri.SandboxSpec) (string, error) {
	id, err := c.Client.CreateContainer(ctx, sandboxID, spec, sandbox)
	if err == nil && c.keeper != nil {
		c.keeper.hold(id)
	}
	return id, err
}

// ContainerStatus is cri.Client's. The log of a container that has ended is whole when
// it returns.
func (c *Client) ContainerStatus(ctx context.Context, id string) (cri.Container, error) {
	status, err := c.Client.ContainerStatus(ctx, id)
	switch {
	case err != nil || c.keeper == nil:
	case status.State == cri.ContainerRunning:
		c.keeper.hold(id) // it runs since before this process
	case status.State == cri.ContainerExited:
		c.keeper.ended(id, status.LogPath)
	}
	return status, err
}

// RemoveContainer is cri.Client's.
func (c *Client) RemoveContainer(ctx context.Context, id string) error {
	err := c.Client.RemoveContainer(ctx, id)
	if err == nil && c.keeper != nil {
		c.keeper.drop(id)
	}
	return err
}
