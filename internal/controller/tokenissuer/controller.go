// Package tokenissuer carries out changes of the issuer of service account tokens
// while everything runs: it reads who shall issue tokens from
// authentications.config.openshift.io/cluster and writes who does, who is still
// trusted, and how far the nodes have come with replacing tokens, into the status of
// kubeapiservers.operator.openshift.io/cluster.
//
// It owns these two objects: it makes them, and makes them again with what they held.
// The servers take the issuers over from the status (internal/tokens/issuer/status), the agents
// replace tokens at every new revision (internal/volumes/issuerrevision). Keys are rotated by
// internal/tokens/keys; that another key signs is a new revision here.
//
// Several servers may run it at once: each decides the same from the same objects, and
// the store keeps the second of two writers from counting twice.
package tokenissuer

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	coordinationlisters "k8s.io/client-go/listers/coordination/v1"
	corelisters "k8s.io/client-go/listers/core/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"

	configv1 "laterna.dev/laterna/api/config/v1"
	operatorv1 "laterna.dev/laterna/api/operator/v1"
	"laterna.dev/laterna/internal/clock"
	"laterna.dev/laterna/internal/controller/env"
	"laterna.dev/laterna/internal/controller/queue"
	"laterna.dev/laterna/internal/controller/run"
)

const (
	// SilentAfter is after which time without a sign a node does not count.
	SilentAfter = time.Minute
	// reason is that of the events, OpenShift's.
	reason = "ServiceAccountIssuer"
	// Name is the controller's.
	Name = "tokenissuer-controller"
	// component is where events come from, OpenShift's.
	component = "serviceaccountissuer"
	// key is the only one in the queue.
	key = operatorv1.Name
)

// SigningKey tells which key signs. *keys.Ring fits behind it.
type SigningKey interface {
	// ID returns the ID of the key that signs, "" when that is not known yet.
	ID(ctx context.Context) string
	// Newest is ID as the store has it, at some time after the call.
	Newest(ctx context.Context) string
	// Subscribe returns a channel that gets a value after a change, until cancel.
	Subscribe() (changed <-chan struct{}, cancel func())
}

// Config is what a Controller is made of. All fields are required.
type Config struct {
	env.Env
	// ConfigAPI and OperatorAPI are clients of the two groups, with the identity of
	// Client.
	ConfigAPI, OperatorAPI rest.Interface
	Key                    SigningKey
	// Issuer is that of new tokens while nothing is asked for.
	Issuer string
	// Overlap is how long a former issuer is trusted; 0 means not at all.
	Overlap time.Duration
	// Clock is the time that tokens live by, which may be a test clock. Nodes and
	// conditions are judged on wall time.
	Clock clock.API
}

// Controller carries out changes of the issuer.
type Controller struct {
	config          Config
	loop            *run.Loop
	queue           *queue.Queue
	nodes           corelisters.NodeLister
	leases          coordinationlisters.LeaseLister
	authentications cache.SharedIndexInformer
	servers         cache.SharedIndexInformer
	commit          run.Commit[*operatorv1.KubeAPIServer]
	ready           atomic.Bool

	mu    sync.Mutex
	timer clock.Timer // the end of an issuer, on the tokens' clock
	// since is when the latest revision was first seen here, on wall time.
	since    time.Time
	revision int32
	warned   string
	// lastSpec and lastStatus bring the objects back when somebody deletes them.
	lastSpec   *configv1.AuthenticationSpec
	lastStatus *operatorv1.KubeAPIServerStatus
}

// New makes a controller. Call it before the informers are started.
func New(config Config) *Controller {
	nodes, leases := config.Informers.Core().V1().Nodes(), config.Informers.Coordination().V1().Leases()
	c := &Controller{
		config: config,
		loop:   run.New(config.Env, "issuers and nodes"),
		nodes:  nodes.Lister(),
		leases: leases.Lister(),
	}
	c.commit = run.Commits(config.Env, c.writeStatus)
	c.queue = c.loop.Queue(1, func(ctx context.Context, _ string) error { return c.sync(ctx) })
	c.queue.Add(key)
	c.loop.Beside(c.followKey)
	c.loop.RecordAs(component)
	anything := run.Handlers(func(any) { c.queue.Add(key) })
	c.authentications = singleton(config.ConfigAPI, configv1.Authentications.Resource, &configv1.Authentication{})
	c.servers = singleton(config.OperatorAPI, operatorv1.KubeAPIServers.Resource, &operatorv1.KubeAPIServer{})
	c.loop.WatchOwn(c.authentications, anything)
	c.loop.WatchOwn(c.servers, anything)
	c.loop.Watch(nodes.Informer(), anything)
	// Leases are only looked up: they change all the time.
	c.loop.Watch(leases.Informer(), cache.ResourceEventHandlerFuncs{})
	return c
}

func singleton(client rest.Interface, resource string, example runtime.Object) cache.SharedIndexInformer {
	watch := cache.NewListWatchFromClient(client, resource, metav1.NamespaceAll, fields.Everything())
	return cache.NewSharedIndexInformer(watch, example, 0, cache.Indexers{})
}

// Ready returns nil once the objects are there and the status says who issues tokens.
func (c *Controller) Ready() error {
	if !c.ready.Load() {
		return errors.New("the issuer of tokens is not recorded yet")
	}
	return nil
}

// Run carries out changes until ctx ends.
func (c *Controller) Run(ctx context.Context) error { return c.loop.Run(ctx) }

func (c *Controller) followKey(ctx context.Context) {
	changed, cancel := c.config.Key.Subscribe()
	defer cancel()
	for {
		select {
		case <-changed:
			c.queue.Add(key)
		case <-ctx.Done():
			return
		}
	}
}

// sync brings the status in line with what is asked for and with the nodes.
func (c *Controller) sync(ctx context.Context) error {
	asked, err := c.authentication(ctx)
	if err != nil {
		return err
	}
	server, err := c.server(ctx)
	if err != nil {
		return err
	}
	nodes, err := c.state()
	if err != nil {
		return err
	}
	d := decide(situation{
		want: asked.Spec, now: server, nodes: nodes, key: signing(ctx, c.config.Key, server.Status.SigningKeyID),
		issuer: c.config.Issuer, unasked: c.unasked(), overlap: c.config.Overlap,
		clock: c.config.Clock.Now(), wall: c.config.Wall.Now(), grace: c.grace(server.Status.LatestAvailableRevision),
	})
	if _, err := c.write(ctx, server, d.status); err != nil {
		return err
	}
	c.tell(asked, d)
	c.remember(asked, d)
	c.ready.Store(true)
	c.again(&d.status)
	return nil
}

// signing returns the ID of the key that signs where known is what everybody was told: a
// server that has not heard of a change yet must not tell of it backwards.
func signing(ctx context.Context, key SigningKey, known string) string {
	id := key.ID(ctx)
	if id != "" && known != "" && id != known {
		return key.Newest(ctx)
	}
	return id
}

// unasked tells whether nothing was asked for when this process last looked.
func (c *Controller) unasked() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.lastSpec != nil && c.lastSpec.ServiceAccountIssuer == ""
}

// tell records what has changed, and a refusal once.
func (c *Controller) tell(asked *configv1.Authentication, d decision) {
	c.mu.Lock()
	repeated := d.warning == c.warned
	c.warned = d.warning
	c.mu.Unlock()
	if d.changed != "" {
		c.config.Log.Info("the issuer of tokens has changed", "issuer", d.status.ActiveIssuer(), "revision", d.status.LatestAvailableRevision)
		c.loop.Events().Event(reference(asked), corev1.EventTypeNormal, reason, d.changed)
	}
	if d.warning != "" && !repeated {
		c.loop.Events().Event(reference(asked), corev1.EventTypeWarning, reason, d.warning)
	}
}

// again has sync run when something ends by itself: the trust in an issuer, or the time
// that nodes have to report.
func (c *Controller) again(s *operatorv1.KubeAPIServerStatus) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.timer != nil {
		c.timer.Stop()
		c.timer = nil
	}
	if end, ok := firstEnd(s.ServiceAccountIssuers); ok {
		// Own goroutine: a test's clock may call back with its lock held.
		c.timer = c.config.Clock.AfterFunc(max(end.Sub(c.config.Clock.Now()), 0), func() { go c.queue.Add(key) })
	}
	c.queue.AddAfter(key, SilentAfter)
}

// grace tells whether nodes still have time to report a revision for the first time.
func (c *Controller) grace(revision int32) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.revision != revision || c.since.IsZero() {
		c.revision, c.since = revision, c.config.Wall.Now()
	}
	return c.config.Wall.Since(c.since) < SilentAfter
}
