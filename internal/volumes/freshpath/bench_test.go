package freshpath

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/yaml"

	"laterna.dev/laterna/api"
	"laterna.dev/laterna/internal/clock"
	"laterna.dev/laterna/internal/host/mounts"
	"laterna.dev/laterna/internal/host/procfs"
	"laterna.dev/laterna/internal/volumes/fakeapi"
	"laterna.dev/laterna/internal/volumes/objects"
	"laterna.dev/laterna/internal/volumes/place"
	"laterna.dev/laterna/internal/volumes/publish"
	"laterna.dev/laterna/internal/volumes/tokencache"
)

// bench is a follower over a real volume manager, with one pod in one test container.
type bench struct {
	*Follower
	t    testing.TB
	api  *fakeapi.Server
	vols *place.Manager
	root string
	pod  *corev1.Pod
	box  *box
	// published has a value for each publication.
	published chan publish.Publication

	mu     sync.Mutex
	events []string
}

// volumeV is a pod with a volume v of the ConfigMap cm and the given volumeMounts.
func volumeV(mounts string) string {
	return "{containers: [{name: c, volumeMounts: " + mounts + "}], volumes: [{name: v, configMap: {name: cm, optional: true}}]}"
}

// oneFile mounts the key file at /etc/file.
const oneFile = "[{name: v, mountPath: /etc/file, subPath: file}]"

// newBench sets a pod up. Afterwards no mount is left.
func newBench(t testing.TB, podSpec string, pairs ...string) *bench {
	t.Helper()
	b := &bench{t: t, api: fakeapi.New(t), root: filepath.Join(t.TempDir(), "pods"), published: make(chan publish.Publication, 1000)}
	b.api.Put(fakeapi.ConfigMap("ns", "cm", pairs...))
	ctx, cancel := context.WithCancel(context.Background())
	log := slog.New(slog.DiscardHandler)
	cache := objects.New(ctx, objects.Config{Client: b.api.Client(), Clock: clock.APIOf(clock.Real()), Log: log})
	var err error
	b.vols, err = place.New(ctx, place.Config{
		Objects: cache, Tokens: tokencache.New(ctx, tokencache.Config{Client: b.api.Client(), Clock: clock.APIOf(clock.Real()), Wall: clock.Real(), Log: log}),
		Root: b.root, Clock: clock.APIOf(clock.Real()), Wall: clock.Real(), Log: log,
		NodeAllocatable: func() corev1.ResourceList {
			return corev1.ResourceList{corev1.ResourceMemory: resource.MustParse("1Gi")}
		},
		Event:     func(*corev1.Pod, string, string, string) {},
		Published: func(_ *corev1.Pod, p publish.Publication) { b.published <- p },
	})
	if err != nil {
		t.Fatal(err)
	}
	b.Follower = New(Config{
		Volumes: b.vols, Log: log, Event: b.record,
		Running: func(types.UID) []Container { return []Container{{ID: "id", Name: "c"}} },
		Hold:    func(context.Context, string) (*procfs.Held, error) { return procfs.Hold(b.box.pid()) },
	})
	b.pod = &corev1.Pod{}
	if err := yaml.UnmarshalStrict([]byte(podSpec), &b.pod.Spec); err != nil {
		t.Fatal(err)
	}
	b.pod.Namespace, b.pod.Name, b.pod.UID = "ns", "p", "uid"
	b.pod.Annotations = map[string]string{api.SubPathUpdates: "true"}
	t.Cleanup(func() {
		b.Forget(b.pod.UID)
		if err := errors.Join(b.vols.Teardown(context.Background(), b.pod.UID), b.vols.Close()); err != nil {
			t.Error(err)
		}
		cancel()
		cache.Wait()
		if left, err := mounts.Under(b.root); err != nil || len(left) > 0 {
			t.Errorf("mounts left: %v, %v", left, errors.Join(err, mounts.Remove(b.root)))
		}
	})
	setup, done := context.WithTimeout(ctx, 10*time.Second)
	defer done()
	if err := b.vols.Setup(setup, b.pod); err != nil {
		t.Fatal(err)
	}
	return b
}

// contain starts the pod's container; flags are those of its mounts.
func (b *bench) contain(flags uintptr) *box {
	b.t.Helper()
	all, err := b.vols.MountsFor(b.pod, "c")
	if err != nil {
		b.t.Fatal(err)
	}
	s := spec{Root: b.t.TempDir()}
	for _, m := range all {
		s.Mounts = append(s.Mounts, bind{m.HostPath, m.ContainerPath, unix.MS_RDONLY | flags})
	}
	b.box = newBox(b.t, s)
	return b.box
}

func (b *bench) record(_ *corev1.Pod, eventType, reason, message string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.events = append(b.events, eventType+" "+reason+" "+message)
}

func (b *bench) told() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return append([]string(nil), b.events...)
}

// put publishes a new state of the ConfigMap.
func (b *bench) put(pairs ...string) {
	b.t.Helper()
	for len(b.published) > 0 {
		<-b.published
	}
	b.api.Put(fakeapi.ConfigMap("ns", "cm", pairs...))
	select {
	case <-b.published:
	case <-time.After(15 * time.Second):
		b.t.Fatal("not published")
	}
}

func (b *bench) fresh() { b.Fresh(b.t.Context(), b.pod, "v") }

// box is a test container.
type box struct {
	t   testing.TB
	cmd *exec.Cmd
	in  *json.Encoder
	out *json.Decoder
}

func newBox(t testing.TB, s spec) *box {
	t.Helper()
	config, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = append(os.Environ(), asContainer+"="+string(config))
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWNS}
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatalf("starting a container (needs root): %v", err)
	}
	x := &box{t, cmd, json.NewEncoder(in), json.NewDecoder(out)}
	t.Cleanup(func() {
		in.Close()
		cmd.Process.Kill()
		cmd.Wait()
	})
	var a answer
	if err := x.out.Decode(&a); err != nil || a.Out != "ready" {
		t.Fatalf("container: %+v, %v", a, err)
	}
	return x
}

func (x *box) pid() int { return x.cmd.Process.Pid }

// try has the container do something.
func (x *box) try(flags uintptr, op string, args ...string) answer {
	x.t.Helper()
	var a answer
	if err := errors.Join(x.in.Encode(order{op, args, flags}), x.out.Decode(&a)); err != nil {
		x.t.Fatalf("container: %s %q: %v", op, args, err)
	}
	return a
}

// do is try that must work.
func (x *box) do(flags uintptr, op string, args ...string) answer {
	x.t.Helper()
	a := x.try(flags, op, args...)
	if a.Err != "" {
		x.t.Fatalf("container: %s %q: %s", op, args, a.Err)
	}
	return a
}

func (x *box) read(path string) string {
	x.t.Helper()
	return x.do(0, "read", path).Out
}

// mounts are those of the container as its process sees them.
func (x *box) mounts() []mounts.Mount {
	x.t.Helper()
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/mountinfo", x.pid()))
	if err != nil {
		x.t.Fatal(err)
	}
	all, err := mounts.Read(strings.NewReader(string(raw)))
	if err != nil {
		x.t.Fatal(err)
	}
	return all
}

// at returns the mounts at a place of the container.
func (x *box) at(path string) (found []mounts.Mount) {
	x.t.Helper()
	for _, m := range x.mounts() {
		if m.Point == path {
			found = append(found, m)
		}
	}
	return found
}
