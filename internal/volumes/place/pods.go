package place

import (
	"context"
	"fmt"
	"maps"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apiequality "k8s.io/apimachinery/pkg/api/equality"

	"laterna.dev/laterna/internal/volumes/tokencache"
)

// Setup makes the volumes of a pod and returns when each is mounted and published.
// What is missing (an object, a key, a token) is waited for, with FailedMount events
// meanwhile; Setup goes on within milliseconds when it appears. It returns an error
// only if ctx ends, the pod is torn down, or its uid cannot name a directory. It may
// be called again, also with a newer pod.
func (m *Manager) Setup(ctx context.Context, spec *corev1.Pod) error {
	p, err := m.ensure(spec, false)
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
func (m *Manager) Adopt(pods []*corev1.Pod) {
	for _, spec := range pods {
		if _, err := m.ensure(spec, true); err != nil {
			m.cfg.Log.Error("adopting the volumes of a pod", "pod", spec.Name, "namespace", spec.Namespace, "error", err)
		}
	}
}

// Sync tells that a pod has changed: files that depend on its labels, annotations,
// resources or users follow. A pod that was not set up is ignored.
func (m *Manager) Sync(spec *corev1.Pod) {
	m.mu.Lock()
	p := m.pods[spec.UID]
	m.mu.Unlock()
	if p != nil {
		m.update(p, spec)
	}
}

func (m *Manager) update(p *pod, spec *corev1.Pod) {
	old := p.spec.Swap(spec)
	if old == spec || maps.Equal(old.Labels, spec.Labels) && maps.Equal(old.Annotations, spec.Annotations) && apiequality.Semantic.DeepEqual(old.Spec, spec.Spec) {
		return
	}
	version := spec.ResourceVersion
	p.version.Store(&version)
	for _, v := range p.inOrder() {
		m.queue.Add(v)
	}
}

// ensure makes whatever of a pod's volumes is not made yet. adopted are those that an
// earlier process may have published.
func (m *Manager) ensure(spec *corev1.Pod, adopted bool) (*pod, error) {
	if err := checkSegment(string(spec.UID)); err != nil {
		return nil, fmt.Errorf("pod %s/%s: uid: %w", spec.Namespace, spec.Name, err)
	}
	m.mu.Lock()
	if m.pods == nil {
		m.mu.Unlock()
		return nil, fmt.Errorf("pod %s/%s: %w", spec.Namespace, spec.Name, errClosed)
	}
	p := m.pods[spec.UID]
	if p == nil {
		p = newPod(m.ctx, spec)
		m.pods[spec.UID] = p
	}
	m.mu.Unlock()
	m.update(p, spec)

	p.mu.Lock()
	defer p.mu.Unlock()
	for i := range spec.Spec.Volumes {
		name := spec.Spec.Volumes[i].Name
		if p.volumes[name] != nil || p.ctx.Err() != nil {
			continue
		}
		v := newVolume(p, spec, i)
		v.unseen = adopted
		p.volumes[name] = v
		m.depend(v)
		m.queue.Add(v)
	}
	return p, nil
}

// depend has v marked whenever something that it shows changes.
func (m *Manager) depend(v *volume) {
	v.mu.Lock() // a worker that is called already waits until all is there
	defer v.mu.Unlock()
	mark := func() { m.queue.Add(v) }
	for _, s := range v.sources {
		if s.kind != kindPod {
			v.kept[s.key] = m.cfg.Objects.Keep(s.key, mark)
		}
	}
	if len(v.tokens) == 0 {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for request := range v.tokens {
		if m.users[request] == nil {
			m.users[request] = map[*volume]struct{}{}
		}
		m.users[request][v] = struct{}{}
	}
}

func (m *Manager) tokenChanged(r tokencache.Request) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for v := range m.users[r] {
		m.queue.Add(v)
	}
}
