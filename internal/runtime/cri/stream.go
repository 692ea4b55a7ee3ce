package cri

import (
	"context"

	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// Streams says which streams of a process are connected.
type Streams struct {
	Stdin  bool
	Stdout bool
	Stderr bool
	TTY    bool
}

// ExecURL prepares a command in a running container and returns the URL of the
// runtime's streaming server that runs it, good for one connection.
func (c *Client) ExecURL(ctx context.Context, id string, command []string, s Streams) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	r, err := c.runtime.Exec(ctx, &runtimeapi.ExecRequest{
		ContainerId: id, Cmd: command, Tty: s.TTY, Stdin: s.Stdin, Stdout: s.Stdout, Stderr: s.Stderr && !s.TTY,
	})
	if err != nil {
		return "", callError("preparing exec", err)
	}
	return r.Url, nil
}

// AttachURL is ExecURL for the container's main process.
func (c *Client) AttachURL(ctx context.Context, id string, s Streams) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	r, err := c.runtime.Attach(ctx, &runtimeapi.AttachRequest{
		ContainerId: id, Tty: s.TTY, Stdin: s.Stdin, Stdout: s.Stdout, Stderr: s.Stderr && !s.TTY,
	})
	if err != nil {
		return "", callError("preparing attach", err)
	}
	return r.Url, nil
}
