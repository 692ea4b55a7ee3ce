package place_test

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"laterna.dev/laterna/internal/volumes/fakeapi"
)

func TestTokensStayFreshWhileContentFails(t *testing.T) {
	server := fakeapi.New(t)
	put(server, "1")
	b := newBench(t, server)
	p := b.pod("p", one("projected: {sources: [{serviceAccountToken: {path: token}}, {configMap: {name: c, items: [{key: k, path: k}]}}]}"))
	b.setup(p)
	dir := b.mount(p)
	fresh := func() {
		t.Helper()
		old := read(dir, "token")
		b.rotate()
		eventually(t, "a token", func() bool { return read(dir, "token") != old })
		if got := read(dir, "k"); got != "1" {
			t.Errorf("k = %q", got)
		}
	}
	server.Put(fakeapi.ConfigMap("ns", "c", "other", "x"))
	eventually(t, "a missing key", func() bool { return b.status(p).Problem == "configmap references non-existent config key: k" })
	fresh()
	server.Delete("configmaps", "ns", "c")
	eventually(t, "a missing object", func() bool { return b.status(p).Problem == `configmap "c" not found` })
	fresh()
	if got, want := b.told()[0], `p Warning FailedMount MountVolume.SetUp failed for volume "v" : configmap references non-existent config key: k`; got != want {
		t.Errorf("event %q, want %q", got, want)
	}

	old := read(dir, "token") // and after a restart of the agent
	b.restart()
	b.Adopt([]*corev1.Pod{p})
	b.setup(p) // containers may start with the old content and a fresh token
	if got := read(dir, "token"); got == old || read(dir, "k") != "1" {
		t.Errorf("token %q, k = %q", got, read(dir, "k"))
	}
	fresh()
	put(server, "2")
	eventually(t, "the new content", func() bool { return read(dir, "k") == "2" && b.status(p).Problem == "" })
	n := 0
	for _, published := range b.publications() {
		if published.Content {
			n++
		}
	}
	if n != 2 {
		t.Errorf("content was published %d times: %+v", n, b.publications())
	}
}

func TestPublicationsSayWhatChanged(t *testing.T) {
	server := fakeapi.New(t)
	server.MintTokens(t)
	put(server, "1")
	b := newBench(t, server)
	p := b.pod("p", one(mixed))
	b.setup(p)
	await := func(n int, first, content bool) {
		t.Helper()
		eventually(t, "a publication", func() bool { return len(b.publications()) >= n })
		last := b.publications()[n-1]
		if last.Volume != "v" || last.First != first || last.Content != content || last.Generation != b.status(p).Generation {
			t.Errorf("publication %d: %+v, generation %s", n, last, b.status(p).Generation)
		}
	}
	await(1, true, true)
	b.rotate()
	await(2, false, false)
	put(server, "2")
	await(3, false, true)
	b.setup(p) // nothing changed
	b.restart()
	b.Adopt([]*corev1.Pod{p})
	await(4, false, false) // a new token
	if n := len(b.publications()); n != 4 {
		t.Errorf("%d publications: %+v", n, b.publications())
	}
}

func TestAChangeOfOwnersAloneIsPublished(t *testing.T) {
	b := newBench(t, fakeapi.New(t))
	p := b.pod("p", "{securityContext: {runAsUser: 1000}, "+one("projected: {sources: [{serviceAccountToken: {path: token}}]}")[1:])
	b.setup(p)
	dir := b.mount(p)
	if got := describe(t, dir+"/..data/token"); got != "-rw------- 1000:0" {
		t.Errorf("token %s", got)
	}
	token, newer, other := read(dir, "token"), p.DeepCopy(), int64(2000)
	newer.Spec.EphemeralContainers = []corev1.EphemeralContainer{{EphemeralContainerCommon: corev1.EphemeralContainerCommon{
		Name: "debug", SecurityContext: &corev1.SecurityContext{RunAsUser: &other},
	}}}
	b.Sync(newer)
	eventually(t, "another owner", func() bool { return describe(t, dir+"/..data/token") == "-rw-r--r-- 0:0" })
	if got := read(dir, "token"); got != token {
		t.Errorf("token %q, want %q", got, token)
	}
}

func TestAStormSkipsEverythingButTheLastState(t *testing.T) {
	server := fakeapi.New(t)
	put(server, "0")
	b := newBench(t, server)
	p := b.pod("p", one("configMap: {name: c}"))
	b.setup(p)
	dir := b.mount(p)
	began := time.Now()
	for n := range 1000 {
		put(server, fmt.Sprint(n+1))
	}
	eventually(t, "the last state", func() bool { return read(dir, "k") == "1000" })
	n := len(b.publications())
	t.Logf("1000 updates, %d publications in %v", n, time.Since(began))
	if limit := 2 + 9*(1+int(time.Since(began)/(2*time.Second))); n > limit {
		t.Errorf("%d publications, at most %d fit into that time", n, limit)
	}
	eventually(t, "no problem", func() bool { return b.status(p).Problem == "" })
	if s := b.status(p).Sources[0]; s.Observed != s.Published {
		t.Errorf("%+v", s)
	}
}

func TestManyVolumesAtOnce(t *testing.T) {
	server := fakeapi.New(t)
	const pods, each = 5, 50
	var spec strings.Builder
	spec.WriteString("{containers: [{name: c}], volumes: [")
	for i := range each {
		server.Put(fakeapi.ConfigMap("ns", fmt.Sprint("c", i), "k", fmt.Sprint("value", i)))
		fmt.Fprintf(&spec, "{name: v%d, configMap: {name: c%d}}, ", i, i)
	}
	spec.WriteString("]}")
	b := newBench(t, server)
	var wg sync.WaitGroup
	began := time.Now()
	for i := range pods {
		p := b.pod(fmt.Sprint("p", i), spec.String())
		wg.Go(func() { b.setup(p) })
	}
	wg.Wait()
	t.Logf("%d volumes took %v", pods*each, time.Since(began))
	for _, p := range b.pods {
		for i := range each {
			path := fmt.Sprintf("%s/volumes/kubernetes.io~configmap/v%d/k", b.PodDir(p.UID), i)
			if got, want := read(path), fmt.Sprint("value", i); got != want {
				t.Errorf("%s = %q, want %q", path, got, want)
			}
		}
		if n := len(b.Snapshot(p.UID)); n != each {
			t.Errorf("%d volumes in the snapshot", n)
		}
	}
	if n := server.Count("watch"); n > each {
		t.Errorf("%d watches for %d objects", n, each)
	}
}

func TestATokenThatCannotBeHadHoldsUpNoOther(t *testing.T) {
	server := fakeapi.New(t)
	var broken atomic.Bool
	var n atomic.Int64
	server.Token = func(_, account string, r *authenticationv1.TokenRequest) error {
		if broken.Load() && r.Spec.Audiences[0] == "bad" {
			return apierrors.NewForbidden(corev1.Resource("serviceaccounts"), account, errors.New("not any more"))
		}
		r.Status.Token = fmt.Sprint(r.Spec.Audiences[0], n.Add(1))
		r.Status.ExpirationTimestamp = metav1.NewTime(time.Now().Add(time.Duration(*r.Spec.ExpirationSeconds) * time.Second))
		return nil
	}
	b := newBench(t, server)
	p := b.pod("p", one(`projected: {sources: [
	  {serviceAccountToken: {path: bad, audience: bad, expirationSeconds: 1}}, {serviceAccountToken: {path: good, audience: good}}]}`))
	b.setup(p)
	dir := b.mount(p)
	broken.Store(true)
	eventually(t, "a refusal", func() bool { return strings.Contains(b.status(p).Problem, "expired and refresh failed") })
	stale, old := read(dir, "bad"), read(dir, "good")
	b.rotate()
	eventually(t, "the other token", func() bool { return read(dir, "good") != old })
	if got := read(dir, "bad"); got != stale || !strings.HasPrefix(got, "bad") {
		t.Errorf("the token that cannot be had became %q", got)
	}
	if tokens := b.status(p).Tokens; len(tokens) != 2 {
		t.Errorf("tokens %+v", tokens)
	}
	broken.Store(false)
	eventually(t, "recovery", func() bool { return read(dir, "bad") != stale && b.status(p).Problem == "" })
}
