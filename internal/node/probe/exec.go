package probe

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"

	"laterna.dev/laterna/internal/node/env"
	"laterna.dev/laterna/internal/runtime/cri"
)

// Exec runs commands in containers, see cri.Client.
type Exec interface {
	ExecSync(ctx context.Context, id string, command []string, timeout time.Duration) (cri.ExecResult, error)
}

// maxArgument is how long an argument of a command may become, in bytes.
const maxArgument = 128 << 10

// Command is a command of a handler with the variables replaced that its container has
// as plain values.
func Command(command []string, c *corev1.Container) ([]string, error) {
	values := map[string]string{}
	for _, v := range c.Env {
		if v.ValueFrom == nil {
			values[v.Name] = v.Value
		}
	}
	out := make([]string, 0, len(command))
	for i, s := range command {
		text, err := env.Expand(s, maxArgument, func(name string) (string, bool) { v, ok := values[name]; return v, ok })
		if err != nil {
			return nil, fmt.Errorf("command[%d]: %w", i, err)
		}
		out = append(out, text)
	}
	return out, nil
}

// command runs a command in the container: it is well when the command succeeds.
func (a *asker) command(ctx context.Context, c Container, action *corev1.ExecAction, limit time.Duration) Run {
	command, err := Command(action.Command, c.Spec)
	if err != nil {
		return unknown(err)
	}
	result, err := a.exec.ExecSync(ctx, c.ID, command, limit)
	switch {
	case errors.Is(err, cri.ErrTimeout):
		return failed(fmt.Sprintf("command timed out: %q timed out after %s", strings.Join(command, " "), limit))
	case err != nil:
		return Run{Result: Unknown, Output: cri.Message(err)}
	case result.ExitCode != 0:
		return failed(string(Output(result)))
	}
	return Run{}
}

// Output is the beginning of what a command printed: its output, then its errors.
func Output(r cri.ExecResult) []byte {
	out := append([]byte(nil), r.Stdout[:min(len(r.Stdout), maxOutput)]...)
	return append(out, r.Stderr[:min(len(r.Stderr), maxOutput-len(out))]...)
}
