package apiserver

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	flowcontrolv1 "k8s.io/api/flowcontrol/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	genericserver "k8s.io/apiserver/pkg/server"
	"k8s.io/apiserver/pkg/server/healthz"

	"laterna.dev/laterna/internal/registry"
	flowcontrol "laterna.dev/laterna/internal/registry/flowcontrol/bootstrap"
	"laterna.dev/laterna/internal/registry/rbac/bootstrap"
	"laterna.dev/laterna/internal/registry/systemobjects"
	"laterna.dev/laterna/internal/wait"
)

// boot keeps which of the steps after the start are done.
type boot struct {
	mu      sync.Mutex
	pending map[string]error // what each unfinished step waits for
	ended   chan struct{}    // closed when the last is done
}

var errRunning = errors.New("running")

// set records what a step waits for and tells whether that is news.
func (b *boot) set(name string, err error) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.pending == nil {
		b.pending = map[string]error{}
	}
	old := b.pending[name]
	b.pending[name] = err
	return old == nil || old.Error() != err.Error()
}

func (b *boot) done(name string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if _, unfinished := b.pending[name]; !unfinished {
		return
	}
	delete(b.pending, name)
	if len(b.pending) == 0 {
		close(b.ended)
	}
}

// check returns what is not done yet, nil when all is.
func (b *boot) check() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	var errs []error
	for name, err := range b.pending {
		errs = append(errs, fmt.Errorf("%s: %w", name, err))
	}
	return errors.Join(errs...)
}

// retryStep is the pause after a step of the boot has failed.
const retryStep = 100 * time.Millisecond

// afterStart runs step when the server serves, again and again until it succeeds;
// /readyz waits for it.
func (s *Server) afterStart(name string, step func(ctx context.Context) error) error {
	s.boot.set(name, errRunning)
	err := s.generic.AddPostStartHook(name, func(ctx genericserver.PostStartHookContext) error {
		began := s.config.Wall.Now()
		for ctx.Err() == nil {
			err := step(ctx)
			if err == nil {
				s.config.Log.Debug("start-up step done", "step", name, "took", s.config.Wall.Since(began))
				s.boot.done(name)
				return nil
			}
			if s.boot.set(name, err) && ctx.Err() == nil {
				s.config.Log.Warn("start-up step failed, trying again", "step", name, "error", err)
			}
			wait.Pause(ctx, s.config.Wall, retryStep)
		}
		return nil // an error would end the process
	})
	if err != nil {
		return fmt.Errorf("adding start-up step: %w", err)
	}
	return nil
}

// addHooks installs what happens after the start and the checks of /readyz.
func (s *Server) addHooks(life context.Context, all *registry.Storages, objects *systemobjects.Keeper) error {
	if err := s.generic.AddHealthChecks(healthz.NamedGroupedCheck("etcd", "etcd", s.backend.check())); err != nil {
		return fmt.Errorf("adding health check: %w", err)
	}
	if s.backend.rules != nil {
		if err := s.generic.AddHealthChecks(s.backend.rules); err != nil {
			return fmt.Errorf("adding health check: %w", err)
		}
	}
	for _, check := range s.config.Serving.ReadyChecks {
		named := healthz.NamedCheck(check.Name, func(*http.Request) error { return check.Check() })
		if err := s.generic.AddReadyzChecks(named); err != nil {
			return fmt.Errorf("adding ready check: %w", err)
		}
	}
	steps := map[string]func(context.Context) error{
		"rbac/bootstrap-roles": bootstrapRoles(all.Group(rbacv1.GroupName), bootstrap.Options{
			PublicDiscovery:  s.config.Tokens.PublicDiscovery,
			Grants:           s.config.Kinds.Grants(),
			ControllersReady: sync.OnceFunc(func() { close(s.rights) }),
		}),
		"system-objects": objects.Keep,
	}
	s.background.Go(func() { objects.Run(life) })
	priorities := flowcontrol.Config{
		Storage: all.Group(flowcontrolv1.GroupName), After: s.boot.ended, Tried: func() { close(s.prioritized) }, Wall: s.config.Wall, Log: s.config.Log,
	}
	s.background.Go(func() { flowcontrol.Run(life, priorities) })
	for name, step := range steps {
		if err := s.afterStart(name, step); err != nil {
			return err
		}
	}
	return nil
}

const (
	// storePause is how long an answer of the store counts for health checks.
	storePause = time.Second
	// storeTimeout is how long a health check waits for the store.
	storeTimeout = 2 * time.Second
)

// check returns a health check that reads from the store, at most once in storePause.
func (b *backend) check() func(*http.Request) error {
	var (
		mu   sync.Mutex
		last time.Time
		err  error
	)
	return func(r *http.Request) error {
		mu.Lock()
		defer mu.Unlock()
		if b.clock.Since(last) < storePause {
			return err
		}
		// The answer is for all who ask meanwhile: one who goes away takes it from nobody.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), storeTimeout)
		defer cancel()
		_, err = b.client.Get(ctx, objectPrefix+"/health")
		last = b.clock.Now()
		return err
	}
}
