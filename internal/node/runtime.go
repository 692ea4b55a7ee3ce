package node

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"laterna.dev/laterna/internal/node/registration"
	"laterna.dev/laterna/internal/node/runspec"
	"laterna.dev/laterna/internal/runtime/cri"
)

const (
	// relistEvery bounds how long a lost event of the runtime goes unnoticed.
	relistEvery = time.Second
	// resubscribe is the pause before the runtime's events are asked for again.
	resubscribe = 200 * time.Millisecond
)

// runtime is the container runtime as the agent follows it.
type runtime struct {
	client   *cri.Client
	endpoint Endpoint
	version  cri.Version
	instance string

	mu sync.Mutex
	// owner has the pod of every sandbox and container of this instance.
	owner map[string]types.UID
	// seen is the last relist: the state of each sandbox and container.
	seen map[string]int
	err  error // of the last relist
}

// connect waits for the runtime and asks for its version.
func (a *Agent) connect(ctx context.Context) (*runtime, error) {
	endpoint, err := a.cfg.Runtime.Endpoint(ctx)
	if err != nil {
		return nil, fmt.Errorf("finding the container runtime: %w", err)
	}
	if err := cri.WaitSocket(ctx, a.cfg.Wall, endpoint.CRI); err != nil {
		return nil, err
	}
	client, err := cri.Dial(endpoint.CRI)
	if err != nil {
		return nil, err
	}
	rt := &runtime{client: client, endpoint: endpoint, instance: a.cfg.Instance, owner: map[string]types.UID{}, seen: map[string]int{}}
	for {
		if rt.version, err = client.Version(ctx); err == nil {
			a.cfg.Log.Info("container runtime connected", "runtime", rt.version.Name, "version", rt.version.Version)
			return rt, nil
		}
		select {
		case <-ctx.Done():
			client.Close()
			return nil, err
		case <-a.cfg.Wall.After(resubscribe):
		}
	}
}

// own records whose a sandbox or container is, so that events about it find their
// worker.
func (rt *runtime) own(id string, uid types.UID) {
	rt.mu.Lock()
	defer rt.mu.Unlock()
	rt.owner[id] = uid
}

// disown forgets what was removed.
func (rt *runtime) disown(id string) {
	rt.mu.Lock()
	defer rt.mu.Unlock()
	delete(rt.owner, id)
}

func (rt *runtime) ownerOf(id string) (types.UID, bool) {
	rt.mu.Lock()
	defer rt.mu.Unlock()
	uid, ok := rt.owner[id]
	return uid, ok
}

// mine selects everything of this instance, or of one pod of it.
func (rt *runtime) mine(uid types.UID) cri.Filter {
	f := cri.Filter{Labels: map[string]string{runspec.LabelInstance: rt.instance}}
	if uid != "" {
		f.Labels[runspec.LabelPodUID] = string(uid)
	}
	return f
}

// follow tells workers of what happens to their containers until ctx ends. Events
// are hints; what is lost while the stream is interrupted comes with the relist.
func (rt *runtime) follow(ctx context.Context, a *Agent) {
	native, quiet := false, false
	deliver := func(e cri.Event) {
		quiet = false
		uid, ok := rt.ownerOf(e.ID)
		if !ok {
			return
		}
		if w := a.worker(uid); w != nil {
			w.runtimeEvent(e)
		}
	}
	for ctx.Err() == nil {
		err := rt.subscribe(ctx, native, deliver)
		switch {
		case ctx.Err() != nil:
			return
		case errors.Is(err, cri.ErrNotOffered) && !native && rt.endpoint.Containerd != "":
			native = true
			continue
		case errors.Is(err, cri.ErrNotOffered):
			a.cfg.Log.Info("the runtime offers no events, relying on the relist")
			return
		}
		if !quiet {
			quiet = true
			a.cfg.Log.Warn("runtime events interrupted", "error", err)
		}
		select {
		case <-ctx.Done():
		case <-a.cfg.Wall.After(resubscribe):
		}
	}
}

// subscribe delivers events until they are interrupted: CRI's, or containerd's own.
func (rt *runtime) subscribe(ctx context.Context, native bool, deliver func(cri.Event)) error {
	if native {
		return cri.ContainerdEvents(ctx, rt.endpoint.Containerd, deliver)
	}
	return rt.client.Events(ctx, deliver)
}

// relist compares the runtime with the last look, every second, and wakes the
// workers of pods that changed; what has no worker is an orphan.
func (rt *runtime) relist(ctx context.Context, a *Agent) {
	ticker := a.cfg.Wall.NewTicker(relistEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C():
		}
		changed, err := rt.look(ctx)
		was := rt.failed(err)
		switch {
		case ctx.Err() != nil:
			return
		case err != nil && was == nil:
			a.cfg.Log.Warn("container runtime does not answer", "error", err)
			a.registrar.Changed()
		case err == nil && was != nil:
			a.cfg.Log.Info("container runtime answers again")
			a.registrar.Changed()
		}
		for uid, names := range changed {
			a.runtimeChanged(uid, names)
		}
	}
}

// failed remembers the outcome of a relist and returns the one before.
func (rt *runtime) failed(err error) error {
	rt.mu.Lock()
	defer rt.mu.Unlock()
	was := rt.err
	rt.err = err
	return was
}

// foundPod is a pod that has something on the runtime.
type foundPod struct {
	types.NamespacedName
	// seen is when the agent first saw the pod, as the pod's annotation says it.
	seen string
}

// look lists everything of this instance and returns the pods that have changed
// since the last look; those that have nothing left have no name.
func (rt *runtime) look(ctx context.Context) (map[types.UID]foundPod, error) {
	sandboxes, err := rt.client.ListSandboxes(ctx, rt.mine(""))
	if err != nil {
		return nil, err
	}
	containers, err := rt.client.ListContainers(ctx, rt.mine(""))
	if err != nil {
		return nil, err
	}
	rt.mu.Lock()
	defer rt.mu.Unlock()
	changed := map[types.UID]foundPod{}
	seen, owner := map[string]int{}, map[string]types.UID{}
	note := func(id string, state int, labels map[string]string, first string) {
		uid := types.UID(labels[runspec.LabelPodUID])
		seen[id], owner[id] = state, uid
		if was, ok := rt.seen[id]; !ok || was != state {
			changed[uid] = foundPod{
				NamespacedName: types.NamespacedName{Namespace: labels[runspec.LabelPodNamespace], Name: labels[runspec.LabelPodName]},
				seen:           cmp.Or(first, changed[uid].seen),
			}
		}
	}
	for _, s := range sandboxes {
		note(s.ID, int(s.State), s.Labels, s.Annotations[runspec.AnnotationSeen])
	}
	for _, c := range containers {
		note(c.ID, int(c.State), c.Labels, "")
	}
	for id := range rt.seen {
		uid := rt.owner[id]
		if _, noted := changed[uid]; !noted && owner[id] == "" {
			changed[uid] = foundPod{}
		}
	}
	// What a worker made since the list was read stays known.
	for id, uid := range rt.owner {
		if _, was := rt.seen[id]; !was {
			owner[id] = uid
		}
	}
	rt.seen, rt.owner = seen, owner
	return changed, nil
}

// runtimeState is what the node object says about the runtime.
func (a *Agent) runtimeState(ctx context.Context) registration.Runtime {
	rt := a.runtime.Load()
	if rt == nil {
		return registration.Runtime{NotReady: []string{"container runtime is down"}}
	}
	out := registration.Runtime{Version: rt.version.Name + "://" + rt.version.Version}
	conditions, err := rt.client.Status(ctx)
	if err != nil {
		out.NotReady = append(out.NotReady, "container runtime is down")
		return out
	}
	for _, c := range conditions {
		if c.Status || (c.Type != cri.RuntimeReady && c.Type != cri.NetworkReady) {
			continue
		}
		what := "container runtime not ready"
		if c.Type == cri.NetworkReady {
			what = "container runtime network not ready"
		}
		out.NotReady = append(out.NotReady, fmt.Sprintf("%s: %s=false reason:%s message:%s", what, c.Type, c.Reason, c.Message))
	}
	return out
}
