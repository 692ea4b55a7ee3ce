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

	configv1 "laterna.dev/laterna/api/config/v1"
	operatorv1 "laterna.dev/laterna/api/operator/v1"
	"laterna.dev/laterna/internal/apiserver"
	"laterna.dev/laterna/internal/component"
	"laterna.dev/laterna/internal/controller/clusterroleaggregation"
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

// controlPlane runs the controllers inside the server's process, through a client
// that calls the server without a connection.
type controlPlane struct {
	system *system
	// ready are the parts of /readyz that controllers fulfil.
	ready []apiserver.ReadyCheck

	mu      sync.Mutex
	readier map[string]func() error
}

// newControlPlane returns controllers that do nothing until run.
func newControlPlane(s *system) *controlPlane {
	c := &controlPlane{system: s, readier: map[string]func() error{}}
	names := []string{"default-service-accounts", "kube-root-ca", "service-account-issuer"}
	if s.config.TestClock {
		names = append(names, "test-clock")
	}
	for _, name := range names {
		c.ready = append(c.ready, apiserver.ReadyCheck{Name: name, Check: func() error { return c.check(name) }})
	}
	return c
}

// component returns the controllers as a component of the system.
func (c *controlPlane) component() component.Component {
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

// run runs all controllers until ctx ends or one of them fails.
func (c *controlPlane) run(ctx context.Context) error {
	config := c.system.server.LoopbackConfig()
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return fmt.Errorf("making client: %w", err)
	}
	factory := informers.NewSharedInformerFactory(client, 0)
	all, err := c.controllers(client, config, factory)
	if err != nil {
		return err
	}
	factory.Start(ctx.Done())
	return runAll(ctx, all)
}

func (c *controlPlane) controllers(client kubernetes.Interface, config *rest.Config, factory informers.SharedInformerFactory) ([]runner, error) {
	s := c.system
	meta, err := metadata.NewForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("making metadata client: %w", err)
	}
	logOf := func(controller string) *slog.Logger { return s.log.With("controller", controller) }
	accounts := serviceaccount.New(serviceaccount.Config{Client: client, Informers: factory, Clock: s.wall, Log: logOf("serviceaccount")})
	ca := rootca.New(rootca.Config{Client: client, Informers: factory, Clock: s.wall, Log: logOf("rootca"), Bundle: s.identity.authority.PEM()})
	c.setReady("default-service-accounts", accounts.Ready)
	c.setReady("kube-root-ca", ca.Ready)
	tokens, err := c.tokenIssuer(client, config, factory, logOf("tokenissuer"))
	if err != nil {
		return nil, err
	}
	c.setReady("service-account-issuer", tokens.Ready)
	all := []runner{
		tokens,
		accounts, ca,
		serviceaccounttoken.New(serviceaccounttoken.Config{
			Client: client, Informers: factory, Wall: s.wall, Clock: s.clock, Log: logOf("serviceaccounttoken"),
			Mint: s.server.MintLegacy, CA: s.identity.authority.PEM(),
			Create: s.config.Tokens.Legacy, CleanUpPeriod: s.config.Tokens.LegacyCleanUpPeriod.Duration,
		}),
		namespace.New(namespace.Config{Client: client, Informers: factory, Clock: s.wall, Log: logOf("namespace"), Metadata: meta}),
		scheduler.New(scheduler.Config{Client: client, Informers: factory, Clock: s.wall, Log: logOf("scheduler")}),
		podgc.New(podgc.Config{Client: client, Informers: factory, Clock: s.wall, Log: logOf("podgc")}),
		podprojection.New(podprojection.Config{Client: client, Informers: factory, Clock: s.wall, Log: logOf("podprojection"), Metadata: meta}),
		nodelifecycle.New(nodelifecycle.Config{Client: client, Informers: factory, Clock: s.wall, Log: logOf("nodelifecycle")}),
		clusterroleaggregation.New(clusterroleaggregation.Config{Client: client, Informers: factory, Log: logOf("clusterroleaggregation")}),
	}
	if s.config.TestClock {
		tc := testclock.New(testclock.Config{Client: client, Clock: s.clock, Wall: s.wall, Log: logOf("testclock"), Owner: true, Settled: func() { close(s.clockSettled) }})
		c.setReady("test-clock", tc.Ready)
		all = append(all, tc)
	}
	return all, nil
}

// tokenIssuer makes the controller that carries out changes of the issuer.
func (c *controlPlane) tokenIssuer(client kubernetes.Interface, config *rest.Config, factory informers.SharedInformerFactory, log *slog.Logger) (*tokenissuer.Controller, error) {
	s := c.system
	configAPI, err := ownapi.NewClient(config, configv1.SchemeGroupVersion, configv1.AddToScheme)
	if err != nil {
		return nil, err
	}
	operatorAPI, err := ownapi.NewClient(config, operatorv1.SchemeGroupVersion, operatorv1.AddToScheme)
	if err != nil {
		return nil, err
	}
	return tokenissuer.New(tokenissuer.Config{
		Client: client, Informers: factory, ConfigAPI: configAPI, OperatorAPI: operatorAPI,
		Key: s.server.SigningKey(), Issuer: s.firstIssuer(), Overlap: s.config.Tokens.IssuerOverlap.Duration,
		Clock: s.clock, Wall: s.wall, Log: log,
	}), nil
}

// firstIssuer is the issuer of new tokens while operators ask for none.
func (s *system) firstIssuer() string {
	if len(s.config.Tokens.Issuers) > 0 {
		return s.config.Tokens.Issuers[0]
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
