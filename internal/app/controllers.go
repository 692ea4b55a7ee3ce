package app

import (
	"context"
	"fmt"
	"log/slog"
	"sync"

	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/rest"
	"k8s.io/component-base/metrics/legacyregistry"

	configv1 "laterna.dev/laterna/api/config/v1"
	operatorv1 "laterna.dev/laterna/api/operator/v1"
	"laterna.dev/laterna/internal/apiserver"
	"laterna.dev/laterna/internal/clock"
	"laterna.dev/laterna/internal/component"
	"laterna.dev/laterna/internal/controller/clusterroleaggregation"
	"laterna.dev/laterna/internal/controller/env"
	"laterna.dev/laterna/internal/controller/namespace"
	"laterna.dev/laterna/internal/controller/nodelifecycle"
	"laterna.dev/laterna/internal/controller/podgc"
	"laterna.dev/laterna/internal/controller/podprojection"
	"laterna.dev/laterna/internal/controller/rootca"
	"laterna.dev/laterna/internal/controller/scheduler"
	"laterna.dev/laterna/internal/controller/serviceaccount"
	"laterna.dev/laterna/internal/controller/serviceaccounttoken"
	"laterna.dev/laterna/internal/controller/testclock"
	"laterna.dev/laterna/internal/controller/tokenissuer"
	"laterna.dev/laterna/internal/ownapi"
	"laterna.dev/laterna/internal/tokens/issuer"
)

// controllersConfig is what the controllers are made of. Every field but settled is
// required.
type controllersConfig struct {
	tokens TokensConfig
	// ca is the bundle by which clients verify the server.
	ca []byte
	// clock is the system's, and wall real time.
	clock *clock.Clock
	wall  clock.Wall
	// settled is closed once the stored offset of the test clock is applied; nil without a
	// test clock.
	settled chan struct{}
	log     *slog.Logger
}

// controlPlane runs the controllers inside the server's process. Each calls the
// server without a connection, as a user of its own.
type controlPlane struct {
	controllersConfig
	// server is whom they call.
	server *apiserver.Server
	// metrics is what is counted of them.
	metrics *env.Metrics
	// ready are the parts of /readyz that controllers fulfil.
	ready []apiserver.ReadyCheck

	mu      sync.Mutex
	readier map[string]func() error
}

// newControlPlane returns controllers that do nothing until run.
func newControlPlane(cfg controllersConfig) *controlPlane {
	c := &controlPlane{controllersConfig: cfg, metrics: env.NewMetrics(), readier: map[string]func() error{}}
	names := []string{"default-service-accounts", "kube-root-ca", "service-account-issuer"}
	if cfg.settled != nil {
		names = append(names, "test-clock")
	}
	for _, name := range names {
		c.ready = append(c.ready, apiserver.ReadyCheck{Name: name, Check: func() error { return c.check(name) }})
	}
	return c
}

// component returns the controllers of a server as a component of the system.
func (c *controlPlane) component(server *apiserver.Server) component.Component {
	c.server = server
	return readyFunc{component.Run("controllers", c.run), c.checkAll}
}

// readyFunc is a component that is one function and can say whether it is ready.
type readyFunc struct {
	*component.Func
	ready func() error
}

// Ready implements component.Readier.
func (f readyFunc) Ready() error { return f.ready() }

func (c *controlPlane) checkAll() error {
	for _, check := range c.ready {
		if err := check.Check(); err != nil {
			return fmt.Errorf("%s: %w", check.Name, err)
		}
	}
	return nil
}

// check asks the controller that fulfils a part of /readyz.
func (c *controlPlane) check(name string) error {
	c.mu.Lock()
	ready := c.readier[name]
	c.mu.Unlock()
	if ready == nil {
		return fmt.Errorf("the controller has not started")
	}
	return ready()
}

func (c *controlPlane) setReady(name string, ready func() error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.readier[name] = ready
}

// runner is a controller.
type runner interface{ Run(context.Context) error }

// sharedInformers is the identity that fills the caches which controllers share. It
// reads what they hold and can do nothing else.
const sharedInformers = "shared-informers"

// run runs all controllers until ctx ends or one of them fails.
func (c *controlPlane) run(ctx context.Context) error {
	for _, m := range c.metrics.All() {
		// A second system in the same process counts for itself, unseen.
		_ = legacyregistry.Register(m)
	}
	client, err := kubernetes.NewForConfig(c.server.ControllerConfig(env.ServiceAccount(sharedInformers)))
	if err != nil {
		return fmt.Errorf("making the client of the shared caches: %w", err)
	}
	shared := informers.NewSharedInformerFactory(client, 0)
	all, err := c.controllers(shared)
	if err != nil {
		return err
	}
	shared.Start(ctx.Done())
	return runAll(ctx, all)
}

// given is what a controller gets, and the configuration of its client for those that
// need other clients besides.
type given struct {
	env.Env
	rest *rest.Config
}

// give makes what the controller of that name gets, which acts as user.
func (c *controlPlane) give(name, user string, shared informers.SharedInformerFactory) (given, error) {
	config := c.server.ControllerConfig(user)
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return given{}, fmt.Errorf("making the client of %s: %w", name, err)
	}
	e := env.Env{
		Name: name, Client: client, Informers: shared, Wall: c.wall,
		Log: c.log.With("controller", name), Metrics: c.metrics,
	}
	return given{e, config}, nil
}

// metadata returns a client of all kinds, as the same user.
func (g given) metadata() (metadata.Interface, error) {
	client, err := metadata.NewForConfig(g.rest)
	if err != nil {
		return nil, fmt.Errorf("making the metadata client of %s: %w", g.Name, err)
	}
	return client, nil
}

// controllers makes all controllers.
func (c *controlPlane) controllers(shared informers.SharedInformerFactory) ([]runner, error) {
	var all []runner
	for _, b := range c.builders() {
		user := env.ServiceAccount(b.name)
		if b.name == scheduler.Name {
			user = scheduler.User
		}
		g, err := c.give(b.name, user, shared)
		if err != nil {
			return nil, err
		}
		r, err := b.build(g)
		if err != nil {
			return nil, err
		}
		all = append(all, r)
	}
	return all, nil
}

// builder makes the controller of a name.
type builder struct {
	name  string
	build func(given) (runner, error)
}

// builders lists all controllers.
func (c *controlPlane) builders() []builder {
	all := []builder{
		{tokenissuer.Name, c.tokenIssuer},
		{serviceaccount.Name, func(g given) (runner, error) {
			accounts := serviceaccount.New(g.Env)
			c.setReady("default-service-accounts", accounts.Ready)
			return accounts, nil
		}},
		{rootca.Name, func(g given) (runner, error) {
			ca := rootca.New(rootca.Config{Env: g.Env, Bundle: c.ca})
			c.setReady("kube-root-ca", ca.Ready)
			return ca, nil
		}},
		{serviceaccounttoken.Name, func(g given) (runner, error) {
			return serviceaccounttoken.New(serviceaccounttoken.Config{
				Env: g.Env, Clock: c.clock, Mint: c.server.Keys().MintLegacy, CA: c.ca,
				Create: c.tokens.Legacy, CleanUpPeriod: c.tokens.LegacyCleanUpPeriod.Duration,
			}), nil
		}},
		{namespace.Name, func(g given) (runner, error) {
			meta, err := g.metadata()
			return namespace.New(namespace.Config{Env: g.Env, Metadata: meta}), err
		}},
		{podprojection.Name, func(g given) (runner, error) {
			meta, err := g.metadata()
			return podprojection.New(podprojection.Config{Env: g.Env, Metadata: meta}), err
		}},
		{scheduler.Name, func(g given) (runner, error) { return scheduler.New(g.Env), nil }},
		{podgc.Name, func(g given) (runner, error) { return podgc.New(g.Env), nil }},
		{nodelifecycle.Name, func(g given) (runner, error) { return nodelifecycle.New(g.Env), nil }},
		{clusterroleaggregation.Name, func(g given) (runner, error) { return clusterroleaggregation.New(g.Env), nil }},
	}
	if c.settled != nil {
		all = append(all, builder{testclock.Name, func(g given) (runner, error) {
			follower := testclock.New(testclock.Config{
				Client: g.Client, Clock: c.clock, Wall: g.Wall, Log: g.Log, Owner: true, Settled: func() { close(c.settled) },
			})
			c.setReady("test-clock", follower.Ready)
			return follower, nil
		}})
	}
	return all
}

// tokenIssuer makes the controller that carries out changes of the issuer.
func (c *controlPlane) tokenIssuer(g given) (runner, error) {
	configAPI, err := ownapi.NewClient(g.rest, configv1.SchemeGroupVersion, configv1.AddToScheme)
	if err != nil {
		return nil, err
	}
	operatorAPI, err := ownapi.NewClient(g.rest, operatorv1.SchemeGroupVersion, operatorv1.AddToScheme)
	if err != nil {
		return nil, err
	}
	tokens := tokenissuer.New(tokenissuer.Config{
		Env: g.Env, ConfigAPI: configAPI, OperatorAPI: operatorAPI,
		Key: c.server.Keys().SigningKey(), Issuer: c.tokens.firstIssuer(), Overlap: c.tokens.IssuerOverlap.Duration,
		Clock: c.clock,
	})
	c.setReady("service-account-issuer", tokens.Ready)
	return tokens, nil
}

// firstIssuer is the issuer of new tokens while operators ask for none.
func (t TokensConfig) firstIssuer() string {
	if len(t.Issuers) > 0 {
		return t.Issuers[0]
	}
	return issuer.Default
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
