package podworker

import (
	"context"
	"os"
	"time"

	corev1 "k8s.io/api/core/v1"

	"laterna.dev/laterna/internal/host/resolvconf"
	"laterna.dev/laterna/internal/node/events"
	"laterna.dev/laterna/internal/node/lifecycle"
	"laterna.dev/laterna/internal/node/runspec"
	"laterna.dev/laterna/internal/runtime/cri"
)

// sandboxes makes the sandbox that a pod's containers are started in.
type sandboxes struct {
	*core
	retry lifecycle.Retry
	// bound is the sandbox that is bound to its addresses.
	bound string
}

// get returns the sandbox to start containers in, making one where the plan has
// none. It returns nil and a pause when that failed.
func (b *sandboxes) get(s *step, p lifecycle.Plan) (*cri.Sandbox, *cri.SandboxSpec, time.Duration) {
	pod := s.pod
	dns := b.resolver().DNS(pod)
	spec := b.spec(pod, dns.DNS)
	if p.Sandbox != nil {
		// One of a former process may not have been bound any more.
		if err := b.bind(s.ctx, pod, p.Sandbox.ID); err != nil {
			return nil, nil, b.failed(pod, err)
		}
		spec.Attempt = p.Sandbox.Attempt
		return p.Sandbox, spec, 0
	}
	if left := b.retry.Until.Sub(b.now()); left > 0 {
		return nil, nil, left
	}
	b.tellDNS(pod, dns)
	if old := b.rt().Sandbox(); old != nil {
		spec.Attempt = old.Attempt + 1
		if p.Replaced && len(b.rt().Containers) > 0 {
			b.deps.Events.Event(events.Pod(pod), corev1.EventTypeNormal, events.SandboxChanged, "Pod sandbox changed, it will be killed and re-created.")
		}
		if err := b.stopSandbox(s.ctx, old.ID); err != nil {
			return nil, nil, b.failed(pod, err)
		}
	}
	if class := pod.Spec.RuntimeClassName; class != nil && *class != "" {
		handler, err := b.deps.Handler(s.ctx, *class)
		if err != nil {
			return nil, nil, b.failed(pod, err)
		}
		spec.RuntimeHandler = handler
	}
	done, ok := b.deps.Turn(s.wait)
	if !ok {
		return nil, nil, again
	}
	defer done()
	if err := b.deps.Resizes.MakeGroup(pod); err != nil {
		b.log("limits of the whole pod not set, those of its containers hold", "error", err)
	}
	made, err := b.run(s.ctx, pod, spec)
	if err != nil {
		return nil, nil, b.failed(pod, err)
	}
	b.retry = lifecycle.Retry{}
	b.board.show(func(now *Snapshot) {
		now.Runtime.Sandboxes = append([]cri.Sandbox{made}, now.Runtime.Sandboxes...)
	})
	return b.rt().Sandbox(), spec, 0
}

// run runs a sandbox. The end of ctx does not interrupt it: half a sandbox
// helps nobody.
func (b *sandboxes) run(ctx context.Context, pod *corev1.Pod, spec *cri.SandboxSpec) (cri.Sandbox, error) {
	ctx = context.WithoutCancel(ctx)
	if err := os.MkdirAll(spec.LogDir, 0o755); err != nil {
		return cri.Sandbox{}, err
	}
	id, err := b.deps.Runtime.RunSandbox(ctx, spec)
	if err != nil {
		return cri.Sandbox{}, err
	}
	b.deps.Inventory.Own(id, b.uid)
	s, err := b.deps.Runtime.SandboxStatus(ctx, id)
	if err == nil {
		err = b.bind(ctx, pod, id)
	}
	if err != nil {
		b.board.markDirty()
		return cri.Sandbox{}, err
	}
	return s, nil
}

// bind binds the sandbox to its addresses and ports. Nothing may run in one that is not
// bound.
func (b *sandboxes) bind(ctx context.Context, pod *corev1.Pod, id string) error {
	if b.bound == id {
		return nil
	}
	notes, err := b.deps.Network.Connected(ctx, id)
	if err != nil {
		return err
	}
	for _, n := range notes {
		b.deps.Events.Event(events.Pod(pod), corev1.EventTypeWarning, events.HostPort, n)
	}
	b.bound = id
	return nil
}

// stopSandbox ends a sandbox, and what the network has for it.
func (k *core) stopSandbox(ctx context.Context, id string) error {
	if err := k.deps.Runtime.StopSandbox(ctx, id); err != nil {
		return err
	}
	if err := k.deps.Network.Disconnected(ctx); err != nil {
		k.log("what the network has for a sandbox that was stopped is not taken back yet", "error", err)
	}
	return nil
}

func (b *sandboxes) failed(pod *corev1.Pod, err error) time.Duration {
	b.deps.Events.Eventf(events.Pod(pod), corev1.EventTypeWarning, events.Sandbox, "Failed to create pod sandbox: %s", cri.Message(err))
	b.board.markDirty()
	b.retry.Later(b.now(), retryFirst, retryMost)
	return b.retry.Delay
}

func (b *sandboxes) spec(pod *corev1.Pod, dns cri.DNS) *cri.SandboxSpec {
	return runspec.Sandbox(pod, runspec.SandboxOptions{
		Instance: b.deps.Node.Instance, CgroupParent: b.deps.Groups.Pod(b.uid), DNS: dns,
		LogDir: runspec.LogDir(b.deps.Node.LogRoot, pod.Namespace, pod.Name, string(pod.UID)),
	})
}

// resolver is what resolver configurations are made of now.
func (b *sandboxes) resolver() runspec.Resolver {
	return runspec.Resolver{
		Host: cri.DNS(resolvconf.Read("/")), Cluster: b.deps.Node.ClusterDNS, Domain: b.deps.Node.ClusterDomain,
	}
}

// tellDNS tells what a pod may not expect of its resolver configuration.
func (b *sandboxes) tellDNS(pod *corev1.Pod, dns runspec.PodDNS) {
	if dns.Lacks {
		b.deps.NoClusterDNS()
	}
	for _, n := range dns.Notes {
		b.deps.Events.Event(events.Pod(pod), corev1.EventTypeWarning, events.DNSConfig, n)
	}
}
