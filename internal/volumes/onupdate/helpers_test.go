package onupdate

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/yaml"

	"laterna.dev/laterna/api"
	"laterna.dev/laterna/internal/clock"
	"laterna.dev/laterna/internal/volumes/publish"
)

const podSpec = `
restartPolicy: Always
containers:
- {name: web, volumeMounts: [{name: config, mountPath: /etc/web}, {name: part, mountPath: /part, subPath: x}, {name: secret, mountPath: /s}]}
- {name: side, volumeMounts: [{name: config, mountPath: /c}]}
volumes:
- {name: config, configMap: {name: c}}
- {name: part, configMap: {name: d}}
- {name: secret, secret: {secretName: s}}
`

// bench is a Runner over containers that do what a test says.
type bench struct {
	*Runner
	t    *testing.T
	pod  *corev1.Pod
	dir  string
	stop func()

	mu         sync.Mutex
	containers map[string]Container // those that are missing are not known
	calls      []string
	events     []string
	changes    int
	published  map[string]string
	// exec, signal and restart are called without mu.
	exec    func(ctx context.Context, id string, command []string) (ExecResult, error)
	signal  func(id, name string) error
	restart func(ctx context.Context, r Restart) error
	fresh   func(volume string)
}

// newBench has a pod with the rules; both of its containers run.
func newBench(t *testing.T, rules string) *bench {
	t.Helper()
	b := &bench{
		t: t, dir: t.TempDir(), published: map[string]string{},
		containers: map[string]Container{"web": {ID: "web-1", Running: true}, "side": {ID: "side-1", Running: true}},
		pod:        &corev1.Pod{},
		exec:       func(context.Context, string, []string) (ExecResult, error) { return ExecResult{}, nil },
		signal:     func(string, string) error { return nil },
		restart:    func(context.Context, Restart) error { return nil },
	}
	b.pod.Namespace, b.pod.Name, b.pod.UID = "ns", "p", "uid"
	if err := yaml.UnmarshalStrict([]byte(podSpec), &b.pod.Spec); err != nil {
		t.Fatal(err)
	}
	b.annotate(rules)
	b.start()
	return b
}

func (b *bench) annotate(rules string) {
	b.pod = b.pod.DeepCopy()
	b.pod.Annotations = map[string]string{api.OnUpdate: rules}
}

// start starts a Runner as a new process does.
func (b *bench) start() {
	ctx, cancel := context.WithCancel(context.Background())
	b.Runner = New(ctx, Config{
		Container: func(_ types.UID, name string) (Container, bool) {
			b.mu.Lock()
			defer b.mu.Unlock()
			c, ok := b.containers[name]
			return c, ok
		},
		Exec: func(ctx context.Context, id string, command []string, timeout time.Duration) (ExecResult, error) {
			b.call("exec %s %s in %s", id, strings.Join(command, " "), timeout)
			return b.exec(ctx, id, command)
		},
		Signal: func(_ context.Context, id, name string) error {
			b.call("signal %s %s", id, name)
			return b.signal(id, name)
		},
		Restart: func(ctx context.Context, r Restart) error {
			b.call("restart %s %s: %s", r.Container, r.ID, r.Message)
			return b.restart(ctx, r)
		},
		Fresh: func(_ context.Context, _ *corev1.Pod, volume string) {
			if b.fresh != nil {
				b.fresh(volume)
			}
		},
		Generations: func(types.UID) map[string]string {
			b.mu.Lock()
			defer b.mu.Unlock()
			out := map[string]string{}
			for k, v := range b.published {
				out[k] = v
			}
			return out
		},
		PodDir: func(types.UID) string { return b.dir },
		Event: func(_ *corev1.Pod, container, eventType, reason, message string) {
			b.mu.Lock()
			defer b.mu.Unlock()
			b.events = append(b.events, strings.TrimSpace(eventType+" "+reason+" "+container)+": "+message)
		},
		Changed: func(types.UID) {
			b.mu.Lock()
			defer b.mu.Unlock()
			b.changes++
		},
		Clock: clock.Real(), Log: slog.New(slog.NewTextHandler(b.t.Output(), nil)),
	})
	b.stop = func() { cancel(); b.Wait() }
}

// publish publishes a generation of a volume.
func (b *bench) publish(volume, generation string) {
	b.mu.Lock()
	_, had := b.published[volume]
	b.published[volume] = generation
	b.mu.Unlock()
	b.Published(b.pod, publish.Publication{Volume: volume, Generation: generation, First: !had, Content: true})
}

func (b *bench) call(format string, args ...any) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.calls = append(b.calls, fmt.Sprintf(format, args...))
}

// took returns the calls and the events since it was asked last.
func (b *bench) took() (calls, events []string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	calls, events = b.calls, b.events
	b.calls, b.events = nil, nil
	return calls, events
}

// wants compares what happened since the last look.
func (b *bench) wants(calls []string, events ...string) {
	b.t.Helper()
	gotCalls, gotEvents := b.took()
	if !slices.Equal(gotCalls, calls) {
		b.t.Errorf("calls\n%q, want\n%q", gotCalls, calls)
	}
	if !slices.Equal(gotEvents, events) {
		b.t.Errorf("events\n%q, want\n%q", gotEvents, events)
	}
}

func (b *bench) set(name string, c Container) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.containers[name] = c
}

// result is the outcome of a volume's check or action.
func (b *bench) result(volume string, check bool) Outcome {
	for _, o := range b.Outcomes(b.pod.UID) {
		if o.Volume == volume && o.Check == check {
			return o
		}
	}
	return Outcome{}
}
