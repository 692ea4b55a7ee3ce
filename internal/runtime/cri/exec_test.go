package cri

import (
	"context"
	"errors"
	"net"
	"path/filepath"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// execRuntime is a runtime whose commands print and end as a test says.
type execRuntime struct {
	runtimeapi.UnimplementedRuntimeServiceServer
	output int
	err    error
}

func (r execRuntime) ExecSync(context.Context, *runtimeapi.ExecSyncRequest) (*runtimeapi.ExecSyncResponse, error) {
	return &runtimeapi.ExecSyncResponse{ExitCode: 3, Stdout: make([]byte, r.output)}, r.err
}

func TestExecSync(t *testing.T) {
	for name, test := range map[string]struct {
		runtime execRuntime
		want    error
	}{
		"a little":      {execRuntime{output: 10}, nil},
		"just enough":   {execRuntime{output: maxOutput - 64}, nil},
		"too much":      {execRuntime{output: maxOutput + 1}, ErrTooLong},
		"no end":        {execRuntime{err: status.Error(codes.DeadlineExceeded, "timeout 1s exceeded")}, ErrTimeout},
		"being started": {execRuntime{err: status.Error(codes.Unavailable, "not initialized")}, ErrUnavailable},
	} {
		t.Run(name, func(t *testing.T) {
			socket := filepath.Join(t.TempDir(), "s")
			listener, err := net.Listen("unix", socket)
			if err != nil {
				t.Fatal(err)
			}
			server := grpc.NewServer()
			runtimeapi.RegisterRuntimeServiceServer(server, test.runtime)
			go server.Serve(listener)
			defer server.Stop()
			c, err := Dial(socket)
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			got, err := c.ExecSync(t.Context(), "c", []string{"x"}, time.Second)
			if !errors.Is(err, test.want) || test.want == nil && (err != nil || got.ExitCode != 3 || len(got.Stdout) != test.runtime.output) {
				t.Errorf("got exit code %d, %d bytes and %v, want %v", got.ExitCode, len(got.Stdout), err, test.want)
			}
		})
	}
}
