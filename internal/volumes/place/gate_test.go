package place_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"laterna.dev/laterna/api"
	"laterna.dev/laterna/internal/volumes/fakeapi"
	"laterna.dev/laterna/internal/volumes/place"
	"laterna.dev/laterna/internal/volumes/publish"
)

// gate guards every volume that is called v and rejects content whose file k says so.
type gate struct {
	root func() string
	// hold, unless nil, is received from before each verdict.
	hold chan struct{}

	mu   sync.Mutex
	seen []string
	last publish.Candidate
}

func (g *gate) Guards(_ *corev1.Pod, volume string) bool { return volume == "v" }

func (g *gate) Check(ctx context.Context, pod *corev1.Pod, c publish.Candidate) publish.Verdict {
	found, _ := filepath.Glob(filepath.Join(g.root(), string(pod.UID), "volumes/*", c.Volume, c.Dir, "k"))
	content := fmt.Sprint(found)
	if len(found) == 1 {
		content = read(found[0])
	}
	g.mu.Lock()
	g.seen, g.last = append(g.seen, content), c
	g.mu.Unlock()
	if g.hold != nil {
		select {
		case <-g.hold:
		case <-ctx.Done():
		}
	}
	return publish.Verdict{Reject: strings.HasPrefix(content, "bad")}
}

// checked returns what the gate has seen so far.
func (g *gate) checked() []string {
	g.mu.Lock()
	defer g.mu.Unlock()
	return slices.Clone(g.seen)
}

func guarded(t *testing.T, server *fakeapi.Server, hold chan struct{}) (*bench, *gate) {
	t.Helper()
	server.MintTokens(t) // which are told from other files
	g := &gate{hold: hold}
	b := newBenchWith(t, server, func(c *place.Config) { c.Gate = g })
	g.root = func() string { return b.root }
	return b, g
}

const mixed = "projected: {sources: [{serviceAccountToken: {path: token}}, {configMap: {name: c}}]}"

func put(server *fakeapi.Server, value string) { server.Put(fakeapi.ConfigMap("ns", "c", "k", value)) }

// staged returns what waits in a volume.
func staged(t *testing.T, dir string) (names []string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), "..staged") {
			names = append(names, e.Name())
		}
	}
	return names
}

func TestContentPassesTheGate(t *testing.T) {
	server := fakeapi.New(t)
	put(server, "first")
	b, g := guarded(t, server, nil)
	p := b.pod("p", one("configMap: {name: c}"))
	b.setup(p)
	dir := b.mount(p)
	if got := g.checked(); len(got) != 0 {
		t.Errorf("the first publication was checked: %q", got)
	}
	put(server, "good")
	eventually(t, "good", func() bool { return read(dir, "k") == "good" })

	put(server, "bad")
	eventually(t, "a problem", func() bool { return strings.Contains(b.status(p).Problem, "rejected") })
	if got := read(dir, "k"); got != "good" || len(staged(t, dir)) > 0 {
		t.Errorf("k = %q, staged %q", got, staged(t, dir))
	}
	if s := b.status(p); !s.Rejected || s.Sources[0].Observed == s.Sources[0].Published || s.Sources[0].Published == "" {
		t.Errorf("%+v", s)
	}
	put(server, "better")
	eventually(t, "better", func() bool { return read(dir, "k") == "better" })
	eventually(t, "no problem", func() bool { return b.status(p).Problem == "" })
	if got, want := g.checked(), []string{"good", "bad", "better"}; !slices.Equal(got, want) {
		t.Errorf("checked %q, want %q", got, want)
	}
	if g.last.Confidential || g.last.Volume != "v" || len(b.told()) > 0 || b.status(p).Rejected {
		t.Errorf("%+v, events %q", g.last, b.told())
	}
}

func TestRejectedContentIsCheckedAgainOnlyAfterAChange(t *testing.T) {
	server := fakeapi.New(t)
	put(server, "first")
	b, g := guarded(t, server, nil)
	p := b.pod("p", one(mixed))
	b.setup(p)
	dir := b.mount(p)
	rejected := func() bool { return strings.Contains(b.status(p).Problem, "rejected") }
	put(server, "bad")
	eventually(t, "a rejection", rejected)
	if !g.last.Confidential {
		t.Error("a volume with a token is not confidential")
	}
	for range 3 {
		old := read(dir, "token")
		b.rotate()
		eventually(t, "a token", func() bool { return read(dir, "token") != old })
		if got := read(dir, "k"); got != "first" {
			t.Errorf("k = %q", got)
		}
	}
	put(server, "first") // back to what is published
	eventually(t, "no problem", func() bool { return b.status(p).Problem == "" })
	if got, want := g.checked(), []string{"bad"}; !slices.Equal(got, want) {
		t.Errorf("checked %q, want %q", got, want)
	}
	put(server, "bad")
	eventually(t, "another rejection", rejected)
	newer := p.DeepCopy()
	newer.Annotations = map[string]string{api.OnUpdate: "[]"}
	b.Sync(newer)
	eventually(t, "a check by other rules", func() bool { return slices.Equal(g.checked(), []string{"bad", "bad", "bad"}) })
	for _, published := range b.publications()[1:] {
		if published.Content {
			t.Errorf("content was published: %+v", published)
		}
	}
}

func TestTokensDoNotWaitForACheck(t *testing.T) {
	server := fakeapi.New(t)
	put(server, "first")
	hold := make(chan struct{})
	b, g := guarded(t, server, hold)
	p := b.pod("p", one(mixed))
	b.setup(p)
	dir := b.mount(p)
	put(server, "good")
	eventually(t, "a check", func() bool { return len(g.checked()) == 1 })
	old := read(dir, "token")
	b.rotate()
	took := eventually(t, "a token", func() bool { return read(dir, "token") != old })
	t.Logf("a token while content was checked took %v", took)
	if got := read(dir, "k"); got != "first" || len(staged(t, dir)) != 1 {
		t.Errorf("k = %q, staged %q", got, staged(t, dir))
	}
	// What is told follows the files.
	eventually(t, "the check in the status", func() bool { return strings.Contains(b.status(p).Problem, "being checked") })
	fresh := read(dir, "token")
	hold <- struct{}{}
	eventually(t, "good", func() bool { return read(dir, "k") == "good" })
	if got := read(dir, "token"); got != fresh {
		t.Errorf("token %q, want %q", got, fresh)
	}
	eventually(t, "nothing staged", func() bool { return len(staged(t, dir)) == 0 })
}

// A rejection is by the rules that the check began with.
func TestRulesThatChangeDuringACheckCheckAgain(t *testing.T) {
	server := fakeapi.New(t)
	put(server, "first")
	hold := make(chan struct{})
	b, g := guarded(t, server, hold)
	p := b.pod("p", one("configMap: {name: c}"))
	b.setup(p)
	put(server, "bad")
	eventually(t, "a check", func() bool { return len(g.checked()) == 1 })
	newer := p.DeepCopy()
	newer.Annotations = map[string]string{api.OnUpdate: "[]"}
	b.Sync(newer)
	hold <- struct{}{}
	eventually(t, "a check by other rules", func() bool { return len(g.checked()) == 2 })
	hold <- struct{}{}
	eventually(t, "a rejection", func() bool { return strings.Contains(b.status(p).Problem, "rejected") })
	if got, want := g.checked(), []string{"bad", "bad"}; !slices.Equal(got, want) {
		t.Errorf("checked %q, want %q", got, want)
	}
}

// What was taken back while it was checked is not published later, over something newer.
func TestContentThatWasTakenBackStaysAway(t *testing.T) {
	server := fakeapi.New(t)
	put(server, "first")
	hold := make(chan struct{})
	b, g := guarded(t, server, hold)
	p := b.pod("p", one("configMap: {name: c}"))
	b.setup(p)
	dir := b.mount(p)
	put(server, "mistake")
	eventually(t, "a check", func() bool { return len(g.checked()) == 1 })
	put(server, "first")
	eventually(t, "no problem", func() bool { return b.status(p).Problem == "" })
	put(server, "bad")
	eventually(t, "a problem", func() bool { return strings.Contains(b.status(p).Problem, "being checked") })
	hold <- struct{}{} // the mistake passes
	hold <- struct{}{} // what came last does not
	eventually(t, "a rejection", func() bool { return strings.Contains(b.status(p).Problem, "rejected") })
	if got := read(dir, "k"); got != "first" {
		t.Errorf("k = %q", got)
	}
	if got, want := g.checked(), []string{"mistake", "bad"}; !slices.Equal(got, want) || len(b.publications()) != 1 {
		t.Errorf("checked %q, want %q; publications %+v", got, want, b.publications())
	}
}

func TestTheNewestContentIsCheckedNext(t *testing.T) {
	server := fakeapi.New(t)
	hold := make(chan struct{})
	b, g := guarded(t, server, hold)
	writes := 0
	p := b.pod("p", one("configMap: {name: c}"))
	write := func(values ...string) {
		t.Helper()
		for _, value := range values {
			put(server, value)
			writes++ // each is a version of its own
		}
		eventually(t, "the news", func() bool {
			all := b.Snapshot(p.UID)
			return len(all) == 0 || all[0].Sources[0].Observed == fmt.Sprint(writes)
		})
	}
	checks := func(n int) {
		t.Helper()
		eventually(t, "a check", func() bool { return len(g.checked()) == n })
	}
	write("first")
	b.setup(p)
	dir := b.mount(p)
	shows := func(want string) {
		t.Helper()
		eventually(t, want, func() bool { return read(dir, "k") == want })
	}
	write("1")
	checks(1)
	for n := range 50 {
		write(fmt.Sprint(n + 2))
	}
	hold <- struct{}{}
	shows("1")
	hold <- struct{}{}
	shows("51")
	if got, want := g.checked(), []string{"1", "51"}; !slices.Equal(got, want) {
		t.Errorf("checked %q, want %q", got, want)
	}

	write("bad") // and with a rejection
	checks(3)
	write("52")
	hold <- struct{}{}
	hold <- struct{}{}
	shows("52")

	write("53") // and back while it is checked
	checks(5)
	write("52")
	hold <- struct{}{}
	eventually(t, "an end", func() bool { return b.status(p).Problem == "" && len(staged(t, dir)) == 0 })
	if got := read(dir, "k"); got != "52" {
		t.Errorf("k = %q", got)
	}
}

func TestASlowCheckHoldsUpNobody(t *testing.T) {
	server := fakeapi.New(t)
	put(server, "first")
	b, g := guarded(t, server, make(chan struct{}))
	var slow []*corev1.Pod
	for i := range 20 { // more than there are workers
		p := b.pod(fmt.Sprint("p", i), one("configMap: {name: c}"))
		b.setup(p)
		slow = append(slow, p)
	}
	free := b.pod("free", "{containers: [{name: c, volumeMounts: [{name: w, mountPath: /w}]}], volumes: [{name: w, configMap: {name: c}}]}")
	b.setup(free)
	put(server, "good")
	eventually(t, "all checks", func() bool { return len(g.checked()) == 20 })
	eventually(t, "a volume without a check", func() bool { return read(b.mount(free), "k") == "good" })
	began := time.Now()
	for _, p := range slow {
		b.teardown(p)
	}
	if took := time.Since(began); took > 2*time.Second {
		t.Errorf("teardown of 20 pods took %v", took)
	}
}

func TestARestartSlipsNothingIn(t *testing.T) {
	server := fakeapi.New(t)
	put(server, "first")
	hold := make(chan struct{})
	b, g := guarded(t, server, hold)
	p := b.pod("p", one(mixed))
	b.setup(p)
	dir := b.mount(p)
	put(server, "bad")
	hold <- struct{}{}
	eventually(t, "a rejection", func() bool { return strings.Contains(b.status(p).Problem, "rejected") })
	for _, value := range []string{"bad", "bad worse"} { // as it was rejected, and changed meanwhile
		if err := b.end(); err != nil {
			t.Fatal(err)
		}
		old, n := read(dir, "token"), len(g.checked())
		put(server, value)
		b.start()
		b.Adopt([]*corev1.Pod{p})
		b.setup(p) // does not wait for the check
		eventually(t, "a check", func() bool { return len(g.checked()) == n+1 })
		eventually(t, "a token", func() bool { return read(dir, "token") != old })
		if got := read(dir, "k"); got != "first" {
			t.Errorf("k = %q", got)
		}
		if s := b.status(p).Sources[0]; s.Published != "" || s.Observed == "" {
			t.Errorf("what an earlier process published is not known: %+v", s)
		}
		if value == "bad" {
			hold <- struct{}{}
			eventually(t, "a rejection", func() bool { return strings.Contains(b.status(p).Problem, "rejected") })
		} // else the process ends while the check runs
	}
	b.restart()
	put(server, "good")
	b.Adopt([]*corev1.Pod{p})
	for range 2 { // perhaps what was there before is checked first
		select {
		case hold <- struct{}{}:
		case <-time.After(500 * time.Millisecond):
		}
	}
	eventually(t, "good", func() bool { return read(dir, "k") == "good" })
	if left := staged(t, dir); len(left) > 0 {
		t.Errorf("staged %q", left)
	}
}

func TestAStormPassesTheGate(t *testing.T) {
	server := fakeapi.New(t)
	put(server, "0")
	b, g := guarded(t, server, nil)
	p := b.pod("p", one("configMap: {name: c}"))
	b.setup(p)
	dir := b.mount(p)
	for n := range 1000 {
		put(server, fmt.Sprint(n+1))
	}
	eventually(t, "the last state", func() bool { return read(dir, "k") == "1000" })
	checked := g.checked()
	t.Logf("%d checks, %d publications", len(checked), len(b.publications()))
	if checked[len(checked)-1] != "1000" || len(checked) > 200 {
		t.Errorf("%d checks, the last of %q", len(checked), checked[len(checked)-1])
	}
}

func TestWithoutFilesNothingIsChecked(t *testing.T) {
	server := fakeapi.New(t)
	put(server, "first")
	b, g := guarded(t, server, nil)
	p := b.pod("p", one(mixed))
	b.setup(p)
	dir := b.mount(p)
	put(server, "bad")
	eventually(t, "a rejection", func() bool { return strings.Contains(b.status(p).Problem, "rejected") })
	target, err := os.Readlink(dir + "/..data")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(filepath.Join(dir, target)); err != nil { // what was to be kept
		t.Fatal(err)
	}
	b.mount(p) // a container starts
	eventually(t, "some files", func() bool { return read(dir, "k") == "bad" && b.status(p).Problem == "" })
	if got := g.checked(); !slices.Equal(got, []string{"bad"}) {
		t.Errorf("checked %q", got)
	}
}
