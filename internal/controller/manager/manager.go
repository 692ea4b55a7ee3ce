// Package manager runs the controllers of a server in its process, each as a user of its own.
//
// It owns which controllers there are, as whom each acts, what each is given, and which of
// them /readyz waits for. What a controller does lives in the package of its name; how the
// server lets them in without a connection is internal/apiserver's.
package manager

import (
	"context"
	"crypto/x509"
	"fmt"
	"log/slog"
	"net/netip"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/component-base/metrics/legacyregistry"

	"laterna.dev/laterna/internal/clock"
	"laterna.dev/laterna/internal/component"
	"laterna.dev/laterna/internal/controller/env"
	"laterna.dev/laterna/internal/controller/scheduler"
	"laterna.dev/laterna/internal/pki"
	"laterna.dev/laterna/internal/tokens/keys"
)

// Config is what the controllers are made of. Every field but ClusterDNS and Settled is required.
type Config struct {
	// As returns the configuration of a client that acts as a user.
	As func(user string) *rest.Config
	// Keys sign tokens.
	Keys   *keys.Ring
	Tokens Tokens
	// CA is the bundle by which clients verify the server.
	CA []byte
	// Sign makes certificates of the system's authority that others ask for.
	Sign func(asked *x509.CertificateRequest, uses pki.Uses, life time.Duration) ([]byte, error)
	// ClusterDNS is the address of the service where pods ask for names; not valid where the
	// range of services has no room for it.
	ClusterDNS netip.Addr
	// Clock is the system's, Wall real time.
	Clock *clock.Clock
	Wall  clock.Wall
	// Stored returns what is closed once the store has an object of a resource.
	Stored func(schema.GroupResource) <-chan struct{}
	// Settled is called once the stored offset of the test clock is applied; nil without a
	// test clock.
	Settled func()
	// Ready is told which controllers can say how far they are.
	Ready *Readiness
	Log   *slog.Logger
}

// Tokens is how service account tokens are issued.
type Tokens struct {
	// Issuer is that of new tokens while operators ask for none, and Overlap how long a
	// former one is accepted.
	Issuer  string
	Overlap time.Duration
	// Legacy makes a Secret with a token for every service account; one that is unused for
	// LegacyCleanUp goes.
	Legacy        bool
	LegacyCleanUp time.Duration
}

// Manager runs controllers. It implements component.Component.
type Manager struct {
	*component.Func
	config Config
	// metrics is what is counted of the controllers.
	metrics *env.Metrics
	// making is held by who makes a controller that has waited.
	making sync.Mutex
}

// New returns controllers that do nothing until Start.
func New(c Config) *Manager {
	m := &Manager{config: c, metrics: env.NewMetrics()}
	m.Func = component.Run("controllers", m.run)
	return m
}

// Ready implements component.Readier.
func (m *Manager) Ready() error { return m.config.Ready.All() }

// sharedInformers is the identity that fills the caches which controllers share. It
// reads what they hold and can do nothing else.
const sharedInformers = "shared-informers"

// Users are whom the controllers act as.
func (m *Manager) Users() []string {
	users := []string{env.ServiceAccount(sharedInformers)}
	for _, b := range m.builders() {
		users = append(users, user(b.name))
	}
	return users
}

// user is whom a controller acts as.
func user(controller string) string {
	if controller == scheduler.Name {
		return scheduler.User
	}
	return env.ServiceAccount(controller)
}

// runner is a controller.
type runner interface{ Run(context.Context) error }

// run runs all controllers until ctx ends or one of them fails.
func (m *Manager) run(ctx context.Context) error {
	for _, counted := range m.metrics.All() {
		// A second system in the same process counts for itself, unseen.
		_ = legacyregistry.Register(counted)
	}
	client, err := kubernetes.NewForConfig(m.config.As(env.ServiceAccount(sharedInformers)))
	if err != nil {
		return fmt.Errorf("making the client of the shared caches: %w", err)
	}
	shared := informers.NewSharedInformerFactory(client, 0)
	first, err := m.prepared(m.first(), shared)
	if err != nil {
		return err
	}
	later, err := m.prepared(m.later(), shared)
	if err != nil {
		return err
	}
	all, err := first()
	if err != nil {
		return err
	}
	all = append(all, &afterReadiness{m.config.Ready.All, m.config.Wall, func() ([]runner, error) {
		all, err := later()
		shared.Start(ctx.Done())
		return all, err
	}})
	shared.Start(ctx.Done())
	return runAll(ctx, all)
}

// prepared gives controllers what they get, and returns what builds them. The shared caches
// that they ask for then are to be started afterwards. Those that have nothing to do yet get
// it, and are built, when they have.
func (m *Manager) prepared(builders []builder, shared informers.SharedInformerFactory) (build func() ([]runner, error), err error) {
	gives := make([]given, len(builders))
	for i, b := range builders {
		if len(worksOn(b.name)) > 0 {
			continue
		}
		if gives[i], err = m.give(b.name, shared); err != nil {
			return nil, err
		}
	}
	return func() (all []runner, err error) {
		for i, b := range builders {
			if on := worksOn(b.name); len(on) > 0 {
				all = append(all, m.await(b, on, shared))
				continue
			}
			r, err := b.build(gives[i])
			if err != nil {
				return nil, err
			}
			all = append(all, r)
		}
		return all, nil
	}, nil
}

// poll is how often it is asked whether controllers are ready that others wait for.
const poll = 25 * time.Millisecond

// afterReadiness are controllers that begin once what /readyz promises of controllers is
// done: filling their caches would only delay it.
type afterReadiness struct {
	ready func() error
	wall  clock.Wall
	begin func() ([]runner, error)
}

// Run waits, and runs the controllers until ctx ends or one of them fails.
func (a *afterReadiness) Run(ctx context.Context) error {
	ticker := a.wall.NewTicker(poll)
	defer ticker.Stop()
	for a.ready() != nil {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C():
		}
	}
	all, err := a.begin()
	if err != nil {
		return err
	}
	return runAll(ctx, all)
}

// runAll runs all until ctx ends or one fails; then it ends the others.
func runAll(ctx context.Context, all []runner) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var wg sync.WaitGroup
	for _, r := range all {
		wg.Go(func() {
			if err := r.Run(ctx); err != nil && ctx.Err() == nil {
				cancel(fmt.Errorf("%T: %w", r, err))
			}
		})
	}
	wg.Wait()
	if cause := context.Cause(ctx); cause != context.Canceled {
		return cause
	}
	return nil
}
