package component

import "context"

// Func is a component whose whole work is one function that runs until its context
// ends. Build it with Run.
type Func struct {
	name   string
	run    func(ctx context.Context) error
	cancel context.CancelFunc
	done   chan struct{}
	failed chan error
}

var (
	_ Component = &Func{}
	_ Failer    = &Func{}
)

// Run makes a component of a function. When run returns before Stop, the component
// has failed with run's error.
func Run(name string, run func(ctx context.Context) error) *Func {
	return &Func{name: name, run: run, failed: make(chan error, 1)}
}

// Name implements Component.
func (f *Func) Name() string { return f.name }

// Init implements Component.
func (f *Func) Init(context.Context) error { return nil }

// Start implements Component. The function's context keeps the values of ctx but
// not its end.
func (f *Func) Start(ctx context.Context) error {
	ctx, f.cancel = context.WithCancel(context.WithoutCancel(ctx))
	f.done = make(chan struct{})
	go func() {
		defer close(f.done)
		err := f.run(ctx)
		if ctx.Err() == nil && err != nil {
			f.failed <- err
		}
	}()
	return nil
}

// Stop implements Component.
func (f *Func) Stop(ctx context.Context) error {
	if f.cancel == nil {
		return nil
	}
	f.cancel()
	select {
	case <-f.done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Failed implements Failer.
func (f *Func) Failed() <-chan error { return f.failed }
