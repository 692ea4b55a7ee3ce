package registration

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"laterna.dev/laterna/internal/clock"
	"laterna.dev/laterna/internal/host/machine"
	"laterna.dev/laterna/internal/nodefields"
)

const (
	// checkEvery is how often the node is looked at for a change.
	checkEvery = 10 * time.Second
	// reportEvery is how often the status is written without a change.
	reportEvery = 5 * time.Minute
	// retryEvery is the pause after a write that was refused.
	retryEvery = time.Second
	// unreadyEvery is the pause while the node is not ready: pods wait for it.
	unreadyEvery = 500 * time.Millisecond
)

// Config is what a Registrar needs. All fields but Labels, Annotations and Seen are required.
type Config struct {
	Client   kubernetes.Interface
	NodeName string
	// IPs become InternalIP addresses, the first being the primary.
	IPs    []string
	Labels map[string]string
	// Annotations are kept as they are here; one that is empty is taken away.
	Annotations map[string]string
	// Version is the agent's, reported as the kubelet's.
	Version string
	// Port is where the agent's own API listens.
	Port int32
	// Root is on the file system that counts as the node's disk.
	Root    string
	MaxPods int64
	// MemoryReserve is how much of so much memory is kept from pods, in bytes.
	MemoryReserve func(memory int64) int64
	// Pressed tells whether memory and process numbers are short.
	Pressed func() (memory, pids bool)
	// Runtime asks the container runtime how it is.
	Runtime func(context.Context) Runtime
	// Images lists the images on the node, largest first.
	Images func(context.Context) ([]corev1.ContainerImage, error)
	// Seen is given the node as it is after each write. It does not wait, and changes
	// nothing of it.
	Seen func(*corev1.Node)
	// Event records an Event of the type Normal about the node.
	Event func(reason, message string)
	// Wall is real time: heartbeats do not follow a test clock.
	Wall clock.Wall
	Log  *slog.Logger
}

// Runtime is the state of the container runtime.
type Runtime struct {
	// Version is written scheme://version, e.g. containerd://1.6.20.
	Version string
	// NotReady says what is wrong, one sentence each; empty when all is well.
	NotReady []string
	// Answers is false while nobody knows what the runtime can.
	Answers bool
	// Features are those of the node that are the runtime's, nil where it does not tell, and
	// Handlers by what it can run pods, by name.
	Features *corev1.NodeFeatures
	Handlers []corev1.NodeRuntimeHandler
}

// Registrar keeps one node registered. Its methods may be called concurrently.
type Registrar struct {
	cfg   Config
	facts machine.Facts
	kick  chan struct{}
	// answers says that the runtime told what it can when the node was built last. It
	// belongs to Run.
	answers bool

	mu       sync.Mutex
	node     *corev1.Node // as last read from the API
	stale    bool         // what was read last is to be read again
	reported time.Time
	ready    error
}

// New reads the machine. The error is that of a machine that cannot be read.
func New(cfg Config) (*Registrar, error) {
	facts, err := machine.Read(cfg.Root)
	if err != nil {
		return nil, err
	}
	return &Registrar{
		cfg: cfg, facts: facts, kick: make(chan struct{}, 1),
		ready: errors.New("the node is not registered yet"),
	}, nil
}

// Facts returns what the machine has.
func (r *Registrar) Facts() machine.Facts { return r.facts }

// Node returns the node as last read from the API, nil before it is registered. It
// is shared: read only.
func (r *Registrar) Node() *corev1.Node {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.node
}

// Ready is nil while the API shows the node as ready.
func (r *Registrar) Ready() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.ready
}

// Changed makes the registrar look at the node now.
func (r *Registrar) Changed() {
	select {
	case r.kick <- struct{}{}:
	default:
	}
}

// Run keeps the node and its lease up to date until ctx ends. Errors of the API are
// logged and tried again.
func (r *Registrar) Run(ctx context.Context) error {
	var wg sync.WaitGroup
	wg.Go(func() { r.keepLease(ctx) })
	wg.Go(func() { r.follow(ctx) })
	defer wg.Wait()
	for r.wait(ctx, r.round(ctx)) {
	}
	return nil
}

// round brings the node up to date and returns the pause before the next look.
func (r *Registrar) round(ctx context.Context) time.Duration {
	err := r.sync(ctx)
	// Somebody else wrote: read and write again. Where that changed the taints, the API
	// takes the old ones for an attempt to change them, and says that it is forbidden.
	if apierrors.IsConflict(err) || apierrors.IsForbidden(err) {
		err = r.sync(ctx)
	}
	switch {
	case err != nil:
		if ctx.Err() == nil {
			r.cfg.Log.Warn("node status not written", "node", r.cfg.NodeName, "error", err)
		}
		return retryEvery
	case r.Ready() != nil:
		return unreadyEvery
	}
	return checkEvery
}

// wait returns after a pause, or at once when the node may have changed; false when
// ctx has ended.
func (r *Registrar) wait(ctx context.Context, pause time.Duration) bool {
	timer := r.cfg.Wall.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C():
	case <-r.kick:
	}
	return true
}

// sync writes the node where it differs from what it should be.
func (r *Registrar) sync(ctx context.Context) error {
	want := r.build(ctx)
	node, err := r.get(ctx, want)
	if err != nil {
		return err
	}
	if node, err = r.metadata(ctx, node, want); err != nil {
		return err
	}
	before, now := node, r.cfg.Wall.Now()
	next := node.DeepCopy()
	merge(&next.Status, want.Status, r.answers, metav1.NewTime(now.Truncate(time.Second)))
	if !sameStatus(node.Status, next.Status) || now.Sub(r.reported) >= reportEvery {
		if node, err = r.cfg.Client.CoreV1().Nodes().UpdateStatus(ctx, next, metav1.UpdateOptions{}); err != nil {
			r.forget()
			return fmt.Errorf("writing node status: %w", err)
		}
		r.reported = now
		r.seen(node)
		r.tell(before, node)
	}
	r.remember(node)
	return nil
}

// get returns the node as last seen, reading or creating it when it is not known.
func (r *Registrar) get(ctx context.Context, want *corev1.Node) (*corev1.Node, error) {
	if node := r.fresh(); node != nil {
		return node, nil
	}
	nodes := r.cfg.Client.CoreV1().Nodes()
	first := want.DeepCopy()
	merge(&first.Status, want.Status, r.answers, metav1.NewTime(r.cfg.Wall.Now().Truncate(time.Second)))
	node, err := nodes.Create(ctx, first, metav1.CreateOptions{})
	if apierrors.IsAlreadyExists(err) {
		if node, err = nodes.Get(ctx, r.cfg.NodeName, metav1.GetOptions{}); err != nil {
			return nil, fmt.Errorf("reading node: %w", err)
		}
		return node, nil
	}
	if err != nil {
		return nil, fmt.Errorf("registering node: %w", err)
	}
	r.cfg.Log.Info("node registered", "node", r.cfg.NodeName)
	r.seen(node)
	r.tell(&corev1.Node{}, node)
	return node, nil
}

func (r *Registrar) seen(node *corev1.Node) {
	if r.cfg.Seen != nil {
		r.cfg.Seen(node)
	}
}

// metadata adds the labels and annotations that the node must have to those that it has.
func (r *Registrar) metadata(ctx context.Context, node, want *corev1.Node) (*corev1.Node, error) {
	labels, annotations := with(node.Labels, want.Labels), with(node.Annotations, r.cfg.Annotations)
	if maps.Equal(labels, node.Labels) && maps.Equal(annotations, node.Annotations) {
		return node, nil
	}
	next := node.DeepCopy()
	next.Labels, next.Annotations = labels, annotations
	node, err := r.cfg.Client.CoreV1().Nodes().Update(ctx, next, metav1.UpdateOptions{})
	if err != nil {
		r.forget()
		return nil, fmt.Errorf("labelling node: %w", err)
	}
	return node, nil
}

// with returns have with what is wanted; what is wanted to be empty is taken away.
func with(have, want map[string]string) map[string]string {
	out := map[string]string{}
	maps.Copy(out, have)
	for key, value := range want {
		if out[key] = value; value == "" {
			delete(out, key)
		}
	}
	return out
}

func (r *Registrar) remember(node *corev1.Node) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.take(node)
}

// take makes node what was read last. It is called with mu held.
func (r *Registrar) take(node *corev1.Node) {
	r.node, r.stale, r.ready = node, false, nil
	if c := nodefields.Condition(node, corev1.NodeReady); c != nil && c.Status != corev1.ConditionTrue {
		r.ready = errors.New(c.Message)
	}
}

// forget makes the next sync read the node again: it was changed or removed. Till then
// it is what was read last for those who ask.
func (r *Registrar) forget() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.stale = true
}

// fresh returns the node as last read, nil where it is to be read again.
func (r *Registrar) fresh() *corev1.Node {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.stale {
		return nil
	}
	return r.node
}

// sameStatus ignores heartbeat times.
func sameStatus(a, b corev1.NodeStatus) bool {
	strip := func(s corev1.NodeStatus) corev1.NodeStatus {
		s = *s.DeepCopy()
		for i := range s.Conditions {
			s.Conditions[i].LastHeartbeatTime = metav1.Time{}
		}
		return s
	}
	return equality.Semantic.DeepEqual(strip(a), strip(b))
}
