package etcd_test

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"laterna.dev/laterna/internal/clock"
	"laterna.dev/laterna/internal/component"
	"laterna.dev/laterna/internal/etcd"
)

var (
	_ component.Component = &etcd.Server{}
	_ component.Readier   = &etcd.Server{}
	_ component.Failer    = &etcd.Server{}
)

// start runs a server on dir until the test ends.
func start(t *testing.T, dir string) (*etcd.Server, etcd.Endpoints) {
	t.Helper()
	run, err := os.MkdirTemp("", "etcd")
	if err != nil {
		t.Fatal(err)
	}
	s := etcd.New(etcd.Config{Dir: dir, SocketDir: run, Wall: clock.Real(), Log: slog.New(slog.NewTextHandler(t.Output(), nil))})
	t.Cleanup(func() {
		if err := errors.Join(s.Stop(context.Background()), os.RemoveAll(run)); err != nil {
			t.Error(err)
		}
	})
	if err := s.Init(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := s.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	e, err := s.Await(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return s, e
}

func TestServerKeepsWhatItAcknowledged(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "etcd")
	for i := range 3 {
		began := time.Now()
		s, e := start(t, dir)
		t.Log("answers after", time.Since(began))
		if err := s.Ready(); err != nil {
			t.Errorf("Ready() = %v", err)
		}
		client, err := e.NewClient(slog.Default())
		if err != nil {
			t.Fatal(err)
		}
		got, err := client.Get(t.Context(), "count")
		if err != nil {
			t.Fatal(err)
		}
		if i > 0 && (len(got.Kvs) != 1 || string(got.Kvs[0].Value) != strconv.Itoa(i-1)) {
			t.Errorf("start %d reads %v", i, got.Kvs)
		}
		if _, err := client.Put(t.Context(), "count", strconv.Itoa(i)); err != nil {
			t.Fatal(err)
		}
		if err := client.Close(); err != nil {
			t.Error(err)
		}
		if err := s.Stop(t.Context()); err != nil {
			t.Error(err)
		}
		if err := s.Ready(); err == nil {
			t.Error("a stopped server is ready")
		}
		select {
		case err := <-s.Failed():
			t.Errorf("Stop reported as failure: %v", err)
		default:
		}
	}
	info, err := os.Stat(dir)
	if err != nil || info.Mode() != fs.ModeDir|0o700 {
		t.Errorf("data directory: %v, %v", info.Mode(), err)
	}
}

// TestStoreThatWasOpenedAndNotStartedIsFreeAgain is of a start that fails after it has
// opened the store, in a process that tries again: new stores, and one with a log.
func TestStoreThatWasOpenedAndNotStartedIsFreeAgain(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "etcd")
	open := func() {
		t.Helper()
		s := etcd.New(etcd.Config{Dir: dir, SocketDir: t.TempDir(), Wall: clock.Real(), Log: slog.New(slog.NewTextHandler(t.Output(), nil))})
		if err := s.Open(t.Context()); err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		if err := s.Stop(t.Context()); err != nil {
			t.Fatal(err)
		}
		t.Log("given up after", time.Since(began))
	}
	open()
	open()
	s, e := start(t, dir)
	client, err := e.NewClient(slog.Default())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := client.Put(t.Context(), "kept", "value"); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(client.Close(), s.Stop(t.Context())); err != nil {
		t.Fatal(err)
	}
	open()
	open()
	_, e = start(t, dir)
	if client, err = e.NewClient(slog.Default()); err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	if got, err := client.Get(t.Context(), "kept"); err != nil || len(got.Kvs) != 1 {
		t.Errorf("a write was lost: %v, %v", got, err)
	}
}

func TestServerReplacesSocketOfAKilledOne(t *testing.T) {
	run := t.TempDir()
	if err := os.WriteFile(filepath.Join(run, "etcd.sock"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	s := etcd.New(etcd.Config{Dir: t.TempDir(), SocketDir: run, Wall: clock.Real(), Log: slog.Default()})
	if err := s.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	defer s.Stop(t.Context())
	if _, err := s.Await(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func TestAwaitEndsWithItsContext(t *testing.T) {
	s := etcd.New(etcd.Config{Wall: clock.Real(), Log: slog.Default()})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.Await(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("Await() = %v", err)
	}
}
