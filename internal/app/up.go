package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"time"

	"laterna.dev/laterna/internal/apiserver"
	"laterna.dev/laterna/internal/clock"
	"laterna.dev/laterna/internal/component"
	"laterna.dev/laterna/internal/datadir"
	"laterna.dev/laterna/internal/etcd"
	"laterna.dev/laterna/internal/host/launch"
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

// Up runs what config says until ctx ends or a component fails, in a process that is for
// this alone. Containers keep running when it returns; Down ends them.
func Up(ctx context.Context, config Config, out Output, version apiserver.Version) error {
	launch.StandAlone()
	logger := log.New(out.Err, config.Verbosity)
	log.BridgeLibraries(logger, config.Verbosity)
	if heap := resident.LimitHeap(os.DirFS("/"), os.Getenv("GOMEMLIMIT")); heap > 0 {
		logger.Info("the heap stays within the memory of the control group", "bytes", heap)
	}
	s := &system{config: config, version: version, log: logger, out: out.Out, wall: clock.Real()}
	return withRoomHint(config.DataDir, s.up(ctx, func(ctx context.Context) {
		fmt.Fprintf(out.Out, "export KUBECONFIG=%s\n", ShellQuote(s.dir.Kubeconfig()))
		fmt.Fprintf(out.Out, "ready in %d ms\n", sinceExec(s.wall.Now()).Milliseconds())
		go s.shrink(ctx)
	}))
}

// Guest says how a system runs beside others in a process that is somebody else's.
type Guest struct {
	// Log gets what the system itself has to say.
	Log *slog.Logger
	// Skew is how far the agent's clock is ahead of the system's; negative when behind.
	Skew time.Duration
	// Ready is called once, when the system is ready.
	Ready func()
}

// UpAsGuest is Up in a process that is not for this system alone: whatever belongs to the
// process is left as it is (umask, group and limits, the limit
// of the heap). Only the warnings and errors of libraries come on its standard error,
// without the chatter that would be there otherwise.
func UpAsGuest(ctx context.Context, config Config, guest Guest) error {
	log.BridgeLibrariesOnce(os.Stderr)
	s := &system{config: config, log: guest.Log, out: io.Discard, wall: clock.Real(), skew: guest.Skew}
	return withRoomHint(config.DataDir, s.up(ctx, func(context.Context) { guest.Ready() }))
}

// up runs the system until ctx ends or a component fails, and calls ready meanwhile.
func (s *system) up(ctx context.Context, ready func(context.Context)) error {
	config := s.config
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
	opened, err := dir.ClosePrivate()
	if err != nil {
		return err
	}
	if len(opened) > 0 {
		s.log.Warn("others could read or change private files, which is mended; if others use this machine, think of what was in them as known: `laterna keys rotate` and `laterna encryption rotate` make new keys", "files", opened)
	}
	s.dir, s.clock = dir, clock.New(s.wall)
	s.agentClock = s.clock
	if s.skew != 0 {
		s.agentClock = clock.New(s.clock) // it moves with the system's
		s.agentClock.SetOffset(s.skew)
	}
	if config.TestClock {
		s.clockSettled = make(chan struct{})
	}
	defer s.stop(ctx)
	if err := s.build(ctx); err != nil {
		if ctx.Err() != nil {
			return nil // asked to stop while the store was read
		}
		return err
	}
	return s.run(ctx, ready)
}

// system is a process's components and what they share.
type system struct {
	config  Config
	version apiserver.Version
	dir     datadir.Dir
	log     *slog.Logger
	// out is standard output.
	out  io.Writer
	wall clock.Wall
	// clock is the test clock: wall time until somebody advances it.
	clock *clock.Clock
	// agentClock is what the agent takes for it, and skew how far that is ahead.
	agentClock *clock.Clock
	skew       time.Duration
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
func (s *system) run(ctx context.Context, ready func(context.Context)) error {
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
	ready(ctx)
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
