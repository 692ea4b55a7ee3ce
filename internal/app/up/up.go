package up

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"syscall"
	"time"

	"laterna.dev/laterna/internal/apiserver"
	"laterna.dev/laterna/internal/app/agent"
	"laterna.dev/laterna/internal/app/config"
	"laterna.dev/laterna/internal/clock"
	"laterna.dev/laterna/internal/component"
	"laterna.dev/laterna/internal/datadir"
	"laterna.dev/laterna/internal/host/launch"
	"laterna.dev/laterna/internal/host/resident"
	"laterna.dev/laterna/internal/log"
	"laterna.dev/laterna/internal/plain"
	"laterna.dev/laterna/internal/wait"
)

const (
	// StopTimeout bounds an orderly stop.
	StopTimeout = 15 * time.Second
	// shrinkAfter is how long after readiness the start's last work is done.
	shrinkAfter = 2 * time.Second
)

// Run runs what c says until ctx ends or a component fails, in a process that is for
// this alone. Containers keep running when it returns; internal/app/down ends them. stdout
// gets the few lines that scripts read, stderr the log.
func Run(ctx context.Context, c config.Config, stdout, stderr io.Writer, version apiserver.Version) error {
	launch.StandAlone()
	started := resident.Starting(os.Getenv("GOGC"))
	logger := log.New(stderr, c.Verbosity)
	log.BridgeLibraries(logger, c.Verbosity)
	if heap := resident.LimitHeap(os.DirFS("/"), os.Getenv("GOMEMLIMIT")); heap > 0 {
		logger.Info("the heap stays within the memory of the control group", "bytes", heap)
	}
	p := process{version: version, log: logger, stdout: stdout, clocks: newClocks(clock.Real(), 0, c.TestClock), program: ownProgram}
	return run(ctx, c, p, func(ctx context.Context, dir datadir.Dir) {
		fmt.Fprintf(stdout, "export KUBECONFIG=%s\n", plain.ShellWord(dir.Kubeconfig()))
		fmt.Fprintf(stdout, "ready in %d ms\n", sinceExec(p.clocks.wall.Now()).Milliseconds())
		go func() {
			started()
			shrink(ctx, p.clocks.wall, logger)
		}()
	})
}

// ownProgram is the file of the running program, even when another one has taken its place.
const ownProgram = "/proc/self/exe"

// Guest says how a system runs beside others in a process that is somebody else's.
type Guest struct {
	// Log gets what the system itself has to say.
	Log *slog.Logger
	// Skew is how far the agent's clock is ahead of the system's; negative when behind.
	Skew time.Duration
	// Ready is called once, when the system is ready.
	Ready func()
}

// RunAsGuest is Run in a process that is not for this system alone: whatever belongs to the
// process is left as it is (umask, group and limits, the limit
// of the heap). Only the warnings and errors of libraries come on its standard error,
// without the chatter that would be there otherwise.
func RunAsGuest(ctx context.Context, c config.Config, guest Guest) error {
	log.BridgeLibrariesOnce(os.Stderr)
	p := process{log: guest.Log, stdout: io.Discard, clocks: newClocks(clock.Real(), guest.Skew, c.TestClock)}
	return run(ctx, c, p, func(context.Context, datadir.Dir) { guest.Ready() })
}

// process is what a process gives every part of a system.
type process struct {
	version apiserver.Version
	log     *slog.Logger
	stdout  io.Writer
	clocks  clocks
	// program is the file of this program, "" where the process is somebody else's.
	program string
}

// run runs the system until ctx ends or a component fails, and calls ready meanwhile.
func run(ctx context.Context, c config.Config, p process, ready func(context.Context, datadir.Dir)) (err error) {
	defer func() { err = withRoomHint(c.DataDir, err) }()
	if c.Node.Enabled {
		if err := agent.CheckMachine(c.Node); err != nil {
			return err
		}
	}
	dir, release, err := takeOver(ctx, c.DataDir, p.clocks.wall, p.log)
	if err != nil {
		return err
	}
	defer release()
	group := &component.Group{Log: p.log}
	defer stop(ctx, group)
	if err = build(ctx, c, dir, p, group); err == nil {
		err = start(ctx, group, p.clocks.wall)
	}
	if ctx.Err() != nil {
		return nil // asked to stop meanwhile
	}
	if err != nil {
		return err
	}
	ready(ctx, dir)
	select {
	case <-ctx.Done():
		return nil
	case err := <-group.Failed():
		return err
	}
}

// takeOver opens the data directory and makes it this process's until release is called.
func takeOver(ctx context.Context, path string, wall clock.Wall, log *slog.Logger) (dir datadir.Dir, release func(), err error) {
	if dir, err = datadir.Open(path); err != nil {
		return dir, nil, err
	}
	if release, err = lock(ctx, dir, wall); err != nil {
		return dir, nil, err
	}
	if err := useReserve(ctx, dir, log); err != nil {
		release()
		return dir, nil, err
	}
	opened, err := dir.ClosePrivate()
	if err != nil {
		release()
		return dir, nil, err
	}
	if len(opened) > 0 {
		log.Warn("others could read or change private files, which is mended; if others use this machine, think of what was in them as known: `laterna keys rotate` and `laterna encryption rotate` make new keys", "files", opened)
	}
	return dir, release, nil
}

const (
	// leftTimeout is how long a lock is waited for that a dead process has left, and
	// leftPoll how often it is tried.
	leftTimeout = 5 * time.Second
	leftPoll    = 10 * time.Millisecond
)

// lock takes the lock of the directory. Where the process that had it was killed, a child
// of it may hold the lock until it has begun its program: that is waited for.
func lock(ctx context.Context, dir datadir.Dir, wall clock.Wall) (release func(), err error) {
	for end := wall.Now().Add(leftTimeout); ; {
		release, err = dir.Lock()
		if !errors.Is(err, datadir.ErrLocked) || wall.Now().After(end) {
			return release, err
		}
		if pid := dir.Owner(); pid > 0 && !errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) {
			return nil, err
		}
		if !wait.Pause(ctx, wall, leftPoll) {
			return nil, err
		}
	}
}

// shrink gives back what only the start needed, once the start's last work is done,
// and later what a burst of work has left.
func shrink(ctx context.Context, wall clock.Wall, log *slog.Logger) {
	if !wait.Pause(ctx, wall, shrinkAfter) {
		return
	}
	if err := resident.Release(); err != nil {
		log.Debug("memory of the start stays resident", "error", err)
	}
	resident.GiveBack(ctx, wall)
}

func stop(ctx context.Context, group *component.Group) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), StopTimeout)
	defer cancel()
	// Every component that does not stop has been logged by the group.
	_ = group.Stop(ctx)
}

// readyPoll is how often a start looks whether the system is ready.
const readyPoll = time.Millisecond

// start returns when the group runs and /readyz would answer 200.
func start(ctx context.Context, group *component.Group, wall clock.Wall) error {
	if err := group.Start(ctx); err != nil {
		return err
	}
	ticker := wall.NewTicker(readyPoll)
	defer ticker.Stop()
	for {
		err := group.Ready()
		if err == nil {
			return nil
		}
		select {
		case <-ticker.C():
		case failed := <-group.Failed():
			return failed
		case <-ctx.Done():
			return errors.Join(ctx.Err(), err)
		}
	}
}
