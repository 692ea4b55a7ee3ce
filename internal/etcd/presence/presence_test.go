package presence_test

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"laterna.dev/laterna/internal/clock"
	"laterna.dev/laterna/internal/etcd"
	"laterna.dev/laterna/internal/etcd/presence"
)

// store runs a store until the test ends, and returns a client of it.
func store(t *testing.T) *clientv3.Client {
	t.Helper()
	sockets, err := os.MkdirTemp("", "etcd")
	if err != nil {
		t.Fatal(err)
	}
	log := slog.New(slog.DiscardHandler)
	s := etcd.New(etcd.Config{Dir: filepath.Join(t.TempDir(), "etcd"), SocketDir: sockets, Wall: clock.Real(), Log: log})
	t.Cleanup(func() {
		if err := errors.Join(s.Stop(context.Background()), os.RemoveAll(sockets)); err != nil {
			t.Error(err)
		}
	})
	if err := errors.Join(s.Init(t.Context()), s.Start(t.Context())); err != nil {
		t.Fatal(err)
	}
	at, err := s.Await(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	client, err := at.NewClient(log)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close() })
	return client
}

func put(t *testing.T, client *clientv3.Client, key string) int64 {
	t.Helper()
	done, err := client.Put(t.Context(), key, "value")
	if err != nil {
		t.Fatal(err)
	}
	return done.Header.Revision
}

func seen(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// await waits until c is closed.
func await(t *testing.T, c <-chan struct{}, what string) {
	t.Helper()
	select {
	case <-c:
	case <-time.After(20 * time.Second):
		t.Fatalf("%s is not seen", what)
	}
}

func TestFirstKeyBelowAPrefixIsSeen(t *testing.T) {
	client := store(t)
	p := presence.New("/kept/", "/new/", "/never/")
	put(t, client, "/kept/one")
	put(t, client, "/newer/one") // of another kind
	revision, err := p.Look(t.Context(), client)
	if err != nil {
		t.Fatal(err)
	}
	for prefix, want := range map[string]bool{"/kept/": true, "/new/": false, "/never/": false, "/foreign/": true} {
		if got := seen(p.First(prefix)); got != want {
			t.Errorf("%s: %t", prefix, got)
		}
	}
	put(t, client, "/new/one") // before anything is followed
	ctx, end := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { p.Run(ctx, client, revision, clock.Real()); close(done) }()
	await(t, p.First("/new/"), "what was written before")
	if _, err := client.Delete(t.Context(), "/never/one"); err != nil {
		t.Fatal(err)
	}
	if seen(p.First("/never/")) {
		t.Error("a prefix without keys has one")
	}
	end()
	await(t, done, "the end")
}

func TestPrefixesAreFollowedAfterACompaction(t *testing.T) {
	client := store(t)
	p := presence.New("/a/", "/b/")
	revision, err := p.Look(t.Context(), client)
	if err != nil {
		t.Fatal(err)
	}
	put(t, client, "/a/one")
	if _, err := client.Compact(t.Context(), put(t, client, "/other")); err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() { p.Run(t.Context(), client, revision, clock.Real()); close(done) }()
	await(t, p.First("/a/"), "what was compacted")
	put(t, client, "/b/one")
	await(t, p.First("/b/"), "what came afterwards")
	await(t, done, "the end, with nothing left to follow")
}
