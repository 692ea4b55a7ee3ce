package containerd_test

import (
	"context"
	"testing"
	"time"

	containersapi "github.com/containerd/containerd/api/services/containers/v1"
	"google.golang.org/grpc/metadata"

	"laterna.dev/laterna/internal/runtime/containerd"
	"laterna.dev/laterna/internal/runtime/runtimetest"
)

// TestShimsWithoutARecordAreEnded has one of two sandboxes forgotten, as containerd does
// where the call that makes one is cut off.
func TestShimsWithoutARecordAreEnded(t *testing.T) {
	m := runtimetest.Start(t, runtimetest.Dir(t))
	stray, container := m.Run(t, "stray", true, "sleep", "1000")
	m.Run(t, "kept", true, "sleep", "1000")
	conn, err := containerd.Dial(m.Info.Socket)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	ctx := metadata.AppendToOutgoingContext(t.Context(), "containerd-namespace", containerd.Namespace)
	for _, id := range []string{container, stray} {
		if _, err := containersapi.NewContainersClient(conn).Delete(ctx, &containersapi.DeleteContainerRequest{ID: id}); err != nil {
			t.Fatal(err)
		}
	}
	pods := func() int {
		t.Helper()
		status, err := m.Daemon.Status()
		if err != nil {
			t.Fatal(err)
		}
		return status.Pods
	}
	if n := pods(); n != 2 {
		t.Fatalf("%d shims, not 2", n)
	}
	running, stop := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { defer close(ended); m.Daemon.EndStrays(running) }()
	for end := time.Now().Add(30 * time.Second); pods() != 1; time.Sleep(100 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%d shims run", pods())
		}
	}
	time.Sleep(6 * time.Second) // one more look
	if n := pods(); n != 1 {
		t.Errorf("%d shims are left of one that has a record", n)
	}
	stop()
	<-ended
}
