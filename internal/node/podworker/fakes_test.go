package podworker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	apiruntime "k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"

	"laterna.dev/laterna/internal/clock"
	"laterna.dev/laterna/internal/node/hook"
	"laterna.dev/laterna/internal/node/imagepull"
	"laterna.dev/laterna/internal/node/probe"
	"laterna.dev/laterna/internal/node/resize"
	"laterna.dev/laterna/internal/runtime/cri"
	"laterna.dev/laterna/internal/volumes/freshpath"
	"laterna.dev/laterna/internal/volumes/objects"
	"laterna.dev/laterna/internal/volumes/place"
)

// machine is all that a worker stands on, in memory: it does at once what it is asked,
// and notes in which order.
type machine struct {
	t   *testing.T
	dir string
	// absent has the image pulled; pulls has one for each pull under way, which ends only
	// with its context.
	absent bool
	pulls  chan struct{}
	// published ends the publishing of volumes.
	published chan struct{}
	// prober runs commands on the machine.
	prober *probe.Prober
	// hook runs hooks; nil does nothing.
	hook func(ctx context.Context, h *corev1.LifecycleHandler) error
	// command answers the commands of probes; nil has them succeed.
	command func(command []string) (int32, error)
	// unbound fails the binding of sandboxes to their addresses while it is set.
	unbound atomic.Bool
	// lag is how many looks at the containers still show those in stopped as running.
	lag     int
	stopped []string

	mu         sync.Mutex
	did        []string
	sandboxes  []cri.Sandbox
	containers []cri.Container
	status     corev1.PodStatus // as the API has it
}

func newMachine(t *testing.T) *machine {
	m := &machine{t: t, dir: t.TempDir(), pulls: make(chan struct{}, 10), published: make(chan struct{})}
	close(m.published)
	m.prober = probe.New(probe.Config{Exec: m, Version: "1.37", Wall: clock.Real()})
	done := make(chan struct{})
	ctx, cancel := context.WithCancel(context.Background())
	go func() { m.prober.Run(ctx); close(done) }()
	t.Cleanup(func() { cancel(); <-done })
	return m
}

// deps are those of a worker on this machine.
func (m *machine) deps() *Deps {
	logs, err := os.OpenRoot(m.t.TempDir())
	if err != nil {
		m.t.Fatal(err)
	}
	m.t.Cleanup(func() { logs.Close() })
	log := slog.New(slog.NewTextHandler(m.t.Output(), nil))
	images := &imagepull.Getter{Find: m.ImageStatus, Pulls: m, Pulled: func() {}, Events: nothing{}, Clock: clock.APIOf(clock.Real()), Wall: clock.Real(), Log: log}
	return &Deps{
		Node: Node{
			IPs: []string{"192.0.2.1"}, ClusterDomain: "cluster.local", Instance: "i", Root: m.dir, LogRoot: logs.Name(), Runtime: "fake",
			Memory: 1 << 30, Allocatable: func() corev1.ResourceList { return nil },
		},
		Runtime: m, Images: images, Inventory: inventory{}, Groups: groups{m}, Resizes: resizes{m}, Volumes: volumes{m}, SubPaths: nothing{}, Updates: nothing{}, Projections: projections{m},
		Objects: nothing{}, Probes: m.prober, Hooks: m, Pods: func(string) Pods { return pods{m} }, Services: func() []*corev1.Service { return nil }, Events: nothing{},
		Logs: logs, Turn: func(context.Context) (func(), bool) { return func() {}, true }, NoClusterDNS: func() {},
		Network: m,
		Stop: func(ctx context.Context, c cri.Container, grace time.Duration) error {
			return m.StopContainer(ctx, c.ID, grace)
		},
		Handler: func(_ context.Context, class string) (string, error) {
			if class == "missing" {
				return "", errors.New(`runtimeclasses.node.k8s.io "missing" not found`)
			}
			return "handler-of-" + class, nil
		},

		Clock: clock.APIOf(clock.Real()), Wall: clock.Real(), Log: log,
	}
}

// note notes what is done, with what change makes of the machine.
func (m *machine) note(change func(), format string, args ...any) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.did = append(m.did, fmt.Sprintf(format, args...))
	if change != nil {
		change()
	}
}

// done is what was done until now.
func (m *machine) done() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.did)
}

func (m *machine) ListSandboxes(context.Context, cri.Filter) ([]cri.Sandbox, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.sandboxes), nil
}

func (m *machine) SandboxStatus(_ context.Context, id string) (cri.Sandbox, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, s := range m.sandboxes {
		if s.ID == id {
			return s, nil
		}
	}
	return cri.Sandbox{}, cri.ErrNotFound
}

func (m *machine) Connected(_ context.Context, sandbox string) ([]string, error) {
	m.note(nil, "bind %s", sandbox)
	if m.unbound.Load() {
		return nil, errors.New("no rules today")
	}
	return nil, nil
}

func (m *machine) Disconnected(context.Context) error { return nil }

func (m *machine) RunSandbox(_ context.Context, spec *cri.SandboxSpec) (string, error) {
	id, by := fmt.Sprintf("sandbox%d", spec.Attempt), ""
	if spec.RuntimeHandler != "" {
		by = " by " + spec.RuntimeHandler
	}
	m.note(func() {
		m.sandboxes = append(m.sandboxes, cri.Sandbox{ID: id, Attempt: spec.Attempt, IPs: []string{"10.0.0.9"}})
	}, "run sandbox%s", by)
	return id, nil
}

func (m *machine) StopSandbox(_ context.Context, id string) error {
	m.note(func() {
		for i := range m.sandboxes {
			m.sandboxes[i].State = cri.SandboxNotReady
		}
	}, "stop sandbox")
	return nil
}

func (m *machine) RemoveSandbox(_ context.Context, id string) error {
	m.note(func() { m.sandboxes = nil }, "remove sandbox")
	return nil
}

func (m *machine) ListContainers(context.Context, cri.Filter) ([]cri.Container, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.stopped) > 0 {
		if m.lag--; m.lag == 0 {
			for _, id := range m.stopped {
				m.ends(id, cri.ContainerExited, 7)
			}
			m.stopped = nil
		}
	}
	return slices.Clone(m.containers), nil
}

func (m *machine) ContainerStatus(_ context.Context, id string) (cri.Container, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, c := range m.containers {
		if c.ID == id {
			return c, nil
		}
	}
	return cri.Container{}, cri.ErrNotFound
}

func (m *machine) CreateContainer(_ context.Context, sandbox string, spec *cri.ContainerSpec, _ *cri.SandboxSpec) (string, error) {
	id := fmt.Sprintf("%s%d", spec.Name, spec.Attempt)
	m.note(func() {
		m.containers = append(m.containers, cri.Container{
			ID: id, SandboxID: sandbox, Name: spec.Name, Attempt: spec.Attempt, Annotations: spec.Annotations, CreatedAt: time.Now(),
		})
	}, "create %s", spec.Name)
	return id, nil
}

// ends has a container be in another state.
func (m *machine) ends(id string, state cri.ContainerState, code int32) {
	for i := range m.containers {
		if c := &m.containers[i]; c.ID == id {
			c.State, c.ExitCode = state, code
			if state == cri.ContainerExited {
				c.FinishedAt = time.Now()
			}
		}
	}
}

func (m *machine) StartContainer(_ context.Context, id string) error {
	m.note(func() { m.ends(id, cri.ContainerRunning, 0) }, "start %s", id)
	return nil
}

func (m *machine) StopContainer(_ context.Context, id string, grace time.Duration) error {
	m.note(func() {
		if m.lag == 0 {
			m.ends(id, cri.ContainerExited, 0)
		} else {
			m.stopped = append(m.stopped, id)
		}
	}, "stop %s", id)
	return nil
}

func (m *machine) RemoveContainer(_ context.Context, id string) error {
	m.note(func() {
		m.containers = slices.DeleteFunc(m.containers, func(c cri.Container) bool { return c.ID == id })
	}, "remove %s", id)
	return nil
}

func (m *machine) Run(ctx context.Context, c hook.Container, h *corev1.LifecycleHandler) (string, error) {
	m.note(nil, "hook of %s", c.ID)
	if m.hook == nil {
		return "", nil
	}
	return "", m.hook(ctx, h)
}

func (m *machine) ExecSync(_ context.Context, _ string, command []string, _ time.Duration) (cri.ExecResult, error) {
	if m.command == nil {
		return cri.ExecResult{}, nil
	}
	code, err := m.command(command)
	return cri.ExecResult{ExitCode: code}, err
}

func (m *machine) ImageStatus(context.Context, string) (*cri.Image, error) {
	if m.absent {
		return nil, nil
	}
	return &cri.Image{ID: "image"}, nil
}

func (m *machine) Pull(ctx context.Context, _ *corev1.Pod, _ string, _ *cri.SandboxSpec) (*cri.Image, time.Duration, error) {
	m.pulls <- struct{}{}
	<-ctx.Done()
	return nil, 0, ctx.Err()
}

func (m *machine) May(context.Context, *corev1.Pod, string, *cri.Image) (bool, error) {
	return true, nil
}

func (m *machine) CheckName(string) error { return nil }

type inventory struct{}

func (inventory) Own(string, types.UID)   {}
func (inventory) Disown(string)           {}
func (inventory) Of(types.UID) cri.Filter { return cri.Filter{} }

type groups struct{ m *machine }

func (groups) Pod(types.UID) string { return "group" }

func (g groups) RemovePod(types.UID) error {
	g.m.note(nil, "remove group")
	return nil
}

// resizes allocates what is asked for and resizes nothing.
type resizes struct{ m *machine }

func (resizes) Add(*corev1.Pod)                                            {}
func (resizes) Forget(types.UID)                                           {}
func (resizes) View(pod *corev1.Pod) *corev1.Pod                           { return pod }
func (resizes) Told(types.UID) (c []corev1.PodCondition, a resize.Amounts) { return c, a }
func (resizes) Restarting(types.UID) map[string]string                     { return nil }
func (resizes) Starting(types.UID, *corev1.Container)                      {}

func (r resizes) MakeGroup(*corev1.Pod) error {
	r.m.note(nil, "make group")
	return nil
}

func (resizes) Apply(context.Context, *corev1.Pod, []cri.Container) (restart []cri.Container, pause time.Duration) {
	return nil, 0
}

type volumes struct{ m *machine }

func (v volumes) Setup(ctx context.Context, _ *corev1.Pod) error {
	select {
	case <-v.m.published:
		v.m.note(nil, "publish")
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (volumes) Sync(*corev1.Pod)                                                 {}
func (volumes) MountsFor(*corev1.Pod, string) ([]place.Mount, error)             { return nil, nil }
func (volumes) MountImages(context.Context, imagepull.Request) *imagepull.Answer { return nil }
func (v volumes) PodDir(types.UID) string                                        { return v.m.dir }

func (volumes) ReadFile(types.UID, string, string, int64) ([]byte, error) { return nil, os.ErrNotExist }

func (v volumes) Teardown(context.Context, types.UID) error {
	v.m.note(nil, "tear down")
	return nil
}

type projections struct{ m *machine }

func (projections) Add(*corev1.Pod)                     {}
func (p projections) Remove(context.Context, types.UID) { p.m.note(nil, "remove projection") }

// pods are the API; what has the same phase as before is not noted.
type pods struct{ m *machine }

func (p pods) Get(context.Context, string, metav1.GetOptions) (*corev1.Pod, error) {
	return nil, fmt.Errorf("not asked for")
}

func (p pods) UpdateStatus(_ context.Context, pod *corev1.Pod, _ metav1.UpdateOptions) (*corev1.Pod, error) {
	p.m.mu.Lock()
	defer p.m.mu.Unlock()
	if p.m.status.Phase != pod.Status.Phase {
		p.m.did = append(p.m.did, "report "+string(pod.Status.Phase))
	}
	p.m.status = pod.Status
	return pod, nil
}

func (p pods) Delete(_ context.Context, _ string, o metav1.DeleteOptions) error {
	p.m.note(nil, "delete pod %s", *o.Preconditions.UID)
	return nil
}

// nothing does nothing.
type nothing struct{}

func (nothing) Started(context.Context, *corev1.Pod, freshpath.Container) bool { return true }
func (nothing) Forget(types.UID)                                               {}
func (nothing) Sync(*corev1.Pod)                                               {}
func (nothing) Event(apiruntime.Object, string, string, string)                {}
func (nothing) Eventf(apiruntime.Object, string, string, string, ...any)       {}
func (nothing) Acquire(objects.Key, func()) func()                             { return func() {} }
func (nothing) Secret(context.Context, string, string) (*corev1.Secret, error) {
	return nil, os.ErrNotExist
}
func (nothing) ConfigMap(context.Context, string, string) (*corev1.ConfigMap, error) {
	return nil, os.ErrNotExist
}
