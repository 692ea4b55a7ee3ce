package serviceapi

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	kwait "k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"

	"laterna.dev/laterna/internal/clock"
	"laterna.dev/laterna/internal/follow"
	"laterna.dev/laterna/internal/network/healthcheck"
	"laterna.dev/laterna/internal/network/services"
	"laterna.dev/laterna/internal/wait"
)

const (
	// gather is how long a change waits for others that come with it.
	gather = 5 * time.Millisecond
	// sweep is how long after a change what it has left is removed.
	sweep = 2 * time.Second
	// healthAgain is how long after an error Health is told again.
	healthAgain = 10 * time.Second
	// mine are the services, and slices of them, that are not left to others.
	mine = "!service.kubernetes.io/service-proxy-name,!service.kubernetes.io/headless"
)

// retries are the pauses between attempts to write that fail.
var retries = wait.Backoff{First: 200 * time.Millisecond, Most: 30 * time.Second}

// Config of a Follower. All fields are required.
type Config struct {
	// Client speaks to the API as system:kube-proxy.
	Client kubernetes.Interface
	// Node is the name of the node.
	Node   string
	Router Router
	// Health is told of services whose health is asked for, and again some time after an
	// error: somebody else may have listened at a port.
	Health func(context.Context, []healthcheck.Service) error
	// Clock is wall time.
	Clock clock.Wall
	Log   *slog.Logger
}

// Router is what of services.Router is needed.
type Router interface {
	Compile(s services.Service, endpoints []services.Slice, n services.Node) *services.Unit
	Set(ctx context.Context, units map[services.Name]*services.Unit) error
	Sweep(ctx context.Context) error
}

// Follower follows the API.
type Follower struct {
	cfg  Config
	view *view

	// Of Run alone:
	health map[services.Name]healthcheck.Service
	// again fires when Health is to be told again, for unhealthy.
	again     clock.Timer
	unhealthy string
}

// New returns a follower. It does nothing before Run.
func New(cfg Config) *Follower {
	return &Follower{cfg: cfg, view: newView(), health: map[services.Name]healthcheck.Service{}}
}

// Run follows the API until ctx ends.
func (f *Follower) Run(ctx context.Context) {
	var wg sync.WaitGroup
	defer wg.Wait()
	wg.Go(func() { f.feed("services", &corev1.Service{}, f.services(), &serviceStore{f.view}).RunWithContext(ctx) })
	wg.Go(func() {
		f.feed("endpointslices", &discoveryv1.EndpointSlice{}, f.slices(), &sliceStore{f.view}).RunWithContext(ctx)
	})
	wg.Go(func() { f.followNode(ctx) })
	f.write(ctx)
}

func (f *Follower) feed(name string, of runtime.Object, lw *cache.ListWatch, store cache.ReflectorStore) *cache.Reflector {
	return cache.NewReflectorWithOptions(cache.ToListWatcherWithWatchListSemantics(lw, f.cfg.Client), of, store, cache.ReflectorOptions{
		Name:    "network/serviceapi " + name,
		Backoff: &kwait.Backoff{Duration: 50 * time.Millisecond, Factor: 2, Jitter: 0.5, Steps: 9, Cap: 10 * time.Second},
	})
}

func (f *Follower) services() *cache.ListWatch {
	return listWatch(f.cfg.Client.CoreV1().Services(metav1.NamespaceAll))
}

func (f *Follower) slices() *cache.ListWatch {
	return listWatch(f.cfg.Client.DiscoveryV1().EndpointSlices(metav1.NamespaceAll))
}

// listWatch adapts the typed client of a kind whose list type is L.
func listWatch[L runtime.Object](client interface {
	List(context.Context, metav1.ListOptions) (L, error)
	Watch(context.Context, metav1.ListOptions) (watch.Interface, error)
}) *cache.ListWatch {
	return &cache.ListWatch{
		ListWithContextFunc: func(ctx context.Context, o metav1.ListOptions) (runtime.Object, error) {
			o.LabelSelector = mine
			return client.List(ctx, o)
		},
		WatchFuncWithContext: func(ctx context.Context, o metav1.ListOptions) (watch.Interface, error) {
			o.LabelSelector = mine
			return client.Watch(ctx, o)
		},
	}
}

// followNode keeps the zone of the node: hints of endpoints are for zones.
func (f *Follower) followNode(ctx context.Context) {
	nodes := f.cfg.Client.CoreV1().Nodes()
	follow.Object[*corev1.Node]{
		Name:  f.cfg.Node,
		List:  func(ctx context.Context, o metav1.ListOptions) (runtime.Object, error) { return nodes.List(ctx, o) },
		Watch: nodes.Watch,
	}.Run(ctx, f.cfg.Clock, follow.Handler[*corev1.Node]{
		Seen: func(_ context.Context, n *corev1.Node) error {
			f.view.setZone(n.Labels[corev1.LabelTopologyZone])
			return nil
		},
		Failed: func(err error) bool {
			f.cfg.Log.Debug("the zone of the node is not known, trying again", "error", err)
			return true
		},
	})
}

// write hands changes on until ctx ends.
func (f *Follower) write(ctx context.Context) {
	failures, begun := 0, false
	defer f.notAgain()
	for {
		select {
		case <-f.view.wake:
		case <-f.whenAgain():
			f.tellHealth(ctx)
			continue
		case <-ctx.Done():
			return
		}
		if !wait.Pause(ctx, f.cfg.Clock, gather) {
			return
		}
		changed := f.view.take()
		if !changed.listed || len(changed.services) == 0 && begun {
			continue
		}
		err := f.apply(ctx, changed)
		if ctx.Err() != nil {
			return
		}
		if err != nil {
			failures++
			f.cfg.Log.Warn("services of the API are not routed as they should be, trying again", "services", len(changed.services), "error", err)
			f.view.putBack(changed)
			wait.Pause(ctx, f.cfg.Clock, retries.After(failures))
			continue
		}
		failures, begun = 0, true
		f.sweepLater(ctx)
	}
}

// sweepLater waits for the next change; where none comes what the last has left is removed.
func (f *Follower) sweepLater(ctx context.Context) {
	timer := f.cfg.Clock.NewTimer(sweep)
	defer timer.Stop()
	select {
	case <-timer.C():
		if err := f.cfg.Router.Sweep(ctx); err != nil && ctx.Err() == nil {
			f.cfg.Log.Warn("rules that nothing leads to any more were not removed", "error", err)
		}
	case <-f.view.wake:
		f.view.poke()
	case <-ctx.Done():
	}
}

func (f *Follower) apply(ctx context.Context, changed changes) error {
	units := make(map[services.Name]*services.Unit, len(changed.services))
	node := services.Node{Name: f.cfg.Node, Zone: changed.zone}
	for name, c := range changed.services {
		if c.service == nil {
			units[name] = nil
			continue
		}
		units[name] = f.cfg.Router.Compile(*c.service, c.slices, node)
	}
	if err := f.cfg.Router.Set(ctx, units); err != nil {
		return fmt.Errorf("routing services: %w", err)
	}
	told := false
	for name, c := range changed.services {
		old, had := f.health[name]
		delete(f.health, name)
		if c.service != nil && c.service.HealthPort != 0 {
			f.health[name] = healthcheck.Service{Name: healthcheck.Name(name), Port: c.service.HealthPort, Local: units[name].Local}
		}
		now, has := f.health[name]
		told = told || had != has || old != now
	}
	if told {
		f.tellHealth(ctx)
	}
	return nil
}

// tellHealth tells of services whose health is asked for, and logs what is new.
func (f *Follower) tellHealth(ctx context.Context) {
	f.notAgain()
	err := f.cfg.Health(ctx, slices.Collect(maps.Values(f.health)))
	if err == nil || ctx.Err() != nil {
		f.unhealthy = ""
		return
	}
	if f.unhealthy != err.Error() {
		f.unhealthy = err.Error()
		f.cfg.Log.Warn("load balancers are not told of the health of services, trying again", "error", err)
	}
	f.again = f.cfg.Clock.NewTimer(healthAgain)
}

func (f *Follower) whenAgain() <-chan time.Time {
	if f.again == nil {
		return nil
	}
	return f.again.C()
}

func (f *Follower) notAgain() {
	if f.again != nil {
		f.again.Stop()
		f.again = nil
	}
}
