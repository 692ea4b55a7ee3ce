package apiserver

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"runtime/debug"
	"strings"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/apiserver/pkg/endpoints/request"
	genericserver "k8s.io/apiserver/pkg/server"
	"k8s.io/apiserver/pkg/server/filters"
	"k8s.io/client-go/rest"

	"laterna.dev/laterna/internal/apiserver/answers"
	"laterna.dev/laterna/internal/apiserver/awsapis"
	"laterna.dev/laterna/internal/apiserver/documents"
	"laterna.dev/laterna/internal/apiserver/fairness"
	"laterna.dev/laterna/internal/apiserver/paths"
	"laterna.dev/laterna/internal/encryption"
	"laterna.dev/laterna/internal/encryption/atrest"
	"laterna.dev/laterna/internal/etcd"
	"laterna.dev/laterna/internal/etcd/presence"
	"laterna.dev/laterna/internal/registry"
	"laterna.dev/laterna/internal/registry/apiextensions"
	"laterna.dev/laterna/internal/registry/apiregistration/apiservice"
	"laterna.dev/laterna/internal/registry/bounds"
	"laterna.dev/laterna/internal/registry/precheck"
	"laterna.dev/laterna/internal/registry/quantity"
	"laterna.dev/laterna/internal/registry/resource"
	"laterna.dev/laterna/internal/registry/scheme"
	"laterna.dev/laterna/internal/tokens"
	"laterna.dev/laterna/internal/wait"
)

// Server is the API server. It implements component.Component: Start returns when
// the server answers; Ready tells when it has made everything that /readyz
// promises.
type Server struct {
	config   Config
	loopback *loopback
	// inner is the loopback of authorization and admission, which read objects
	// before anybody is served.
	inner *loopback
	// rights is closed once the roles of the process's controllers are stored.
	rights chan struct{}
	// prioritized is closed once the flow schemas and priority levels are stored.
	prioritized chan struct{}

	failed chan error
	stop   sync.Once
	// background is the work from Start to end.
	background sync.WaitGroup
	end        context.CancelFunc

	// presence tells with what to begin.
	presence *presence.Presence
	backend  *backend
	stores   []string // where the store listens on a network
	keeper   *encryption.Keeper
	access   *access
	fairness *fairness.Fairness
	tokens   *tokens.Tokens
	aws      *awsapis.APIs
	generic  *genericserver.GenericAPIServer
	custom   *apiextensions.Server
	versions *apiservice.Book // served, be it of custom resources
	readings *answers.Readings
	front    *front
	boot     boot
}

// New returns a server that has not started.
func New(c Config) *Server {
	return &Server{
		config:      c,
		loopback:    newLoopback(),
		inner:       newLoopback(),
		rights:      make(chan struct{}),
		prioritized: make(chan struct{}),
		failed:      make(chan error, 1),
		presence:    newPresence(c.Kinds),
		versions:    apiservice.NewBook(c.Wall),
		readings:    answers.NewReadings(fromProcess, c.Wall),
		boot:        boot{ended: make(chan struct{})},
	}
}

// Name implements component.Component.
func (s *Server) Name() string { return "apiserver" }

// Init implements component.Component.
func (s *Server) Init(context.Context) error { return nil }

// LoopbackConfig returns a client configuration that talks to the server from
// inside the process, as system:apiserver with all rights. Requests made before
// the server serves wait for it. It may be called at any time; the caller owns the
// result.
func (s *Server) LoopbackConfig() *rest.Config { return s.loopback.config(process, nil) }

// ControllerConfig returns a client configuration that talks to the server from
// inside the process as the named user, a service account
// (system:serviceaccount:<namespace>:<name>) or a part of the system
// (system:kube-scheduler), with the rights of the roles that are bound to it. Requests
// wait until the server serves and the default roles of controllers are stored. It may
// be called at any time; the caller owns the result.
func (s *Server) ControllerConfig(user string) *rest.Config {
	return s.loopback.config(controllerUser(user), s.rights)
}

// Start implements component.Component.
func (s *Server) Start(ctx context.Context) error {
	life, end := context.WithCancel(context.WithoutCancel(ctx))
	s.end = end
	sch, err := s.config.Kinds.Scheme()
	if err != nil {
		return err
	}
	if err := s.openStore(ctx, life, sch); err != nil {
		return err
	}
	if err := s.build(life, sch); err != nil {
		return err
	}
	s.generic.PrepareRun()
	if err := s.warmUp(ctx, life); err != nil {
		return err
	}
	serving := s.config.Serving
	serving.GetCertificate = chooseCertificate(serving, s.tokens.Issuers.Hosts, new(awsapis.Hosts))
	s.front = newFront(life, serving, s.generic.Handler, s.config.Log, s.config.Wall, s.fail)
	for _, l := range s.config.Serving.Listeners {
		if err := s.front.serve(l); err != nil {
			return err
		}
	}
	s.loopback.serve(s.generic.Handler)
	s.generic.RunPostStartHooks(life)
	return nil
}

// warmUp lets the server's own decisions read what they are made from before
// anybody else is served: those who come too early are sent away for a second.
func (s *Server) warmUp(ctx, life context.Context) error {
	if err := (reading{s.backend, &s.config}).until(ctx, s.backend.awaitCaches); err != nil {
		return err
	}
	if err := s.tokens.Load(ctx); err != nil {
		return err
	}
	s.background.Go(func() { s.tokens.Run(life) })
	s.background.Go(func() { s.keeper.Run(life) })
	s.background.Go(func() { s.readings.Run(life) })
	s.inner.serve(s.generic.Handler)
	s.background.Go(func() { s.access.run(life) })
	if err := s.access.await(ctx); err != nil {
		return err
	}
	// Who asks for a custom resource must not be told that there is none.
	if err := s.custom.BeginStored(ctx); err != nil {
		return err
	}
	s.background.Go(func() { s.custom.Run(life) })
	return nil
}

// openStore waits for the store and connects to it. life bounds what the
// connection does in the background.
func (s *Server) openStore(ctx, life context.Context, sch *scheme.Scheme) error {
	box, err := atrest.Open(s.config.Store.EncryptionKeyFile)
	if err != nil {
		return err
	}
	if box.Created() {
		s.config.Keys.Prepare()
	}
	endpoints, err := s.config.Store.Await(ctx)
	if err != nil {
		return err
	}
	s.stores = endpoints.Hosts()
	client, err := endpoints.NewClient(s.config.Log)
	if err != nil {
		return err
	}
	rules, err := s.encryptionRules(life)
	if err != nil {
		return errors.Join(err, client.Close())
	}
	if s.backend, err = newBackend(life, client, sch, box, rules, s.config.Kinds, s.config.Wall); err != nil {
		return errors.Join(err, client.Close())
	}
	sealed := etcd.NewSealed(client, signingKeysPath, box)
	if err := s.awaitStore(ctx, sealed, endpoints.URLs); err != nil {
		return err
	}
	if err := s.keepEncryption(ctx, client, box); err != nil {
		return err
	}
	revision, err := s.presence.Look(ctx, client)
	if err != nil {
		return err
	}
	s.background.Go(func() { s.presence.Run(life, client, revision, s.config.Wall) })
	s.background.Go(func() {
		if err := s.config.Keys.Run(life, sealed); err != nil {
			s.fail(err)
		}
	})
	return nil
}

// storePatience is how long the store may take to answer before somebody is told.
const storePatience = 5 * time.Second

// awaitStore waits until the store answers and checks that its values can be read.
// A cluster elsewhere may come up later than the server.
func (s *Server) awaitStore(ctx context.Context, sealed *etcd.Sealed, urls []string) error {
	for {
		try, cancel := context.WithTimeout(ctx, storePatience)
		_, _, err := sealed.Load(try)
		cancel()
		switch {
		case err == nil:
			return nil
		case errors.Is(err, etcd.ErrForeign):
			return fmt.Errorf("the encryption keys in %s do not fit the store, put back the file that belongs to it: %w", s.config.Store.EncryptionKeyFile, err)
		case ctx.Err() != nil:
			return fmt.Errorf("waiting for the store at %s: %w", strings.Join(urls, ", "), context.Cause(ctx))
		}
		s.config.Log.Warn("the store does not answer, trying again", "servers", urls, "error", err)
		wait.Pause(ctx, s.config.Wall, time.Second)
	}
}

// fail reports the first error that ends the server.
func (s *Server) fail(err error) {
	select {
	case s.failed <- err:
	default:
	}
}

// build makes the library's server and installs everything it serves. life bounds
// what it does in the background.
func (s *Server) build(life context.Context, sch *scheme.Scheme) error {
	env := resource.Env{Scheme: sch.Scheme, Getter: s.backend}
	var err error
	checks := bodyChecks(sch)
	if s.access, err = newAccess(s.inner, s.config, checks, s.Stored); err != nil {
		return err
	}
	all, err := s.buildStorages(env)
	if err != nil {
		return err
	}
	if s.aws, err = s.buildAWS(all); err != nil {
		return err
	}
	s.fairness = fairness.New(fairness.Config{Client: s.access.client, Begin: s.prioritized, Sit: answers.Sit, GiveWay: s.readings.GiveWay, Wall: s.config.Wall})
	c := s.libraryConfig(sch, checks)
	c.FlowControl, c.StorageObjectCountTracker = s.fairness, s.backend.counts
	// Audiences change with the issuers: the authenticator knows those of now.
	c.Authentication.APIAudiences = nil
	c.Authentication.Authenticator = authenticate(s.config.Serving.ClientCAs, bearer(s.tokens.Check), s.config.Wall)
	c.Authorization.Authorizer = s.access.all
	c.AdmissionControl = s.access.admission.Plugins
	if err := s.config.Audit.Apply(c, s.config.Kinds.Confidential()); err != nil {
		return err
	}
	s.generic, err = c.Complete(nil).New("laterna", genericserver.NewEmptyDelegate())
	if err != nil {
		return fmt.Errorf("building server: %w", err)
	}
	if err := s.serveKinds(c, sch, all); err != nil {
		return err
	}
	if err := serveMetrics(s.generic, append(s.tokens.Check.Metrics(), s.access.admission.Metrics...)); err != nil {
		return err
	}
	mount(s.generic.Handler.NonGoRestfulMux, s.routes())
	objects, err := s.systemObjects(all, env)
	if err != nil {
		return err
	}
	return s.addHooks(life, all, objects)
}

// serveKinds serves the kinds of all group-versions, and the documents about them.
func (s *Server) serveKinds(c *genericserver.Config, sch *scheme.Scheme, all *registry.Storages) error {
	docs := documents.New(s.config.Version.Info().GitVersion, sch)
	types, err := docs.FieldTypes(sch, all)
	if err != nil {
		return err
	}
	own := make([]schema.GroupVersion, len(all.Groups))
	for i, g := range all.Groups {
		own[i] = g.Version
	}
	s.generic.DiscoveryGroupManager = s.versions.Follow(s.generic.DiscoveryGroupManager, own)
	kinds := &installer{server: s.generic, config: c, scheme: sch, types: types, router: paths.New()}
	s.generic.Handler.GoRestfulContainer.Router(kinds.router)
	for _, g := range all.Groups {
		if err := kinds.install(g); err != nil {
			return err
		}
	}
	addGroups(s.generic, all.Groups)
	return s.buildCustom(c, all, docs.Serve(s.generic.Handler, kinds.described, all.Groups))
}

// Limits as in Kubernetes.
const (
	maxRequestBytes = 3 << 20
	minWatchSeconds = 1800
)

// libraryConfig returns the library's configuration without authentication,
// authorization and admission, which assemble adds.
func (s *Server) libraryConfig(sch *scheme.Scheme, checks []precheck.Check) *genericserver.Config {
	serving := s.config.Serving
	c := genericserver.NewConfig(sch.Codecs)
	c.EffectiveVersion = newEffectiveVersion(s.config.Version)
	c.ExternalAddress = serving.Advertise.String()
	c.LoopbackClientConfig = s.LoopbackConfig()
	c.LongRunningFunc = filters.BasicLongRunningRequestCheck(
		sets.NewString("watch", "proxy"), sets.NewString("attach", "exec", "proxy", "log", "portforward"))
	c.MaxRequestBodyBytes = maxRequestBytes
	if serving.MaxRequestBytes > 0 {
		c.MaxRequestBodyBytes = serving.MaxRequestBytes
	}
	c.RequestTimeout, c.MinRequestTimeout = answers.ReadTimeout, minWatchSeconds
	c.SkipOpenAPIInstallation = true
	limits := answers.NewLimits(sch.Codecs, debug.SetMemoryLimit(-1), s.config.Wall)
	c.BuildHandlerChainFunc = func(api http.Handler, c *genericserver.Config) http.Handler {
		api = limits.Wrap(precheck.Filter(api, sch.Codecs, c.MaxRequestBodyBytes, checks...))
		return s.readings.Wrap(s.aws.Route(s.tokens.Issuers.Route(genericserver.DefaultBuildHandlerChain(api, c))), c.RequestInfoResolver, c.LongRunningFunc)
	}
	return c
}

// bodyChecks are what request bodies must pass before they are decoded.
func bodyChecks(sch *scheme.Scheme) []precheck.Check {
	guard, counter := quantity.NewGuard(sch.Scheme), bounds.NewCounter(sch.Scheme)
	return []precheck.Check{
		func(info *request.RequestInfo, mediaType string, body []byte) error {
			return counter.Check(mediaType, schema.GroupKind{Group: info.APIGroup, Kind: info.Resource}, body)
		},
		func(info *request.RequestInfo, mediaType string, body []byte) error {
			return guard.Check(mediaType, info.Resource, body)
		},
	}
}

// Serve accepts connections of one more listener, until the server stops. The
// server must have started.
func (s *Server) Serve(l net.Listener) error { return s.front.serve(l) }

// Handler returns what the server does with requests. The server must have
// started.
func (s *Server) Handler() http.Handler { return s.generic.Handler }

// Ready implements component.Readier.
func (s *Server) Ready() error { return s.boot.check() }

// Failed implements component.Failer.
func (s *Server) Failed() <-chan error { return s.failed }

// Stop implements component.Component. Requests in flight are finished, watches
// are cut.
func (s *Server) Stop(ctx context.Context) error {
	var err error
	s.stop.Do(func() { err = s.shutDown(ctx) })
	return err
}

// drainTimeout is how long requests in flight may take to finish once the server
// stops: longer than any that makes progress, shorter than people wait for a
// program to end. A client that never sends the rest of its request is cut.
const drainTimeout = 3 * time.Second

func (s *Server) shutDown(ctx context.Context) error {
	if s.end == nil {
		return s.closeListeners()
	}
	var err error
	if s.front != nil {
		ctx, cancel := context.WithTimeout(ctx, drainTimeout)
		defer cancel()
		drained := make(chan struct{})
		go func() {
			defer close(drained)
			s.generic.NonLongRunningRequestWaitGroup.Wait()
		}()
		err = s.front.stop(ctx, drained)
	} else {
		err = s.closeListeners()
	}
	if s.custom != nil {
		s.custom.Stop(ctx)
	}
	s.end()
	s.background.Wait()
	if s.generic != nil {
		s.generic.Destroy()
	}
	if s.backend != nil {
		s.backend.stop()
	}
	return err
}

// closeListeners is for a server that never served them.
func (s *Server) closeListeners() error {
	var errs []error
	for _, l := range s.config.Serving.Listeners {
		errs = append(errs, l.Close())
	}
	return errors.Join(errs...)
}
