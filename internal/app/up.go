package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"time"

	baseclock "k8s.io/utils/clock"

	"laterna.dev/laterna/internal/apiserver"
	"laterna.dev/laterna/internal/clock"
	"laterna.dev/laterna/internal/component"
	"laterna.dev/laterna/internal/datadir"
	"laterna.dev/laterna/internal/etcd"
	"laterna.dev/laterna/internal/host/resident"
	"laterna.dev/laterna/internal/log"
	"laterna.dev/laterna/internal/wait"
)

// Output is where a running system writes: Out gets the few lines that scripts
// read, Err the log.
type Output struct{ Out, Err io.Writer }

const (
	// stopTimeout bounds an orderly stop.
	stopTimeout = 15 * time.Second
	// shrinkAfter is how long after readiness the start's last work is done.
	shrinkAfter = 2 * time.Second
)

// Up runs what config says until ctx ends or a component fails. Containers keep
// running when it returns; Down ends them.
func Up(ctx context.Context, config Config, out Output, version apiserver.Version) error {
	standAlone()
	logger := log.New(out.Err, config.Verbosity)
	log.BridgeLibraries(logger, config.Verbosity)
	if config.Node.Enabled {
		if err := checkMachine(config.Node); err != nil {
			return err
		}
	}
	dir, err := datadir.Open(config.DataDir)
	if err != nil {
		return err
	}
	release, err := dir.Lock()
	if err != nil {
		return err
	}
	defer release()
	s := &system{
		config:  config,
		version: version,
		dir:     dir,
		log:     logger,
		out:     out.Out,
		wall:    baseclock.RealClock{},
		clock:   clock.New(baseclock.RealClock{}),
	}
	if config.TestClock {
		s.clockSettled = make(chan struct{})
	}
	defer s.stop(ctx)
	if heap := resident.LimitHeap(os.DirFS("/"), os.Getenv("GOMEMLIMIT")); heap > 0 {
		s.log.Info("the heap stays within the memory of the control group", "bytes", heap)
	}
	if err := s.build(ctx); err != nil {
		if ctx.Err() != nil {
			return nil // asked to stop while the store was read
		}
		return err
	}
	return s.run(ctx, out.Out)
}

// system is a process's components and what they share.
type system struct {
	config  Config
	version apiserver.Version
	dir     datadir.Dir
	log     *slog.Logger
	// out is standard output.
	out  io.Writer
	wall baseclock.RealClock
	// clock is the test clock: wall time until somebody advances it.
	clock *clock.Clock
	// clockSettled is closed once the stored offset is applied; nil without a test
	// clock.
	clockSettled chan struct{}

	// embedded is the store in this process, nil with one elsewhere.
	embedded *etcd.Server
	identity *identity
	server   *apiserver.Server
	group    component.Group
}

// run starts the components, announces readiness and waits for the end.
func (s *system) run(ctx context.Context, out io.Writer) error {
	if err := s.group.Start(ctx); err != nil {
		if ctx.Err() != nil {
			return nil // asked to stop while starting
		}
		return err
	}
	if err := s.awaitReady(ctx); err != nil {
		if ctx.Err() != nil {
			return nil
		}
		return err
	}
	fmt.Fprintf(out, "export KUBECONFIG=%s\n", ShellQuote(s.dir.Kubeconfig()))
	fmt.Fprintf(out, "ready in %d ms\n", sinceExec(s.wall.Now()).Milliseconds())
	go s.shrink(ctx)
	select {
	case <-ctx.Done():
		return nil
	case err := <-s.group.Failed():
		return err
	}
}

// shrink gives back what only the start needed, once the start's last work is done,
// and later what a burst of work has left.
func (s *system) shrink(ctx context.Context) {
	if !wait.Pause(ctx, s.wall, shrinkAfter) {
		return
	}
	if err := resident.Release(); err != nil {
		s.log.Debug("memory of the start stays resident", "error", err)
	}
	resident.GiveBack(ctx, s.wall)
}

func (s *system) stop(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTimeout)
	defer cancel()
	// Every component that does not stop has been logged by the group.
	_ = s.group.Stop(ctx)
	if s.embedded != nil { // opened, but not yet one of the group
		_ = s.embedded.Stop(ctx)
	}
}

// readyPoll is how often a start looks whether the system is ready.
const readyPoll = time.Millisecond

// awaitReady returns when /readyz would answer 200.
func (s *system) awaitReady(ctx context.Context) error {
	ticker := s.wall.NewTicker(readyPoll)
	defer ticker.Stop()
	for {
		err := s.group.Ready()
		if err == nil {
			return nil
		}
		select {
		case <-ticker.C():
		case failed := <-s.group.Failed():
			return failed
		case <-ctx.Done():
			return errors.Join(ctx.Err(), err)
		}
	}
}
