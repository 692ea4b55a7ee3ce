package apiextensions

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	library "k8s.io/apiextensions-apiserver/pkg/apiserver"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metainternal "k8s.io/apimachinery/pkg/apis/meta/internalversion"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/apiserver/pkg/endpoints/discovery"
	"k8s.io/apiserver/pkg/endpoints/discovery/aggregated"
	"k8s.io/apiserver/pkg/registry/generic"
	"k8s.io/apiserver/pkg/registry/rest"
	genericserver "k8s.io/apiserver/pkg/server"
	"k8s.io/apiserver/pkg/util/webhook"

	"laterna.dev/laterna/internal/clock"
	"laterna.dev/laterna/internal/wait"
)

// Config is what custom resources are served with. Every field is required.
type Config struct {
	// Generic is the configuration of the server that they are a part of, with clients of
	// the process, authorization and admission. It is not changed.
	Generic genericserver.Config
	// Definitions are stored here, and objects of custom resources there.
	Definitions, Objects generic.RESTOptionsGetter
	// Stored is the storage of definitions that Storages made.
	Stored rest.Storage
	// Services finds who answers for conversion webhooks, Connections says how they are
	// called.
	Services    webhook.ServiceResolver
	Connections webhook.AuthenticationInfoResolverWrapper
	// Groups and Listed are the two forms of discovery that groups are added to.
	Groups aggregated.ResourceManager
	Listed discovery.GroupManager
	// Own are the versions of the groups that are listed already.
	Own map[string][]string
	// Documents are those of the server.
	Documents Documents
	Wall      clock.Wall
	Log       *slog.Logger
}

// Server serves custom resources once there are definitions. Its methods may be called
// concurrently.
type Server struct {
	config Config
	// serving answers requests; nil until it has begun.
	serving atomic.Pointer[http.Handler]

	mu    sync.Mutex
	begun *begun
}

// begun is the library at work.
type begun struct {
	server *library.CustomResourceDefinitions
	end    context.CancelFunc
}

// New returns a server that has not begun.
func New(c Config) *Server { return &Server{config: c} }

// ServeHTTP implements http.Handler for all paths below /apis that no other kind has.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if h := s.serving.Load(); h != nil {
		(*h).ServeHTTP(w, r)
		return
	}
	http.NotFound(w, r)
}

// Versions returns the first served version of a custom resource, "" for none, and all that
// its objects may be stored in.
func (s *Server) Versions(resource schema.GroupResource) (served string, all []string) {
	s.mu.Lock()
	b := s.begun
	s.mu.Unlock()
	if b == nil {
		return "", nil
	}
	definition, err := b.server.Informers.Apiextensions().V1().CustomResourceDefinitions().Lister().Get(resource.String())
	if err != nil {
		return "", nil
	}
	for _, v := range definition.Spec.Versions {
		if all = append(all, v.Name); v.Served && served == "" {
			served = v.Name
		}
	}
	return served, all
}

// Begun tells whether custom resources are served.
func (s *Server) Begun() bool { return s.serving.Load() != nil }

// Begin returns when custom resources are served: all that are defined by then are
// listed by discovery.
func (s *Server) Begin(ctx context.Context) error {
	if s.Begun() {
		return nil
	}
	began := s.config.Wall.Now()
	b, err := s.start(ctx)
	if err != nil {
		return fmt.Errorf("serving custom resources: %w", err)
	}
	made := s.config.Wall.Now()
	if err := s.await(ctx, b.server, controllersStarted); err != nil {
		return err
	}
	handler := b.server.GenericAPIServer.UnprotectedHandler()
	if s.serving.CompareAndSwap(nil, &handler) {
		s.config.Log.Debug("custom resources are served", "made", made.Sub(began), "took", s.config.Wall.Since(began))
	}
	return nil
}

// start makes the library's server unless it is made.
func (s *Server) start(ctx context.Context) (*begun, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.begun != nil {
		return s.begun, nil
	}
	server, err := s.build()
	if err != nil {
		return nil, err
	}
	life, end := context.WithCancel(context.WithoutCancel(ctx))
	if err := s.publish(life, server.Informers); err != nil {
		end()
		return nil, err
	}
	s.begun = &begun{server, end}
	server.GenericAPIServer.RunPostStartHooks(life)
	return s.begun, nil
}

func (s *Server) build() (*library.CustomResourceDefinitions, error) {
	c := s.config.Generic
	c.RESTOptionsGetter = s.config.Definitions
	c.AggregatedDiscoveryGroupManager = s.groups()
	c.MergedResourceConfig = library.DefaultAPIResourceConfigSource()
	c.PostStartHooks = map[string]genericserver.PostStartHookConfigEntry{}
	c.EnableIndex, c.EnableMetrics, c.EnableProfiling = false, false, false
	c.BuildHandlerChainFunc = func(api http.Handler, _ *genericserver.Config) http.Handler { return api }
	c.SkipOpenAPIInstallation = true
	var err error
	if c.OpenAPIV3Config, err = s.config.Documents.Models(); err != nil {
		return nil, err
	}
	counted := &faults{Interface: c.AdmissionControl}
	c.AdmissionControl = counted
	server, err := (&library.Config{
		GenericConfig: &genericserver.RecommendedConfig{Config: c},
		ExtraConfig: library.ExtraConfig{
			CRDRESTOptionsGetter: s.config.Objects,
			MasterCount:          1,
			ServiceResolver:      s.config.Services,
			AuthResolverWrapper:  s.config.Connections,
		},
	}).Complete().New(genericserver.NewEmptyDelegate())
	if err != nil {
		return nil, err
	}
	counted.definitions = server.Informers.Apiextensions().V1().CustomResourceDefinitions().Lister()
	return server, nil
}

// What the library's server does after its start, as its health checks call it.
const (
	controllersStarted = "poststarthook/start-apiextensions-controllers"
	informerSynced     = "poststarthook/crd-informer-synced"
)

// await waits until a health check of the library's server is good.
func (s *Server) await(ctx context.Context, server *library.CustomResourceDefinitions, name string) error {
	for {
		for _, check := range server.GenericAPIServer.HealthzChecks() {
			if check.Name() == name && check.Check(nil) == nil {
				return nil
			}
		}
		if ctx.Err() != nil {
			return apierrors.NewTimeoutError("custom resources are not served yet", 1)
		}
		wait.Pause(ctx, s.config.Wall, 2*time.Millisecond)
	}
}

// BeginStored begins if definitions are stored.
func (s *Server) BeginStored(ctx context.Context) error {
	_, found, err := s.look(ctx)
	if err != nil || !found {
		return err
	}
	return s.Begin(ctx)
}

// look tells whether definitions are stored, and at which version of the store.
func (s *Server) look(ctx context.Context) (version string, found bool, err error) {
	lister, ok := s.config.Stored.(rest.Lister)
	if !ok {
		return "", false, fmt.Errorf("definitions in a %T cannot be listed", s.config.Stored)
	}
	list, err := lister.List(ctx, &metainternal.ListOptions{ResourceVersion: "0"})
	if err != nil {
		return "", false, fmt.Errorf("listing definitions of custom resources: %w", err)
	}
	at, err := meta.ListAccessor(list)
	if err != nil {
		return "", false, err
	}
	return at.GetResourceVersion(), meta.LenList(list) > 0, nil
}

// Run begins when another server has stored a definition. It ends with ctx.
func (s *Server) Run(ctx context.Context) {
	for ctx.Err() == nil && !s.Begun() {
		if err := s.follow(ctx); err != nil && ctx.Err() == nil {
			s.config.Log.Warn("cannot follow definitions of custom resources, trying again", "error", err)
		}
		wait.Pause(ctx, s.config.Wall, time.Second)
	}
}

// follow waits for a definition, and begins.
func (s *Server) follow(ctx context.Context) error {
	version, found, err := s.look(ctx)
	if err != nil {
		return err
	}
	if !found {
		watcher, ok := s.config.Stored.(rest.Watcher)
		if !ok {
			return fmt.Errorf("definitions in a %T cannot be watched", s.config.Stored)
		}
		w, err := watcher.Watch(ctx, &metainternal.ListOptions{ResourceVersion: version})
		if err != nil {
			return fmt.Errorf("watching definitions of custom resources: %w", err)
		}
		defer w.Stop()
		if !added(ctx, w) {
			return nil
		}
	}
	return s.Begin(ctx)
}

// added waits for an object, and is false where the watch ends before.
func added(ctx context.Context, w watch.Interface) bool {
	for {
		select {
		case event, ok := <-w.ResultChan():
			if !ok || event.Type == watch.Error {
				return false
			}
			if event.Type == watch.Added {
				return true
			}
		case <-ctx.Done():
			return false
		}
	}
}

// Stop ends what has begun. The informer has its first list by then, or ctx has ended: the
// library ends the process of a server that is stopped before.
func (s *Server) Stop(ctx context.Context) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.begun == nil {
		return
	}
	if s.await(ctx, s.begun.server, informerSynced) == nil {
		s.begun.end()
	}
	s.begun.server.GenericAPIServer.Destroy()
}
