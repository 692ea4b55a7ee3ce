package app

import (
	"context"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clocktesting "k8s.io/utils/clock/testing"

	"laterna.dev/laterna/internal/apiserver"
	"laterna.dev/laterna/internal/clock"
)

// everything is logged, so that the log tells who has used which right.
const auditEverything = "apiVersion: audit.k8s.io/v1\nkind: Policy\nomitStages: [RequestReceived]\nrules: [{level: Metadata}]\n"

// world is a server with its controllers, whose wall time runs two hundred times as fast.
type world struct {
	*testing.T
	control *controlPlane
	system  *system
	admin   kubernetes.Interface
	rest    *rest.Config
	log     string
}

// begin starts a system without a node that ends with the test.
func begin(t *testing.T) *world {
	t.Helper()
	dir := open(t)
	config := Default()
	config.DataDir, config.TestClock, config.Node.Enabled, config.Node.Name = dir.Path, true, false, "n"
	config.Tokens.Legacy, config.Tokens.LegacyCleanUpPeriod.Duration = true, 48*time.Hour
	config.Tokens.SigningAlgorithm = "ES256"
	config.Audit.PolicyFile, config.Audit.LogPath = filepath.Join(t.TempDir(), "policy"), filepath.Join(t.TempDir(), "audit.log")
	if err := os.WriteFile(config.Audit.PolicyFile, []byte(auditEverything), 0o600); err != nil {
		t.Fatal(err)
	}
	s := &system{
		config: config, version: apiserver.Version{Program: "0.0.1"}, dir: dir, out: io.Discard,
		log: slog.New(slog.NewTextHandler(t.Output(), nil)), wall: clock.Real(), clock: clock.New(clock.Real()), clockSettled: make(chan struct{}),
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	n, err := s.names(listener)
	if err != nil {
		t.Fatal(err)
	}
	first, await, err := s.store(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if s.identity, err = openIdentity(dir, n, false, s.wall); err != nil {
		t.Fatal(err)
	}
	if err := s.writeKubeconfig("https://" + n.listen.String()); err != nil {
		t.Fatal(err)
	}
	w := &world{T: t, control: newControlPlane(s.controllers()), system: s, log: config.Audit.LogPath}
	w.control.wall = hasten(t)
	s.server = apiserver.New(s.serverConfig(n, listener, await, w.control.ready))
	s.group.Log = s.log
	s.group.Add(append(first, s.server)...)
	s.group.Add(w.control.component(s.server))
	t.Cleanup(func() { s.stop(context.WithoutCancel(t.Context())) })
	if err := s.group.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := s.awaitReady(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.rest, err = clientcmd.BuildConfigFromFlags("", dir.Kubeconfig())
	if err == nil {
		w.rest.QPS = -1
		w.admin, err = kubernetes.NewForConfig(w.rest)
	}
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// hasten returns a clock that runs a second in five milliseconds until the test ends.
func hasten(t *testing.T) clock.Wall {
	fast := clocktesting.NewFakeClock(time.Now())
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		for ticker := time.NewTicker(5 * time.Millisecond); ; {
			select {
			case <-ticker.C:
				fast.Step(time.Second)
			case <-ctx.Done():
				ticker.Stop()
				return
			}
		}
	}()
	t.Cleanup(func() { cancel(); <-done })
	return clock.WallOf(fast)
}

func (w *world) must(err error) {
	w.Helper()
	if err != nil {
		w.Fatal(err)
	}
}

// eventually waits for what a controller does.
func (w *world) eventually(what string, done func() bool) {
	w.Helper()
	for end := time.Now().Add(time.Minute); !done(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			w.Fatalf("not within a minute: %s", what)
		}
	}
}
