package node

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	goruntime "runtime"
	"sync"
	"sync/atomic"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/record"

	"laterna.dev/laterna/internal/node/credentialprovider"
	"laterna.dev/laterna/internal/node/events"
	"laterna.dev/laterna/internal/node/eviction"
	"laterna.dev/laterna/internal/node/imagepull"
	"laterna.dev/laterna/internal/node/imagevolume"
	"laterna.dev/laterna/internal/node/logs"
	"laterna.dev/laterna/internal/node/podapi"
	"laterna.dev/laterna/internal/node/podhost"
	"laterna.dev/laterna/internal/node/podworker"
	"laterna.dev/laterna/internal/node/registration"
	"laterna.dev/laterna/internal/node/resize"
	"laterna.dev/laterna/internal/runtime/cri"
	"laterna.dev/laterna/internal/volumes/freshpath"
	"laterna.dev/laterna/internal/volumes/issuerrevision"
	"laterna.dev/laterna/internal/volumes/objects"
	"laterna.dev/laterna/internal/volumes/onupdate"
	"laterna.dev/laterna/internal/volumes/place"
	"laterna.dev/laterna/internal/volumes/podprojection"
	"laterna.dev/laterna/internal/volumes/publish"
	"laterna.dev/laterna/internal/volumes/tokencache"
)

// Agent runs the pods of one node. Make it with New.
type Agent struct {
	cfg       Config
	registrar *registration.Registrar
	keeper    *eviction.Keeper
	logs      *os.Root

	// Set by Run before the first worker starts.
	recorder record.EventRecorder
	noDNS    func()
	services cache.Store
	objects  *objects.Cache
	volumes  *place.Manager
	fresh    *freshpath.Follower
	updates  *onupdate.Runner
	images   *imagepull.Getter
	resizes  *resize.Ledger
	// podVolumes are volumes, and the images among them.
	podVolumes *imagevolume.Volumes
	// logins are nil where there are no credential providers.
	logins imagepull.Providers
	// projections is nil where nothing is reported about what pods have loaded.
	projections *podprojection.Writer
	// revisions is nil where tokens are not replaced when the issuer changes.
	revisions *issuerrevision.Follower

	// turns holds a token for each sandbox that is being made.
	turns chan struct{}
	// runtime is nil until the container runtime has answered.
	runtime atomic.Pointer[runtime]

	pods workers
}

// New prepares an agent and touches neither the API nor the runtime.
func New(cfg Config) (*Agent, error) {
	if err := cfg.complete(); err != nil {
		return nil, fmt.Errorf("node agent: %w", err)
	}
	if err := os.MkdirAll(cfg.logRoot(), 0o755); err != nil {
		return nil, fmt.Errorf("making log directory: %w", err)
	}
	logs, err := os.OpenRoot(cfg.logRoot())
	if err != nil {
		return nil, fmt.Errorf("opening log directory: %w", err)
	}
	a := &Agent{
		cfg: cfg, logs: logs,
		pods:  workers{byUID: map[types.UID]*podworker.Worker{}, waiting: map[types.UID]*corev1.Pod{}},
		turns: make(chan struct{}, 2*goruntime.GOMAXPROCS(0)),
	}
	a.keeper = a.newKeeper()
	a.registrar, err = registration.New(registration.Config{
		Client: cfg.Client, NodeName: cfg.NodeName, IPs: cfg.NodeIPs, Labels: cfg.Labels, Annotations: cfg.Annotations, Version: cfg.Version,
		Port: cfg.PodAPI.port(), Root: cfg.Root, MaxPods: cfg.MaxPods,
		MemoryReserve: cfg.Eviction.Thresholds.Memory, Pressed: a.keeper.Pressed,
		Runtime: func(ctx context.Context) registration.Runtime { return a.runtime.Load().state(ctx) },
		Images:  func(ctx context.Context) ([]corev1.ContainerImage, error) { return a.runtime.Load().images(ctx) },
		Seen:    a.nodeSeen, Event: a.nodeEvent, Wall: cfg.Wall, Log: cfg.Log,
	})
	if err != nil {
		return nil, fmt.Errorf("node agent: %w", err)
	}
	return a, nil
}

// Run works until ctx ends and every worker has finished its step. Containers keep
// running; the next Run takes them over. It returns an error only when the runtime
// or the API cannot be reached at all before ctx ends.
func (a *Agent) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	var background sync.WaitGroup
	closers := []func(){}
	defer func() {
		cancel()
		a.pods.running.Wait() // workers use all of the rest
		background.Wait()
		for _, close := range closers {
			close()
		}
	}()

	a.recorder = events.NewRecorder(ctx, a.cfg.Client, a.cfg.NodeName)
	if a.noDNS = events.NoClusterDNS(a.recorder, a.cfg.NodeName, a.cfg.NoClusterDNS); a.cfg.NoClusterDNS != "" {
		a.noDNS()
	}
	closeVolumes, err := a.openVolumes(ctx)
	if err != nil {
		return err
	}
	closers = append(closers, closeVolumes)
	synced := a.watchAPI(ctx, &background)
	served := make(chan error, 1)
	background.Go(func() { served <- a.servePodAPI(ctx) })

	rt, err := a.connect(ctx)
	if err != nil {
		return err
	}
	closers = append(closers, func() { rt.client.Close() })
	images, collector, err := imagepull.Open(imagepull.NodeConfig{
		NodeName: a.cfg.NodeName, Root: a.cfg.Root, Runtime: rt.client, Secret: a.objects.Secret, Providers: a.logins, Imports: rt.endpoint.Images,
		Used:   func() []string { return a.podVolumes.InUse() },
		Verify: a.cfg.Images.Verify, High: a.cfg.Images.High, Low: a.cfg.Images.Low, Parallel: a.cfg.Images.Parallel,
		Pulled: a.registrar.Changed, Events: a.recorder, Clock: a.cfg.Clock, Wall: a.cfg.Wall, Log: a.cfg.Log,
	})
	if err != nil {
		return err
	}
	a.images = images
	if err := a.openResizes(ctx, rt); err != nil {
		return err
	}
	closers = append(closers, func() { a.resizes.Close() })
	a.podVolumes, err = imagevolume.New(ctx, imagevolume.Config{Store: rt.endpoint.Views, Get: images.Get, Volumes: a.volumes, Log: a.cfg.Log})
	if err != nil {
		return err
	}
	a.runtime.Store(rt)
	background.Go(func() { _ = a.registrar.Run(ctx) })
	background.Go(func() { rt.inventory.Follow(ctx, a.runtimeEvent) })
	background.Go(func() { rt.prober.Run(ctx) })
	if !cache.WaitFor(ctx, "node agent", synced...) {
		return ctx.Err()
	}
	if err := a.adopt(ctx, rt); err != nil {
		return err
	}
	background.Go(func() { rt.inventory.Relist(ctx, a.runtimeChanged, a.registrar.Changed) })
	if a.revisions != nil {
		background.Go(func() { _ = a.revisions.Run(ctx) })
	}
	background.Go(func() { rt.inventory.FollowImages(ctx, a.imagesChanged) })
	background.Go(func() { logs.Keep(ctx, a.logs, a.host().RunningLogs, a.cfg.Wall, a.cfg.Log) })
	background.Go(func() { a.resizes.Run(ctx, func() { a.pods.retry(a.resizes) }) })
	background.Go(func() { collector.Run(ctx) })
	background.Go(func() { a.keeper.Run(ctx) })
	select {
	case <-ctx.Done():
		return nil
	case err := <-served:
		return err
	}
}

// probeMetrics answers with what is counted of probes.
func (a *Agent) probeMetrics(w http.ResponseWriter, r *http.Request) {
	rt := a.runtime.Load()
	if rt == nil {
		http.Error(w, "the container runtime has not answered yet", http.StatusServiceUnavailable)
		return
	}
	rt.metrics.ServeHTTP(w, r)
}

// host is the pods of the node, as whoever asks the node for them sees them.
func (a *Agent) host() podhost.Host {
	return podhost.Host{Workers: a.pods.all, Runtime: a.cri, Logs: a.logs, Clock: a.cfg.Wall}
}

// servePodAPI serves the node's HTTPS endpoint until ctx ends.
func (a *Agent) servePodAPI(ctx context.Context) error {
	return podapi.New(podapi.Config{
		NodeName: a.cfg.NodeName, Client: a.cfg.Client,
		Host: a.host(),
		TLS:  a.cfg.PodAPI.TLS, ClientCAs: a.cfg.PodAPI.ClientCAs, Clock: a.cfg.Wall, Log: a.cfg.Log,
		ProbeMetrics: a.probeMetrics,
	}).Serve(ctx, a.cfg.PodAPI.Listener)
}

// openVolumes makes what publishes the volumes of pods.
func (a *Agent) openVolumes(ctx context.Context) (closeAll func(), err error) {
	cached := objects.New(ctx, objects.Config{Client: a.cfg.Client, Clock: a.cfg.Clock, Log: a.cfg.Log})
	tokens := tokencache.New(ctx, tokencache.Config{Client: a.cfg.Client, Clock: a.cfg.Clock, Wall: a.cfg.Wall, Log: a.cfg.Log})
	var manager *place.Manager
	err = a.openProjections(ctx, func(uid types.UID) []publish.Status { return manager.Snapshot(uid) })
	if err != nil {
		return nil, err
	}
	a.updates = a.newUpdates(ctx, func(uid types.UID) []publish.Status { return manager.Snapshot(uid) })
	manager, err = place.New(ctx, place.Config{
		Objects: cached, Tokens: tokens, Root: a.cfg.podRoot(), Clock: a.cfg.Clock, Log: a.cfg.Log,
		NodeAllocatable: a.Allocatable, Event: a.Event, Evict: a.evict, Wall: a.cfg.Wall,
		Gate: a.updates, Published: a.updates.Published, Changed: a.volumesChanged,
	})
	if err != nil {
		return nil, fmt.Errorf("opening volumes: %w", err)
	}
	a.logins = newLogins(a.cfg, cached)
	a.objects, a.volumes, a.fresh = cached, manager, a.newFollower(manager)
	if a.cfg.Operators != nil {
		a.revisions = issuerrevision.New(issuerrevision.Config{
			Operators: a.cfg.Operators, Client: a.cfg.Client, NodeName: a.cfg.NodeName,
			Tokens: tokens, Behind: manager.TokensBehind, Wall: a.cfg.Wall, Log: a.cfg.Log,
		})
	}
	return func() {
		a.updates.Wait()
		a.projections.Wait()
		if err := manager.Close(); err != nil {
			a.cfg.Log.Warn("volumes not closed", "error", err)
		}
	}, nil
}

// newLogins makes what asks credential providers, nil where there are none.
func newLogins(cfg Config, cached *objects.Cache) imagepull.Providers {
	if len(cfg.Images.Providers.Providers) == 0 {
		return nil
	}
	return credentialprovider.New(credentialprovider.Config{
		Settings: cfg.Images.Providers,
		Account: func(ctx context.Context, namespace, name string) (metav1.Object, error) {
			return cached.Get(ctx, objects.Key{Kind: objects.ServiceAccount, Namespace: namespace, Name: name})
		},
		Token: func(ctx context.Context, namespace, account string, r *authenticationv1.TokenRequest) (*authenticationv1.TokenRequest, error) {
			return cfg.Client.CoreV1().ServiceAccounts(namespace).CreateToken(ctx, account, r, metav1.CreateOptions{})
		},
		Clock: cfg.Wall, Log: cfg.Log,
	})
}

// nodeSeen looks at what the node says of the agent's pods.
func (a *Agent) nodeSeen(node *corev1.Node) {
	a.revisions.Seen(node)
}

// nodeEvent records an Event about the node as the kubelet.
func (a *Agent) nodeEvent(reason, message string) {
	a.recorder.Event(events.Node(a.cfg.NodeName), corev1.EventTypeNormal, reason, message)
}

// Ready is nil once the node is registered as ready and the pods that are bound to
// it are being run.
func (a *Agent) Ready() error {
	if !a.pods.begun() {
		return errors.New("the node agent has not listed its pods yet")
	}
	return a.registrar.Ready()
}

// Allocatable is what pods may use of the node.
func (a *Agent) Allocatable() corev1.ResourceList { return a.registrar.Allocatable() }

// Event records an Event about a pod as the kubelet; before Run it does nothing.
func (a *Agent) Event(pod *corev1.Pod, eventType, reason, message string) {
	if a.recorder != nil {
		a.recorder.Event(events.Pod(pod), eventType, reason, message)
	}
}

// cri is the runtime's client, nil while it has not answered.
func (a *Agent) cri() *cri.Client {
	if rt := a.runtime.Load(); rt != nil {
		return rt.client
	}
	return nil
}

// turn waits until a sandbox may be made, or until wait ends. Only a few are made at
// the same time, first come first served: a machine that makes fifty together needs
// a third more time for all of them, and none is ready before nearly all are.
func (a *Agent) turn(wait context.Context) (done func(), ok bool) {
	select {
	case a.turns <- struct{}{}:
		return func() { <-a.turns }, true
	case <-wait.Done():
		return nil, false
	}
}
