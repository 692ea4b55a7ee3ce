package component

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"sync"
)

// Group runs components in stages: those of one stage start concurrently, a stage
// starts when the one before has started. The zero value is an empty group.
type Group struct {
	Log *slog.Logger

	stages  [][]Component
	touched []Component
	opened  []opened
	failed  chan error
}

// opened is what holds something, whether or not a component was started with it.
type opened struct {
	name string
	stop func(context.Context) error
}

// Add appends a stage. It must not be called after Start.
func (g *Group) Add(stage ...Component) { g.stages = append(g.stages, stage) }

// Opened tells of what holds something (a listener, a lock) before Start, which may never
// come to it: Stop calls stop as well, after all components have stopped and the last one
// first. It is called also when a component has ended the same thing already, so it must
// bear that; net.ErrClosed is no error.
func (g *Group) Opened(name string, stop func(context.Context) error) {
	g.opened = append(g.opened, opened{name, stop})
}

// Start takes every stage through Init and Start. On an error the contexts of the stage's
// other components end, and it returns at the end of the stage that failed, with its first
// error; the caller then calls Stop.
func (g *Group) Start(ctx context.Context) error {
	g.failed = make(chan error, 1)
	for _, stage := range g.stages {
		g.touched = append(g.touched, stage...)
		if err := each(ctx, stage, g.start); err != nil {
			return err
		}
	}
	return nil
}

func (g *Group) start(ctx context.Context, c Component) error {
	if err := c.Init(ctx); err != nil {
		return fmt.Errorf("preparing %s: %w", c.Name(), err)
	}
	if err := c.Start(ctx); err != nil {
		return fmt.Errorf("starting %s: %w", c.Name(), err)
	}
	if f, ok := c.(Failer); ok {
		go g.watch(c.Name(), f.Failed())
	}
	return nil
}

// watch forwards the first failure of any component.
func (g *Group) watch(name string, failed <-chan error) {
	err, ok := <-failed
	if !ok || err == nil {
		return
	}
	select {
	case g.failed <- fmt.Errorf("%s: %w", name, err):
	default:
	}
}

// Failed delivers the first failure of a component that had started.
func (g *Group) Failed() <-chan error { return g.failed }

// Stop stops every component that Start had touched, the last first, then what was opened
// for them, and returns all errors.
func (g *Group) Stop(ctx context.Context) error {
	var errs []error
	stop := func(name string, f func(context.Context) error) {
		if err := f(ctx); err != nil && !errors.Is(err, net.ErrClosed) {
			errs = append(errs, fmt.Errorf("stopping %s: %w", name, err))
			g.Log.Warn("component did not stop cleanly", "component", name, "error", err)
		}
	}
	for _, c := range slices.Backward(g.touched) {
		stop(c.Name(), c.Stop)
	}
	for _, o := range slices.Backward(g.opened) {
		stop(o.name, o.stop)
	}
	g.touched, g.opened = nil, nil
	return errors.Join(errs...)
}

// Ready returns what the components that can say so still miss, nil when nothing.
func (g *Group) Ready() error {
	var errs []error
	for _, stage := range g.stages {
		for _, c := range stage {
			if r, ok := c.(Readier); ok {
				if err := r.Ready(); err != nil {
					errs = append(errs, fmt.Errorf("%s: %w", c.Name(), err))
				}
			}
		}
	}
	return errors.Join(errs...)
}

// each calls f for all components at once. When one fails the context of the others ends,
// since they may wait for it, and its error is returned.
func each(ctx context.Context, components []Component, f func(context.Context, Component) error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var wg sync.WaitGroup
	var once sync.Once
	var first error
	for _, c := range components {
		wg.Go(func() {
			if err := f(ctx, c); err != nil {
				once.Do(func() { first = err })
				cancel()
			}
		})
	}
	wg.Wait()
	return first
}
