package publish

import (
	"context"
	"fmt"
	"maps"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apiequality "k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/types"

	"laterna.dev/laterna/internal/volumes/objects"
	"laterna.dev/laterna/internal/volumes/tokencache"
)

// Setup makes the volumes of a pod and returns when each is mounted and published.
// What is missing (an object, a key, a token) is waited for, with FailedMount events
// meanwhile; Setup goes on within milliseconds when it appears. It returns an error
// only if ctx ends, the pod is torn down, or its uid cannot name a directory. It may
// be called again, also with a newer pod.
func (pub *Publisher) Setup(ctx context.Context, spec *corev1.Pod) error {
	p, err := pub.ensure(spec, false)
	if err != nil {
		return err
	}
	for _, v := range p.inOrder() {
		select {
		case <-v.ready:
		case <-p.ctx.Done():
			return fmt.Errorf("setting up volumes of pod %s/%s: torn down meanwhile", spec.Namespace, spec.Name)
		case <-ctx.Done():
			return fmt.Errorf("setting up volumes of pod %s/%s: waiting for %s: %w", spec.Namespace, spec.Name, strings.Join(p.waiting(), ", "), context.Cause(ctx))
		}
	}
	return nil
}

// Adopt takes over the volumes of pods that an earlier process set up: mounts stay,
// differences are published. It does not wait for them.
func (pub *Publisher) Adopt(pods []*corev1.Pod) {
	for _, spec := range pods {
		if _, err := pub.ensure(spec, true); err != nil {
			pub.cfg.Log.Error("adopting the volumes of a pod", "pod", spec.Name, "namespace", spec.Namespace, "error", err)
		}
	}
}

// Sync tells that a pod has changed: files that depend on its labels, annotations,
// resources or users follow. A pod that was not set up is ignored.
func (pub *Publisher) Sync(spec *corev1.Pod) {
	if p := pub.pod(spec.UID); p != nil {
		pub.update(p, spec)
	}
}

func (pub *Publisher) update(p *pod, spec *corev1.Pod) {
	old := p.spec.Swap(spec)
	if old == spec || maps.Equal(old.Labels, spec.Labels) && maps.Equal(old.Annotations, spec.Annotations) && apiequality.Semantic.DeepEqual(old.Spec, spec.Spec) {
		return
	}
	version := spec.ResourceVersion
	p.version.Store(&version)
	for _, v := range p.inOrder() {
		pub.queue.Add(v)
	}
}

// ensure makes whatever of a pod's volumes is not made yet. adopted are those that an
// earlier process may have published.
func (pub *Publisher) ensure(spec *corev1.Pod, adopted bool) (*pod, error) {
	if err := CheckSegment(string(spec.UID)); err != nil {
		return nil, fmt.Errorf("pod %s/%s: uid: %w", spec.Namespace, spec.Name, err)
	}
	pub.mu.Lock()
	if pub.pods == nil {
		pub.mu.Unlock()
		return nil, fmt.Errorf("pod %s/%s: %w", spec.Namespace, spec.Name, ErrClosed)
	}
	p := pub.pods[spec.UID]
	if p == nil {
		p = newPod(pub.ctx, spec)
		pub.pods[spec.UID] = p
	}
	pub.mu.Unlock()
	pub.update(p, spec)

	p.mu.Lock()
	defer p.mu.Unlock()
	for i := range spec.Spec.Volumes {
		name := spec.Spec.Volumes[i].Name
		if p.volumes[name] != nil || p.ctx.Err() != nil {
			continue
		}
		v := pub.newVolume(p, spec, i)
		v.unseen = adopted
		p.volumes[name] = v
		pub.depend(v)
		pub.queue.Add(v)
	}
	return p, nil
}

// depend has v marked whenever something that it shows changes.
func (pub *Publisher) depend(v *volume) {
	v.mu.Lock() // a worker that is called already waits until all is there
	defer v.mu.Unlock()
	mark := func() { pub.queue.Add(v) }
	for _, s := range v.sources {
		if s.kind != kindPod {
			v.kept[s.key] = pub.cfg.Objects.Keep(s.key, mark)
		}
	}
	if len(v.tokens) == 0 {
		return
	}
	spec := v.pod.spec.Load()
	v.account = pub.cfg.Objects.Keep(objects.Key{Kind: objects.ServiceAccount, Namespace: spec.Namespace, Name: spec.Spec.ServiceAccountName}, mark)
	pub.mu.Lock()
	defer pub.mu.Unlock()
	for request := range v.tokens {
		if pub.users[request] == nil {
			pub.users[request] = map[*volume]struct{}{}
		}
		pub.users[request][v] = struct{}{}
	}
}

func (pub *Publisher) tokenChanged(r tokencache.Request) {
	pub.mu.Lock()
	defer pub.mu.Unlock()
	for v := range pub.users[r] {
		pub.queue.Add(v)
	}
}

// Forget stops all work on a pod, closes its places and gives up the tokens kept for
// it. Files stay. It waits for what is under way, but not for checks.
func (pub *Publisher) Forget(uid types.UID) {
	pub.mu.Lock()
	p := pub.pods[uid]
	delete(pub.pods, uid)
	pub.mu.Unlock()
	if p != nil {
		pub.drop(p)
		pub.cfg.Tokens.DropPod(uid)
	}
}

// drop stops all work on a pod.
func (pub *Publisher) drop(p *pod) {
	p.end()
	for _, v := range p.inOrder() {
		if err := v.close(); err != nil {
			pub.cfg.Log.Warn("closing a volume", "volume", v.source.Name, "uid", p.uid, "error", err)
		}
		pub.independ(v)
	}
	p.busy.Wait()
}

// independ undoes depend.
func (pub *Publisher) independ(v *volume) {
	for _, object := range v.kept {
		object.Release()
	}
	if v.account != nil {
		v.account.Release()
	}
	pub.mu.Lock()
	defer pub.mu.Unlock()
	for request := range v.tokens {
		delete(pub.users[request], v)
		if len(pub.users[request]) == 0 {
			delete(pub.users, request)
		}
	}
}
