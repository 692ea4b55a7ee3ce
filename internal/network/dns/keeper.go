package dns

import (
	"context"
	"fmt"
	"log/slog"
	"reflect"
	"sync/atomic"
	"time"

	"laterna.dev/laterna/internal/clock"
	"laterna.dev/laterna/internal/wait"
)

// Command is the first argument with which the program is a server; another one says to
// whoever lists processes whose it is.
const Command = "cluster-dns"

const (
	// look is how often it is looked whether a server answers and knows what it should: the
	// machine's resolvers change with the network that it is in, its certificate once in a
	// while.
	look = 5 * time.Second
	// lasting is how long a server has to run to count as one that works.
	lasting = time.Minute
	// lost is how many servers in a row that did not last are too many to be silent about.
	lost = 3
)

// pauses between servers that do not last.
var pauses = wait.Backoff{First: 100 * time.Millisecond, Most: 30 * time.Second}

// Config is what a Keeper needs. All fields are required.
type Config struct {
	// Program is the file of this program: with the argument Command it is a server.
	Program string
	// Of stands in listings of processes as what the server belongs to: a data directory.
	Of      string
	Sockets *Sockets
	// Settings are what a server is to be told now.
	Settings func() (Settings, error)
	// Clock is wall time.
	Clock clock.Wall
	Log   *slog.Logger
}

// Keeper keeps a server running. Its methods may be called concurrently.
type Keeper struct {
	cfg Config
	// pid is that of the server, 0 while none answers.
	pid atomic.Int64
}

// New returns a Keeper that does nothing until Run.
func New(cfg Config) *Keeper { return &Keeper{cfg: cfg} }

// Answering tells whether there is a server that answers.
func (k *Keeper) Answering() bool { return k.pid.Load() != 0 }

// Run keeps a server running until ctx ends, and ends it then. It does not fail: without
// names the rest of a node goes on.
func (k *Keeper) Run(ctx context.Context) error {
	for failed := 0; ctx.Err() == nil; {
		begun := k.cfg.Clock.Now()
		why, err := k.serve(ctx)
		if ctx.Err() != nil {
			return nil
		}
		if why == changed {
			k.cfg.Log.Info("cluster DNS is started again, since what it is told has changed")
			failed = 0
			continue
		}
		if k.cfg.Clock.Now().Sub(begun) >= lasting {
			failed = 0
		}
		failed++
		pause := pauses.After(failed)
		k.cfg.Log.Log(ctx, severity(failed), "cluster DNS has ended, it is started again", "error", err, "in", pause)
		if !wait.Pause(ctx, k.cfg.Clock, pause) {
			return nil
		}
	}
	return nil
}

// severity grows with the servers in a row that have not lasted.
func severity(failed int) slog.Level {
	if failed >= lost {
		return slog.LevelError
	}
	return slog.LevelWarn
}

// reason is why there is no server any more.
type reason int

const (
	ended reason = iota
	changed
)

// serve runs one server until it ends, what it is told changes, or ctx ends.
func (k *Keeper) serve(ctx context.Context) (reason, error) {
	settings, err := k.cfg.Settings()
	if err != nil {
		return ended, err
	}
	p, err := start(k.cfg, settings)
	if err != nil {
		return ended, err
	}
	defer k.pid.Store(0)
	defer p.stop()
	ticker := k.cfg.Clock.NewTicker(look)
	defer ticker.Stop()
	for looks := 0; ; {
		select {
		case <-p.ready:
			p.ready = nil
			k.pid.Store(int64(p.cmd.Process.Pid))
			k.cfg.Log.Debug("cluster DNS answers", "at", k.cfg.Sockets.Addr(), "upstreams", settings.Upstreams)
		case <-ticker.C():
			if now, err := k.cfg.Settings(); err == nil && !reflect.DeepEqual(now, settings) {
				return changed, nil
			}
			if looks++; p.hangs(looks, k.cfg.Clock.Now()) {
				return ended, fmt.Errorf("process %d does not answer", p.cmd.Process.Pid)
			}
		case err := <-p.ended:
			p.ended <- err
			return ended, err
		case <-ctx.Done():
			return ended, nil
		}
	}
}
