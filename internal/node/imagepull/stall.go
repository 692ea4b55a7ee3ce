package imagepull

import (
	"context"
	"errors"
	"fmt"
	"time"

	"laterna.dev/laterna/internal/runtime/cri"
	"laterna.dev/laterna/internal/wait"
)

const (
	// stallTimeout is how long a pull waits for an answer, as with upstream's
	// --image-pull-progress-deadline, and slowTimeout how long for the next mebibyte of a
	// blob. stallPoll is how often it is looked.
	stallTimeout = time.Minute
	slowTimeout  = 10 * time.Minute
	stallPoll    = 5 * time.Second
)

// stalled ends a pull that has not moved for so long.
type stalled time.Duration

// Error implements error.
func (s stalled) Error() string { return "nothing came for " + time.Duration(s).String() }

// pullOnce pulls with one login, nil for none, and gives up where nothing comes.
func (p *Puller) pullOnce(ctx context.Context, image string, sandbox *cri.SandboxSpec, login *cri.Login) (ref string, err error) {
	repository, err := repositoryOf(image)
	if err != nil {
		return "", err
	}
	if p.cfg.Progress == nil {
		return p.cfg.Runtime.PullImage(ctx, image, sandbox, login)
	}
	moving, stop := context.WithCancelCause(ctx)
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		p.watch(moving, repository, stop)
	}()
	ref, err = p.cfg.Runtime.PullImage(moving, image, sandbox, login)
	stop(nil)
	<-watched
	var stall stalled
	if err != nil && errors.As(context.Cause(moving), &stall) {
		return "", fmt.Errorf("nothing came from registry %s for %s: it does not answer, or has stopped within its answer; "+
			"see whether this node reaches it", registryOf(image), time.Duration(stall))
	}
	return ref, err
}

// watch ends a pull once nothing has come for too long. Where that cannot be known the
// pull goes on.
func (p *Puller) watch(ctx context.Context, repository string, stop context.CancelCauseFunc) {
	mark, since := "", p.cfg.Clock.Now()
	for wait.Pause(ctx, p.cfg.Clock, stallPoll) {
		now, open, err := p.cfg.Progress(ctx, repository)
		if err != nil || now != mark {
			mark, since = now, p.cfg.Clock.Now()
			continue
		}
		most := stallTimeout
		if open {
			most = slowTimeout
		}
		if p.cfg.Clock.Since(since) >= most {
			p.cfg.Log.Warn("pull given up, nothing comes", "repository", repository, "after", most)
			stop(stalled(most))
			return
		}
	}
}
