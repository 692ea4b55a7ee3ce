package place_test

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"laterna.dev/laterna/internal/host/mounts"
	"laterna.dev/laterna/internal/volumes/fakeapi"
)

func TestRestart(t *testing.T) {
	api := fakeapi.New(t)
	api.Put(fakeapi.Secret("ns", "s", "k", "1"))
	api.Put(fakeapi.Secret("ns", "same", "k", "1"))
	b := newBench(t, api)
	p := b.pod("p", "{containers: [{name: c}], volumes: [{name: v, secret: {secretName: s}}, {name: w, secret: {secretName: same}}, {name: t, projected: {sources: [{serviceAccountToken: {path: token}}]}}]}")
	b.setup(p)
	volume := func(name string) string {
		found, _ := filepath.Glob(filepath.Join(b.root, "uid-p/volumes/*", name))
		return found[0]
	}
	held, err := os.Open(volume("v")) // as a container's mount holds it
	if err != nil {
		t.Fatal(err)
	}
	defer held.Close()
	same, _ := os.Readlink(volume("w") + "/..data")
	if err := os.Mkdir(filepath.Join(b.root, "uid-gone"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := b.end(); err != nil {
		t.Error(err)
	}
	if err := b.Teardown(t.Context(), p.UID); err == nil {
		t.Error("a closed manager tore down a pod")
	}
	api.Put(fakeapi.Secret("ns", "s", "k", "2"))

	b.start()
	if orphans, err := b.Orphans(); err != nil || !slices.Equal(orphans, []types.UID{"uid-gone", "uid-p"}) {
		t.Errorf("orphans %v, %v", orphans, err)
	}
	b.Adopt([]*corev1.Pod{p})
	if orphans, err := b.Orphans(); err != nil || !slices.Equal(orphans, []types.UID{"uid-gone"}) {
		t.Errorf("orphans %v, %v", orphans, err)
	}
	eventually(t, "the change", func() bool { return read(fmt.Sprintf("/proc/self/fd/%d/k", held.Fd())) == "2" })
	b.setup(p)
	if got, _ := os.Readlink(volume("w") + "/..data"); got != same {
		t.Errorf("what is unchanged was rewritten: %s, %s", same, got)
	}
	eventually(t, "a new token", func() bool { return read(volume("t"), "token") == "token-2" })
	if under, _ := mounts.Under(b.root); len(under) != 3 {
		t.Errorf("mounts %v", under)
	}
	if err := b.Teardown(t.Context(), "uid-gone"); err != nil {
		t.Error(err)
	}
	for range 2 { // also of a pod that is not there
		b.teardown(p)
	}
}

// Who waits for all tokens of a node to be replaced must not take those for new that an
// earlier process has left.
func TestTokensOfAnEarlierProcessAreBehind(t *testing.T) {
	for name, refuse := range map[string]error{"replaced": nil, "refused for good": apierrors.NewNotFound(corev1.Resource("serviceaccounts"), "default")} {
		t.Run(name, func(t *testing.T) {
			api := fakeapi.New(t)
			b := newBench(t, api)
			p := b.pod("p", "{containers: [{name: c}], volumes: [{name: t, projected: {sources: [{serviceAccountToken: {path: token}}]}}]}")
			b.setup(p)
			eventually(t, "all tokens", func() bool { return b.TokensBehind() == 0 })
			if err := b.end(); err != nil {
				t.Error(err)
			}
			hold := make(chan struct{})
			api.Token = func(_, _ string, r *authenticationv1.TokenRequest) error {
				<-hold
				r.Status.Token, r.Status.ExpirationTimestamp = "new", metav1.NewTime(time.Now().Add(time.Hour))
				return refuse
			}
			b.start()
			b.Adopt([]*corev1.Pod{p})
			for deadline := time.Now().Add(100 * time.Millisecond); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
				if n := b.TokensBehind(); n != 1 {
					t.Fatalf("%d volumes are behind while nobody has a new token", n)
				}
			}
			close(hold)
			eventually(t, "the end of waiting", func() bool { return b.TokensBehind() == 0 })
			if got := read(filepath.Join(b.root, "uid-p/volumes/kubernetes.io~projected/t"), "token"); (got == "new") != (refuse == nil) {
				t.Errorf("the file shows %q", got)
			}
		})
	}
}

func TestTeardownOfLeftovers(t *testing.T) {
	api := fakeapi.New(t)
	api.Put(fakeapi.Secret("ns", "s", "k", "1"))
	b := newBench(t, api)
	p := b.pod("p", "{containers: [{name: c, volumeMounts: [{name: v, mountPath: /f, subPath: k}]}], volumes: [{name: v, secret: {secretName: s}}, {name: e, emptyDir: {medium: Memory}}]}")
	b.setup(p)
	b.mount(p)
	b.restart() // knows nothing of the pod
	b.teardown(p)
	for _, bad := range []types.UID{"", "..", "../x", "a/b", "."} {
		if err := b.Teardown(t.Context(), bad); err == nil {
			t.Errorf("tore down %q", bad)
		}
		if err := b.Setup(t.Context(), &corev1.Pod{ObjectMeta: metav1.ObjectMeta{UID: bad}}); err == nil {
			t.Errorf("set up %q", bad)
		}
	}
	if _, err := os.Stat(b.root); err != nil {
		t.Error(err)
	}
}

func TestVolumesThatWereUnmounted(t *testing.T) {
	api := fakeapi.New(t)
	api.Put(fakeapi.Secret("ns", "s", "k", "1"))
	b := newBench(t, api)
	p := b.pod("p", "{containers: [{name: c, volumeMounts: [{name: v, mountPath: /v}, {name: e, mountPath: /e}]}], volumes: [{name: v, secret: {secretName: s}}, {name: e, emptyDir: {medium: Memory}}]}")
	b.setup(p)
	if err := mounts.Remove(b.root); err != nil {
		t.Fatal(err)
	}
	if _, err := b.MountsFor(p, "c"); err == nil || !strings.Contains(err.Error(), "unmounted by somebody else") {
		t.Errorf("error %v", err)
	}
	eventually(t, "mounted again", func() bool { _, err := b.MountsFor(p, "c"); return err == nil })
	eventually(t, "published again", func() bool { return read(b.root, "uid-p/volumes/kubernetes.io~secret/v/k") == "1" })
	if under, err := mounts.Under(b.root); err != nil || len(under) != 2 {
		t.Errorf("mounts %v, %v", under, err)
	}
}

func TestTokens(t *testing.T) {
	api := fakeapi.New(t)
	var calls atomic.Int64
	var down atomic.Bool
	down.Store(true)
	api.Token = func(namespace, account string, r *authenticationv1.TokenRequest) error {
		n := calls.Add(1)
		if down.Load() {
			return apierrors.NewNotFound(corev1.Resource("serviceaccounts"), account)
		}
		r.Status.Token = fmt.Sprintf("%s/%s for %s to %q until %d, %d", namespace, account, r.Spec.BoundObjectRef.UID, r.Spec.Audiences, *r.Spec.ExpirationSeconds, n)
		r.Status.ExpirationTimestamp = metav1.NewTime(time.Now().Add(time.Duration(*r.Spec.ExpirationSeconds) * time.Second))
		return nil
	}
	b := newBench(t, api)
	p := b.pod("p", one("projected: {sources: [{serviceAccountToken: {path: token, audience: vault, expirationSeconds: 8}}]}"))
	done := make(chan error, 1)
	go func() { done <- b.Setup(t.Context(), p) }()
	eventually(t, "an event", func() bool { return len(b.told()) > 0 })
	if got, want := b.told()[0], `p Warning FailedMount MountVolume.SetUp failed for volume "v" : failed to fetch token: serviceaccounts "sa" not found`; got != want {
		t.Errorf("event %q, want %q", got, want)
	}
	down.Store(false)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	first := read(b.mount(p), "token")
	if ok, _ := regexp.MatchString(`^ns/sa for uid-p to \["vault"\] until 8, \d+$`, first); !ok {
		t.Errorf("token %q", first)
	}
	eventually(t, "a refresh", func() bool { return read(b.mount(p), "token") != first }) // within 7 s
	b.teardown(p)
	n := calls.Load()
	time.Sleep(300 * time.Millisecond)
	if more := calls.Load(); more > n+1 {
		t.Errorf("%d requests after the pod was gone", more-n)
	}
}
