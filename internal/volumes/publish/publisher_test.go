package publish_test

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"laterna.dev/laterna/internal/clock"
	"laterna.dev/laterna/internal/volumes/fakeapi"
	"laterna.dev/laterna/internal/volumes/objects"
	"laterna.dev/laterna/internal/volumes/publish"
	"laterna.dev/laterna/internal/volumes/tokencache"
	"laterna.dev/laterna/projection/atomicdir"
)

// plain is a Place that is an ordinary directory of whoever runs the test.
type plain struct {
	path    string
	fail    error // of the next Open
	content *atomicdir.Dir
	opened  int
	closed  int
}

func (p *plain) Open(*corev1.Pod) (*atomicdir.Dir, error) {
	p.opened++
	if err := p.fail; err != nil {
		p.fail = nil
		return nil, err
	}
	if err := os.MkdirAll(p.path, 0o755); err != nil {
		return nil, err
	}
	var err error
	p.content, err = atomicdir.Open(p.path, atomicdir.Options{})
	return p.content, err
}

func (p *plain) Gone() (string, error) {
	if _, err := os.Lstat(p.path); errors.Is(err, fs.ErrNotExist) {
		return "removed", nil
	}
	return "", nil
}

func (p *plain) Empty() bool {
	_, err := os.Lstat(filepath.Join(p.path, "..data"))
	return errors.Is(err, fs.ErrNotExist)
}

func (p *plain) Written(string) time.Time      { return time.Time{} }
func (p *plain) Fit(*corev1.Pod) time.Duration { return 0 }
func (p *plain) Grow() bool                    { return false }
func (p *plain) Grown() bool                   { return false }
func (p *plain) Lost()                         { p.content.Close(); p.content = nil }

func (p *plain) Close() error {
	p.closed++
	if p.content == nil {
		return nil
	}
	return p.content.Close()
}

// bench is a publisher over plain directories and an API server.
type bench struct {
	*publish.Publisher
	t    *testing.T
	api  *fakeapi.Server
	root string
	gate publish.Gate

	mu     sync.Mutex
	places map[string]*plain // by <uid>/<volume>
	fail   error             // of each place's first Open
	events []string
	came   []publish.Publication
	tokens *tokencache.Cache
	end    func()
}

func newBench(t *testing.T, gate publish.Gate) *bench {
	t.Helper()
	b := &bench{t: t, api: fakeapi.New(t), root: t.TempDir(), gate: gate}
	b.start()
	t.Cleanup(func() { b.end() })
	return b
}

// start starts a publisher that knows nothing, as a process does.
func (b *bench) start() {
	ctx, cancel := context.WithCancel(context.Background())
	log := slog.New(slog.DiscardHandler)
	cache := objects.New(ctx, objects.Config{Client: b.api.Client(), Clock: clock.APIOf(clock.Real()), Log: log})
	b.places = map[string]*plain{}
	b.tokens = tokencache.New(ctx, tokencache.Config{Client: b.api.Client(), Clock: clock.APIOf(clock.Real()), Wall: clock.Real(), Log: log})
	b.Publisher = publish.New(ctx, publish.Config{
		Objects: cache, Tokens: b.tokens, Place: b.place,
		Clock: clock.APIOf(clock.Real()), Wall: clock.Real(), Log: log,
		NodeAllocatable: func() corev1.ResourceList { return nil },
		Event: func(_ *corev1.Pod, eventType, reason, message string) {
			b.mu.Lock()
			defer b.mu.Unlock()
			b.events = append(b.events, strings.Join([]string{eventType, reason, message}, " "))
		},
		Gate: b.gate,
		Published: func(_ *corev1.Pod, p publish.Publication) {
			b.mu.Lock()
			defer b.mu.Unlock()
			b.came = append(b.came, p)
		},
	})
	b.end = func() { b.Close(); cancel(); cache.Wait() }
}

func (b *bench) place(_ context.Context, spec *corev1.Pod, index int) publish.Place {
	b.mu.Lock()
	defer b.mu.Unlock()
	name := string(spec.UID) + "/" + spec.Spec.Volumes[index].Name
	p := &plain{path: filepath.Join(b.root, name), fail: b.fail}
	b.places[name] = p
	return p
}

func (b *bench) told() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.events)
}

func (b *bench) setup(p *corev1.Pod) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.t.Context(), 10*time.Second)
	defer cancel()
	if err := b.Setup(ctx, p); err != nil {
		b.t.Fatal(err)
	}
}

func (b *bench) read(p *corev1.Pod, file string) string {
	data, err := os.ReadFile(filepath.Join(b.root, string(p.UID), "v", file))
	if err != nil {
		return err.Error()
	}
	return string(data)
}

func (b *bench) eventually(what string, done func() bool) {
	b.t.Helper()
	for end := time.Now().Add(10 * time.Second); !done(); time.Sleep(100 * time.Microsecond) {
		if time.Now().After(end) {
			b.t.Fatalf("did not happen: %s", what)
		}
	}
}

// pod has a volume v of a ConfigMap c and a token.
func pod(name string) *corev1.Pod {
	p := &corev1.Pod{}
	p.Namespace, p.Name, p.UID = "ns", name, types.UID("uid-"+name)
	p.Spec.ServiceAccountName = "sa"
	p.Spec.Volumes = []corev1.Volume{{Name: "v", VolumeSource: corev1.VolumeSource{Projected: &corev1.ProjectedVolumeSource{Sources: []corev1.VolumeProjection{
		{ConfigMap: &corev1.ConfigMapProjection{LocalObjectReference: corev1.LocalObjectReference{Name: "c"}}},
		{ServiceAccountToken: &corev1.ServiceAccountTokenProjection{Path: "token"}},
	}}}}}
	return p
}

func TestPlainDirectoryFollowsItsSources(t *testing.T) {
	b := newBench(t, nil)
	b.api.Put(fakeapi.ConfigMap("ns", "c", "k", "1"))
	p := pod("p")
	b.setup(p)
	first := b.read(p, "token")
	if got := b.read(p, "k"); got != "1" || !strings.HasPrefix(first, "token-") {
		t.Fatalf("k %q, token %q", got, first)
	}
	b.api.Put(fakeapi.ConfigMap("ns", "c", "k", "2"))
	b.eventually("the update", func() bool { return b.read(p, "k") == "2" })
	b.tokens.Renew(func(tokencache.Request, tokencache.Token) bool { return true })
	b.eventually("the fresh token", func() bool { return b.read(p, "token") != first })
	b.eventually("in step", func() bool { return b.TokensBehind() == 0 && b.Snapshot(p.UID)[0].Problem == "" })
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.came) != 3 || !b.came[0].First || !b.came[1].Content || b.came[2].Content {
		t.Errorf("publications %+v", b.came)
	}
}

func TestAdoptedDirectoryGetsWhatIsNewer(t *testing.T) {
	b := newBench(t, nil)
	b.api.Put(fakeapi.ConfigMap("ns", "c", "k", "1"))
	p := pod("p")
	b.setup(p)
	b.end()
	b.api.Put(fakeapi.ConfigMap("ns", "c", "k", "2"))
	b.start()
	if b.Knows(p.UID) {
		t.Error("known before it was adopted")
	}
	b.Adopt([]*corev1.Pod{p})
	if got := b.TokensBehind(); got != 1 {
		t.Errorf("%d volumes behind before the first look", got)
	}
	b.eventually("the update", func() bool { return b.read(p, "k") == "2" })
}

func TestPlaceThatCannotBeOpenedIsTriedAgain(t *testing.T) {
	b := newBench(t, nil)
	b.fail = errors.New("the disk is away")
	b.api.Put(fakeapi.ConfigMap("ns", "c", "k", "1"))
	p := pod("p")
	b.setup(p)
	if got := b.read(p, "k"); got != "1" {
		t.Error(got)
	}
	if want := []string{`Warning FailedMount MountVolume.SetUp failed for volume "v" : the disk is away`}; !slices.Equal(b.told(), want) {
		t.Errorf("events %q, want %q", b.told(), want)
	}
}

func TestPlaceThatIsGoneIsMadeAnew(t *testing.T) {
	b := newBench(t, nil)
	b.api.Put(fakeapi.ConfigMap("ns", "c", "k", "1"))
	p := pod("p")
	b.setup(p)
	if err := b.StillThere(p.UID, "v"); err != nil {
		t.Error(err)
	}
	if err := os.Rename(filepath.Join(b.root, string(p.UID)), filepath.Join(b.root, "elsewhere")); err != nil {
		t.Fatal(err)
	}
	if err := b.StillThere(p.UID, "v"); err == nil || err.Error() != `volume "v" was removed by somebody else and is made anew, try again` {
		t.Error(err)
	}
	b.eventually("the new place", func() bool { return b.read(p, "k") == "1" && b.StillThere(p.UID, "v") == nil })
	for _, unknown := range [][2]string{{"uid-p", "w"}, {"uid-q", "v"}} {
		if err := b.StillThere(types.UID(unknown[0]), unknown[1]); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%q: %v", unknown, err)
		}
	}
}

func TestForgottenPodsKeepTheirFilesAndNothingMore(t *testing.T) {
	b := newBench(t, nil)
	b.api.Put(fakeapi.ConfigMap("ns", "c", "k", "1"))
	p := pod("p")
	b.setup(p)
	place, ready := b.Place(p.UID, "v")
	if place != publish.Place(b.places["uid-p/v"]) || !ready {
		t.Errorf("%v, %v", place, ready)
	}
	b.Forget(p.UID)
	b.Forget(p.UID)
	if place, _ := b.Place(p.UID, "v"); place != nil || b.Knows(p.UID) {
		t.Error("still known")
	}
	b.api.Put(fakeapi.ConfigMap("ns", "c", "k", "2"))
	other := pod("other")
	b.setup(other)
	if got := b.read(p, "k"); got != "1" {
		t.Errorf("k %q after the pod was forgotten", got)
	}
	if n := b.places["uid-p/v"].closed; n != 1 {
		t.Errorf("closed %d times", n)
	}
	b.Close()
	if err := b.Setup(t.Context(), p); !errors.Is(err, publish.ErrClosed) {
		t.Errorf("after Close: %v", err)
	}
}

// strict refuses content whose file k is bad.
type strict struct{ root func() string }

func (strict) Guards(*corev1.Pod, string) bool { return true }

func (g strict) Check(_ context.Context, pod *corev1.Pod, c publish.Candidate) publish.Verdict {
	data, err := os.ReadFile(filepath.Join(g.root(), string(pod.UID), c.Volume, c.Dir, "k"))
	return publish.Verdict{Reject: err != nil || string(data) == "bad"}
}

func TestGateOfAPlainDirectory(t *testing.T) {
	var b *bench
	b = newBench(t, strict{func() string { return b.root }})
	b.api.Put(fakeapi.ConfigMap("ns", "c", "k", "1"))
	p := pod("p")
	b.setup(p)
	b.api.Put(fakeapi.ConfigMap("ns", "c", "k", "bad"))
	b.eventually("the rejection", func() bool { return b.Snapshot(p.UID)[0].Rejected })
	if got := b.read(p, "k"); got != "1" {
		t.Errorf("k %q", got)
	}
	b.api.Put(fakeapi.ConfigMap("ns", "c", "k", "2"))
	b.eventually("the update", func() bool { return b.read(p, "k") == "2" })
}

// TestWithoutRoot runs the other tests as somebody who has no rights.
func TestWithoutRoot(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("this is already a run without root")
	}
	const nobody = 65534
	dir := t.TempDir()
	for d := dir; d != os.TempDir() && d != "/"; d = filepath.Dir(d) {
		if err := os.Chmod(d, 0o711); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chown(dir, nobody, nobody); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("/proc/self/exe", "-test.v", "-test.timeout=2m")
	cmd.Dir, cmd.Env = dir, append(os.Environ(), "TMPDIR="+dir)
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	passed, skipped := strings.Count(string(out), "\n--- PASS: Test"), strings.Count(string(out), "\n--- SKIP: Test")
	if passed == 0 || skipped != 1 { // this one
		t.Errorf("%d tests passed, %d were skipped\n%s", passed, skipped, out)
	}
}
