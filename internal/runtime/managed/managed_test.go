package managed_test

import (
	"context"
	"errors"
	"log/slog"
	"testing"

	"laterna.dev/laterna/internal/clock"
	"laterna.dev/laterna/internal/runtime/managed"
)

func TestForeignRuntimeIsThereAlready(t *testing.T) {
	for endpoint, want := range map[string]string{"unix:///run/crio/crio.sock": "/run/crio/crio.sock", "unix:///run//crio/./crio.sock": "/run/crio/crio.sock"} {
		r := managed.Foreign(endpoint)
		if err := errors.Join(r.Init(t.Context()), r.Start(t.Context())); err != nil {
			t.Fatal(err)
		}
		got, err := r.Endpoint(t.Context())
		if err != nil || got != (managed.Endpoint{CRI: want}) {
			t.Errorf("%s: %+v, %v; want %s, and nothing to import images with", endpoint, got, err, want)
		}
		if err := r.Stop(t.Context()); err != nil {
			t.Error(err)
		}
	}
}

// TestEndpointWaitsForTheStart: who asks for a runtime that does not start waits no longer
// than it wants to.
func TestEndpointWaitsForTheStart(t *testing.T) {
	wall := clock.Real()
	r, err := managed.New(managed.Config{Root: t.TempDir(), RunDir: t.TempDir(), HostName: "laterna-test", CNIConfDir: t.TempDir(), Clock: wall, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if got, err := r.Endpoint(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("%+v, %v", got, err)
	}
	if err := r.Stop(t.Context()); err != nil {
		t.Errorf("stopping what was never started: %v", err)
	}
}
