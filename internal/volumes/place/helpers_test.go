package place_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/yaml"

	"laterna.dev/laterna/internal/clock"
	"laterna.dev/laterna/internal/host/mounts"
	"laterna.dev/laterna/internal/volumes/fakeapi"
	"laterna.dev/laterna/internal/volumes/objects"
	"laterna.dev/laterna/internal/volumes/place"
	"laterna.dev/laterna/internal/volumes/publish"
	"laterna.dev/laterna/internal/volumes/tokencache"
)

// bench is a manager over real mounts and an API server.
type bench struct {
	*place.Manager
	t    testing.TB
	api  *fakeapi.Server
	root string
	pods []*corev1.Pod
	end  func() error // of the manager
	// config, unless nil, changes the configuration of each manager.
	config func(*place.Config)
	tokens *tokencache.Cache

	mu        sync.Mutex
	events    []string
	published []publish.Publication
}

// newBench works in a new directory, from which all pods are torn down after the
// test; then it is checked to be free of mounts.
func newBench(t testing.TB, api *fakeapi.Server) *bench {
	t.Helper()
	return newBenchWith(t, api, nil)
}

// newBenchWith is newBench with another configuration.
func newBenchWith(t testing.TB, api *fakeapi.Server, config func(*place.Config)) *bench {
	t.Helper()
	b := &bench{t: t, api: api, root: filepath.Join(t.TempDir(), "pods"), config: config}
	b.start()
	t.Cleanup(func() {
		for _, p := range b.pods {
			b.teardown(p)
		}
		if err := b.end(); err != nil {
			t.Error(err)
		}
		if left, err := mounts.Under(b.root); err != nil || len(left) > 0 {
			t.Errorf("mounts left: %v, %v", left, errors.Join(err, mounts.Remove(b.root)))
		}
	})
	return b
}

// start starts a manager, as a process does.
func (b *bench) start() {
	b.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	log := slog.New(slog.DiscardHandler)
	client := b.api.Client()
	cache := objects.New(ctx, objects.Config{Client: client, Clock: clock.APIOf(clock.Real()), Log: log})
	b.tokens = tokencache.New(ctx, tokencache.Config{Client: client, Clock: clock.APIOf(clock.Real()), Wall: clock.Real(), Log: log})
	config := place.Config{
		Objects: cache, Tokens: b.tokens,
		Root: b.root, Clock: clock.APIOf(clock.Real()), Wall: clock.Real(), Log: log,
		NodeAllocatable: func() corev1.ResourceList {
			return corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("4"), corev1.ResourceMemory: resource.MustParse("1Gi")}
		},
		Event: b.record, Published: b.publish,
	}
	if b.config != nil {
		b.config(&config)
	}
	m, err := place.New(ctx, config)
	if err != nil {
		b.t.Fatal(err)
	}
	b.Manager = m
	b.end = func() error { err := m.Close(); cancel(); cache.Wait(); return err }
}

// restart replaces the manager by a new one that knows nothing.
func (b *bench) restart() {
	b.t.Helper()
	if err := b.end(); err != nil {
		b.t.Error(err)
	}
	b.start()
}

func (b *bench) record(pod *corev1.Pod, eventType, reason, message string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.events = append(b.events, fmt.Sprintf("%s %s %s %s", pod.Name, eventType, reason, message))
}

func (b *bench) publish(_ *corev1.Pod, p publish.Publication) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.published = append(b.published, p)
}

// publications returns those so far.
func (b *bench) publications() []publish.Publication {
	b.mu.Lock()
	defer b.mu.Unlock()
	return append([]publish.Publication(nil), b.published...)
}

// rotate replaces all tokens.
func (b *bench) rotate() {
	b.tokens.Renew(func(tokencache.Request, tokencache.Token) bool { return true })
}

// status is what the pod's only volume shows.
func (b *bench) status(p *corev1.Pod) publish.Status {
	b.t.Helper()
	all := b.Snapshot(p.UID)
	if len(all) != 1 {
		b.t.Fatalf("snapshot %+v", all)
	}
	return all[0]
}

func (b *bench) told() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return append([]string(nil), b.events...)
}

// pod makes a pod from its spec; it is torn down after the test.
func (b *bench) pod(name, spec string) *corev1.Pod {
	b.t.Helper()
	p := &corev1.Pod{}
	if err := yaml.UnmarshalStrict([]byte(spec), &p.Spec); err != nil {
		b.t.Fatal(err)
	}
	p.Namespace, p.Name, p.UID = "ns", name, types.UID("uid-"+name)
	p.Spec.ServiceAccountName = "sa"
	b.pods = append(b.pods, p)
	return p
}

func (b *bench) teardown(p *corev1.Pod) {
	b.t.Helper()
	if err := b.Teardown(context.Background(), p.UID); err != nil {
		b.t.Error(err)
	}
	if _, err := os.Lstat(b.PodDir(p.UID)); !os.IsNotExist(err) {
		b.t.Errorf("pod directory: %v", err)
	}
}

// setup sets a pod up within a few seconds.
func (b *bench) setup(p *corev1.Pod) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.t.Context(), 10*time.Second)
	defer cancel()
	if err := b.Setup(ctx, p); err != nil {
		b.t.Fatal(err)
	}
}

// mount returns the host path of the only mount of container c.
func (b *bench) mount(p *corev1.Pod) string {
	b.t.Helper()
	all, err := b.MountsFor(p, p.Spec.Containers[0].Name)
	if err != nil || len(all) != 1 {
		b.t.Fatalf("%v, %v", all, err)
	}
	return all[0].HostPath
}

// read reads a file of a volume.
func read(path ...string) string {
	data, err := os.ReadFile(filepath.Join(path...))
	if err != nil {
		return err.Error()
	}
	return string(data)
}

func eventually(t testing.TB, what string, done func() bool) time.Duration {
	t.Helper()
	began := time.Now()
	for !done() {
		if time.Since(began) > 10*time.Second {
			t.Fatalf("did not happen: %s", what)
		}
		time.Sleep(50 * time.Microsecond)
	}
	return time.Since(began)
}

// one is the spec of a pod with one volume v, mounted at /v.
func one(volume string) string {
	return "{containers: [{name: c, volumeMounts: [{name: v, mountPath: /v}]}], volumes: [{name: v, " + strings.TrimSpace(volume) + "}]}"
}
