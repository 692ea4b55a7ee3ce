package cri

import (
	"context"
	"errors"
	"fmt"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// ErrTimeout is wrapped by errors about a command that did not end in its time.
var ErrTimeout = errors.New("timeout")

// ErrUnavailable is wrapped by errors about a runtime that cannot be reached.
var ErrUnavailable = errors.New("the container runtime cannot be reached")

// ErrTooLong is wrapped by errors about a command that printed more than 1 MiB, so that
// nothing is known of how it ended.
var ErrTooLong = errors.New("the output is too long")

// maxOutput is the size limit of the answer about a command, in bytes. Pods choose what
// is printed: many of them together must not fill the agent's memory.
const maxOutput = 1 << 20

// execSlack is what ExecSync gives the runtime beyond the command's time, to end the
// command and to say so.
const execSlack = 5 * time.Second

// ExecResult is how a command in a container ended.
type ExecResult struct {
	ExitCode       int32
	Stdout, Stderr []byte
}

// ExecSync runs a command in a running container, without a shell, and waits for it at
// most for timeout (whole seconds), after which the runtime kills it. A program that is
// not there is an error of the runtime, not an exit code.
func (c *Client) ExecSync(ctx context.Context, id string, command []string, timeout time.Duration) (ExecResult, error) {
	const op = "running a command in a container"
	bounded, cancel := context.WithTimeout(ctx, timeout+execSlack)
	defer cancel()
	r, err := c.runtime.ExecSync(bounded, &runtimeapi.ExecSyncRequest{
		ContainerId: id, Cmd: command, Timeout: int64(timeout / time.Second),
	}, grpc.MaxCallRecvMsgSize(maxOutput))
	switch status.Code(err) {
	case codes.OK:
		return ExecResult{ExitCode: r.ExitCode, Stdout: r.Stdout, Stderr: r.Stderr}, nil
	case codes.DeadlineExceeded:
		return ExecResult{}, fmt.Errorf("%s: %w", op, ErrTimeout)
	case codes.ResourceExhausted:
		return ExecResult{}, fmt.Errorf("%s: %w", op, ErrTooLong)
	case codes.Unavailable:
		return ExecResult{}, fmt.Errorf("%s: %w", op, ErrUnavailable)
	}
	return ExecResult{}, callError(op, err)
}
