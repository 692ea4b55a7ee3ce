package manager

import (
	"errors"
	"fmt"
	"slices"
	"sync"
)

// Readiness is what /readyz promises of controllers. It is made before them, since the
// server that answers /readyz starts first. Its methods may be called concurrently.
type Readiness struct {
	names []string

	mu  sync.Mutex
	ask map[string]func() error // of the controllers that run
}

// The parts of /readyz that controllers fulfil.
const (
	defaultAccounts = "default-service-accounts"
	rootBundle      = "kube-root-ca"
	tokenIssuers    = "service-account-issuer"
	storedOffset    = "test-clock"
)

// NewReadiness returns the readiness of controllers that have not started; that of a system
// with a test clock promises its stored offset, too.
func NewReadiness(testClock bool) *Readiness {
	r := &Readiness{names: []string{defaultAccounts, rootBundle, tokenIssuers}, ask: map[string]func() error{}}
	if testClock {
		r.names = append(r.names, storedOffset)
	}
	return r
}

// Names are the parts of /readyz that controllers fulfil.
func (r *Readiness) Names() []string { return slices.Clone(r.names) }

var errNotStarted = errors.New("the controller has not started")

// Check asks the controller that fulfils a part.
func (r *Readiness) Check(name string) error {
	r.mu.Lock()
	ask := r.ask[name]
	r.mu.Unlock()
	if ask == nil {
		return errNotStarted
	}
	return ask()
}

// All returns the first thing that is missing, nil when nothing is.
func (r *Readiness) All() error {
	for _, name := range r.names {
		if err := r.Check(name); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return nil
}

func (r *Readiness) set(name string, ask func() error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.ask[name] = ask
}
