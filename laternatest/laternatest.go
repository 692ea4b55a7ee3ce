package laternatest

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"laterna.dev/laterna/boundtoken"
	"laterna.dev/laterna/internal/app/config"
	"laterna.dev/laterna/internal/app/down"
	"laterna.dev/laterna/internal/app/up"
)

const (
	// startTimeout is how long a system may take to become ready. It takes a fraction of a
	// second, but the machine may be busy with other tests.
	startTimeout = 2 * time.Minute
	// removeTimeout is how long a test waits for the removal.
	removeTimeout = time.Minute
)

// Config says what runs. The zero value is a server without a node, which needs no rights.
type Config struct {
	// Node runs an agent with a containerd of its own, so that pods run. It needs root
	// and the programs that `laterna doctor` names.
	Node bool
	// Skew is how far the agent's clock is ahead of the system's, negative when behind:
	// a node whose clock is wrong.
	Skew time.Duration
	// Issuers are those of tokens: the first issues, all are accepted. Without any it is
	// https://kubernetes.default.svc.
	Issuers []boundtoken.Issuer
	// MaxTokenLife limits the life of tokens; zero is no limit, less than an hour is
	// refused.
	MaxTokenLife time.Duration
	// LegacyTokens makes a Secret with a token for every service account, as Kubernetes
	// before 1.24.
	LegacyTokens bool
}

// System is a running system. Its methods may be called concurrently; those that cannot do
// what they say end the test, so they are called from the test's own goroutine.
type System struct {
	t      testing.TB
	dir    string
	node   bool
	log    *slog.Logger
	config *rest.Config
	client kubernetes.Interface
	ended  chan struct{} // closed when the system has ended
	cancel context.CancelFunc
}

// Start runs a system until the end of the test, and returns when it is ready. What it logs
// is the test's output. A system that ends by itself fails the test.
func Start(t testing.TB, c Config) *System {
	t.Helper()
	dir, err := os.MkdirTemp("", "laternatest-")
	if err != nil {
		t.Fatalf("making the data directory of a system: %v", err)
	}
	// Not the test's context, which ends before the cleanup in which the system must.
	ctx, cancel := context.WithCancel(context.Background())
	output := &output{w: t.Output()}
	s := &System{
		t: t, dir: filepath.Join(dir, "data"), node: c.Node, ended: make(chan struct{}), cancel: cancel,
		log: slog.New(slog.NewTextHandler(output, nil)),
	}
	t.Cleanup(func() {
		s.remove()
		if err := os.RemoveAll(dir); err != nil {
			t.Errorf("removing the directory of a system: %v", err)
		}
		output.close()
	})
	ready := make(chan struct{})
	go s.run(ctx, c, ready)
	select {
	case <-ready:
	case <-s.ended:
		t.FailNow() // run has said why
	case <-time.After(startTimeout):
		t.Fatalf("the system is not ready after %s", startTimeout)
	}
	s.connect()
	return s
}

// run runs the system until ctx ends.
func (s *System) run(ctx context.Context, c Config, ready chan<- struct{}) {
	defer close(s.ended)
	settings := c.settings(s.dir)
	err := settings.Validate()
	if err == nil {
		err = up.RunAsGuest(ctx, settings, up.Guest{Log: s.log, Skew: c.Skew, Ready: func() { close(ready) }})
	}
	if err == nil && ctx.Err() == nil {
		err = errors.New("it ended without being asked to")
	}
	if err != nil {
		s.t.Errorf("running the system: %v", err)
	}
}

// settings are the configuration in the program's terms.
func (c Config) settings(dir string) config.Config {
	settings := config.Default()
	settings.DataDir = dir
	settings.TestClock = true
	settings.Serving.Listen = "127.0.0.1:0"
	settings.Node.Enabled = c.Node
	settings.Tokens.MaxExpiration = metav1.Duration{Duration: c.MaxTokenLife}
	settings.Tokens.Legacy = c.LegacyTokens
	for _, i := range c.Issuers {
		settings.Tokens.Issuers = append(settings.Tokens.Issuers, i.String())
	}
	return settings
}

// connect makes the clients.
func (s *System) connect() {
	s.t.Helper()
	var err error
	if s.config, err = clientcmd.BuildConfigFromFlags("", s.Kubeconfig()); err != nil {
		s.t.Fatalf("reading the kubeconfig of the system: %v", err)
	}
	s.config.QPS = -1
	if s.client, err = kubernetes.NewForConfig(s.config); err != nil {
		s.t.Fatalf("making a client of the system: %v", err)
	}
}

// remove ends the system and removes everything that it has made on the machine.
func (s *System) remove() {
	ctx, cancel := context.WithTimeout(context.Background(), removeTimeout)
	defer cancel()
	s.cancel()
	select {
	case <-s.ended:
	case <-ctx.Done():
		s.t.Errorf("the system has not ended after %s; it is in %s", removeTimeout, s.dir)
		return
	}
	if err := down.RunAsGuest(ctx, down.Options{DataDir: s.dir, Purge: true}, s.log); err != nil {
		s.t.Errorf("removing the system: %v; what is left of it goes with `laterna down --purge --data-dir %s`", err, s.dir)
	}
}

// Kubeconfig returns the path of an administrator's kubeconfig, for programs.
func (s *System) Kubeconfig() string { return filepath.Join(s.dir, "kubeconfig") }

// Config returns an administrator's client configuration, without a limit of requests. It
// is the caller's to change.
func (s *System) Config() *rest.Config { return rest.CopyConfig(s.config) }

// Client returns an administrator's client.
func (s *System) Client() kubernetes.Interface { return s.client }
