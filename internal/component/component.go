// Package component is the lifecycle that every long-running part of the program
// follows, and the group that runs several of them.
//
//	          Init            Start           Ready() == nil
//	created ───────▶ initialised ───────▶ started ◀──────────▶ ready
//	                     │                   │  │
//	                     │       Stop        │  │ fails by itself
//	                     └──────▶ stopped ◀──┘  └──▶ failed ──Stop──▶ stopped
//
// Init checks and prepares and starts nothing. Start returns as soon as the work
// is under way. A component that ends by itself reports it through Failed. Stop is
// called once for every component whose Init was called, in reverse order, also
// after a failed Init or Start.
//
// Which components make up a command lives in internal/app/up.
package component

import "context"

// Component is a part of the program with a lifecycle. The methods are called from
// one goroutine.
type Component interface {
	// Name is how logs and errors call the component.
	Name() string
	// Init prepares. It must leave nothing behind that Stop does not undo.
	Init(ctx context.Context) error
	// Start begins the work, which goes on after Start returns. ctx bounds the
	// starting only.
	Start(ctx context.Context) error
	// Stop ends the work and waits for it, at most until ctx ends.
	Stop(ctx context.Context) error
}

// Readier is a component that can say whether it does its job now.
type Readier interface {
	// Ready returns nil when ready, else what is missing. It may be called
	// concurrently, at any time after Init.
	Ready() error
}

// Failer is a component that can end by itself.
type Failer interface {
	// Failed delivers at most one error.
	Failed() <-chan error
}
