package server

import (
	"context"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clocktesting "k8s.io/utils/clock/testing"

	"laterna.dev/laterna/internal/apiserver"
	"laterna.dev/laterna/internal/app/config"
	"laterna.dev/laterna/internal/app/identity"
	"laterna.dev/laterna/internal/clock"
	"laterna.dev/laterna/internal/component"
	"laterna.dev/laterna/internal/controller/manager"
	"laterna.dev/laterna/internal/datadir"
)

// everything is logged, so that the log tells who has used which right.
const auditEverything = "apiVersion: audit.k8s.io/v1\nkind: Policy\nomitStages: [RequestReceived]\nrules: [{level: Metadata}]\n"

// world is a server with its controllers, whose wall time runs two hundred times as fast.
type world struct {
	*testing.T
	controllers *manager.Manager
	identity    *identity.Identity
	admin       kubernetes.Interface
	rest        *rest.Config
	log         string
}

// begin starts a server with its controllers that ends with the test.
func begin(t *testing.T) *world {
	t.Helper()
	dir, err := datadir.Open(filepath.Join(t.TempDir(), "data"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir.RunDir) })
	c := config.Default()
	c.DataDir, c.TestClock, c.Node.Enabled, c.Node.Name = dir.Path, true, false, "n"
	c.Serving.Listen = "127.0.0.1:0"
	c.Network.ServiceClusterIPRange = "10.96.0.0/16"
	c.Tokens.Legacy, c.Tokens.LegacyCleanUpPeriod.Duration = true, 48*time.Hour
	c.Tokens.SigningAlgorithm = "ES256"
	c.Audit.PolicyFile, c.Audit.LogPath = filepath.Join(t.TempDir(), "policy"), filepath.Join(t.TempDir(), "audit.log")
	if err := os.WriteFile(c.Audit.PolicyFile, []byte(auditEverything), 0o600); err != nil {
		t.Fatal(err)
	}
	w := &world{T: t, log: c.Audit.LogPath}
	w.start(c, dir)
	w.rest, err = clientcmd.BuildConfigFromFlags("", dir.Kubeconfig())
	w.must(err)
	w.rest.QPS = -1
	w.admin, err = kubernetes.NewForConfig(w.rest)
	w.must(err)
	return w
}

// start builds the server as up does, but that the controllers' time is hastened, and waits
// until it is ready.
func (w *world) start(c config.Config, dir datadir.Dir) {
	w.Helper()
	log, wall, settled := slog.New(slog.NewTextHandler(w.Output(), nil)), clock.Real(), make(chan struct{})
	system := clock.New(wall)
	group := &component.Group{Log: log}
	w.Cleanup(func() {
		if err := group.Stop(context.WithoutCancel(w.Context())); err != nil {
			w.Error(err)
		}
	})
	listeners, err := Listen(w.Context(), c.Serving.Listen, false)
	w.must(err)
	names, err := identity.NamesOf(listeners[0].Addr(), c.Node, c.Network, dir, log)
	w.must(err)
	store := NewStore(c.Store, dir, wall, log)
	group.Opened("store", store.Stop)
	w.must(store.Open(w.Context()))
	w.identity, err = identity.Open(dir, names, false, wall)
	w.must(err)
	w.must(w.identity.WriteKubeconfig(dir.Kubeconfig(), names.URL()))
	keys, err := Keys(c.Tokens, system, settled, log)
	w.must(err)
	ready := manager.NewReadiness(true)
	api := API(c, dir, Parts{
		Store: store, Keys: keys, Names: names, Identity: w.identity, Listeners: listeners, Ready: ready,
		Stdout: io.Discard, Version: apiserver.Version{Program: "0.0.1"}, Clock: system, Wall: wall, Log: log,
	})
	w.controllers = manager.New(manager.Config{
		As: api.ControllerConfig, Keys: keys, Tokens: ControllerTokens(c.Tokens), CA: w.identity.Authority.PEM(), Sign: w.identity.Authority.Sign, Ready: ready, ClusterDNS: c.Network.DNS(),
		Clock: system, Wall: hasten(w.T), Stored: api.Stored, Settled: func() { close(settled) }, Log: log,
	})
	group.Add(append(store.Components(), api)...)
	group.Add(w.controllers)
	w.must(group.Start(w.Context()))
	w.eventually("the system is ready", func() bool { return group.Ready() == nil })
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
