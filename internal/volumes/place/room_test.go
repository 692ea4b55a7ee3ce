package place_test

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"laterna.dev/laterna/internal/volumes/fakeapi"
)

const mebibyte = 1 << 20

// limitedPod is a pod of one container with a memory limit, "" for none, and volumes v0,
// v1, …, that it mounts at /v0 and so on.
func (b *bench) limitedPod(name, memory string, volumes ...string) *corev1.Pod {
	b.t.Helper()
	var mounts, all []string
	for i, v := range volumes {
		mounts = append(mounts, fmt.Sprintf("{name: v%d, mountPath: /v%d}", i, i))
		all = append(all, fmt.Sprintf("{name: v%d, %s}", i, v))
	}
	limits := ""
	if memory != "" {
		limits = "resources: {limits: {memory: " + memory + "}}, "
	}
	return b.pod(name, "{containers: [{name: c, "+limits+"volumeMounts: ["+strings.Join(mounts, ", ")+"]}], volumes: ["+strings.Join(all, ", ")+"]}")
}

// dir is where a volume of p lies.
func (b *bench) dir(p *corev1.Pod, name string) string {
	b.t.Helper()
	found, err := filepath.Glob(filepath.Join(b.PodDir(p.UID), "volumes", "*", name))
	if err != nil || len(found) != 1 {
		b.t.Fatalf("volume %s: %q, %v", name, found, err)
	}
	return found[0]
}

// size is that of the tmpfs at dir, its inodes, and what is used of both.
func size(t testing.TB, dir string) (bytes, inodes, usedBytes, usedInodes int64) {
	t.Helper()
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		t.Fatal(err)
	}
	if st.Type != unix.TMPFS_MAGIC {
		t.Fatalf("%s is no tmpfs", dir)
	}
	unit := int64(st.Bsize)
	return int64(st.Blocks) * unit, int64(st.Files), int64(st.Blocks-st.Bfree) * unit, int64(st.Files - st.Ffree)
}

// refused waits for the event that a volume does not fit, and returns it.
func (b *bench) refused(p *corev1.Pod, volume string) (event string) {
	b.t.Helper()
	eventually(b.t, "an event that "+volume+" does not fit", func() bool {
		i := slices.IndexFunc(b.told(), func(e string) bool {
			return strings.HasPrefix(e, p.Name+" Warning FailedMount MountVolume.SetUp failed for volume \""+volume+"\" : its content takes ")
		})
		if i >= 0 {
			event = b.told()[i]
		}
		return i >= 0
	})
	return event
}

func (b *bench) noFailures(p *corev1.Pod) {
	b.t.Helper()
	for _, e := range b.told() {
		if strings.HasPrefix(e, p.Name+" ") && strings.Contains(e, "FailedMount") {
			b.t.Error(e)
		}
	}
}

// secret is one of one key k with so many bytes.
func secret(name string, bytes int, fill string) *corev1.Secret {
	s := fakeapi.Secret("ns", name)
	s.Data = map[string][]byte{"k": []byte(strings.Repeat(fill, bytes))}
	return s
}

// manyTimes is a volume that shows the key k of secret s so often.
func manyTimes(n int) string {
	var items []string
	for i := range n {
		items = append(items, fmt.Sprintf("{key: k, path: f%d}", i))
	}
	return "secret: {secretName: s, items: [" + strings.Join(items, ", ") + "]}"
}

const apiAccess = "projected: {sources: [{serviceAccountToken: {path: token}}, {configMap: {name: kube-root-ca.crt}}, {downwardAPI: {items: [{path: namespace, fieldRef: {fieldPath: metadata.namespace}}]}}]}"

func TestContentBeyondThePodsMemoryLimitIsRefusedBeforeItIsWritten(t *testing.T) {
	t.Parallel()
	server := fakeapi.New(t)
	server.Put(secret("s", mebibyte, "x"))
	server.Put(fakeapi.ConfigMap("ns", "kube-root-ca.crt", "ca.crt", "certificate"))
	b := newBench(t, server)
	p := b.limitedPod("p", "64Mi", manyTimes(2000), apiAccess)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	go b.Setup(t.Context(), p)
	event := b.refused(p, "v0")
	runtime.ReadMemStats(&after)
	for _, want := range []string{"takes 2000Mi in 2000 files", "may take 64Mi", "because of the memory limit of the pod", "raise the memory limits"} {
		if !strings.Contains(event, want) {
			t.Errorf("event %q does not say %q", event, want)
		}
	}
	if took := after.TotalAlloc - before.TotalAlloc; took > 200*mebibyte {
		t.Errorf("%d bytes were allocated for what was refused", took)
	}
	if bytes, _, used, _ := size(t, b.dir(p, "v0")); bytes != 64*mebibyte || used > mebibyte {
		t.Errorf("the tmpfs has %d bytes and %d in use", bytes, used)
	}
	eventually(t, "the token beside it", func() bool { return strings.HasPrefix(read(b.dir(p, "v1"), "token"), "token-") })
	server.Put(secret("s", 1000, "x"))
	b.setup(p)
	if got := read(b.dir(p, "v0"), "f1999"); len(got) != 1000 {
		t.Errorf("a file has %d bytes", len(got))
	}
	// Grown later, what is shown stays.
	server.Put(secret("s", mebibyte, "y"))
	eventually(t, "the status", func() bool { return strings.Contains(b.Snapshot(p.UID)[0].Problem, "does not fit") })
	if got := read(b.dir(p, "v0"), "f0"); len(got) != 1000 {
		t.Errorf("a file has %d bytes after an update that does not fit", len(got))
	}
}

func TestVolumesOfAPodShareItsMemoryLimit(t *testing.T) {
	t.Parallel()
	server := fakeapi.New(t)
	server.Put(secret("s", mebibyte, "x"))
	server.Put(fakeapi.ConfigMap("ns", "kube-root-ca.crt", "ca.crt", "certificate"))
	b := newBench(t, server)
	volumes := slices.Repeat([]string{"secret: {secretName: s}"}, 20)
	p := b.limitedPod("p", "8Mi", append(volumes, apiAccess)...)
	go b.Setup(t.Context(), p)
	refusals := func() (n int) {
		for _, s := range b.Snapshot(p.UID) {
			if strings.Contains(s.Problem, "does not fit beside the 8Mi in 8 files") {
				n++
			}
		}
		return n
	}
	eventually(t, "twelve that do not fit", func() bool { return refusals() == 12 })
	eventually(t, "the token beside them", func() bool { return strings.HasPrefix(read(b.dir(p, "v20"), "token"), "token-") })
	var sum int64
	for i := range 20 {
		_, _, used, _ := size(t, b.dir(p, fmt.Sprint("v", i)))
		sum += used
	}
	if sum > 9*mebibyte {
		t.Errorf("the volumes of a pod with 8Mi hold %d bytes", sum)
	}
	server.Put(secret("s", 1000, "x"))
	b.setup(p)
}

func TestFilesWithoutBytesAreBoundedToo(t *testing.T) {
	t.Parallel()
	server := fakeapi.New(t)
	server.Put(secret("s", 0, ""))
	b := newBench(t, server)
	var items []string
	for i := range 700 { // a hundred directories each
		items = append(items, fmt.Sprintf("{key: k, path: %q}", fmt.Sprint(i)+strings.Repeat("/d", 100)))
	}
	p := b.limitedPod("p", "", "secret: {secretName: s, items: ["+strings.Join(items, ", ")+"]}")
	go b.Setup(t.Context(), p)
	if event := b.refused(p, "v0"); !strings.Contains(event, "70700 files and directories") || !strings.Contains(event, "65536 files and directories") || !strings.Contains(event, "the node's allocatable memory") {
		t.Errorf("event %q", event)
	}
	if _, inodes, _, used := size(t, b.dir(p, "v0")); inodes > 300_000 || used > 10 {
		t.Errorf("the tmpfs has %d inodes and %d in use", inodes, used)
	}
}

func TestAPodWithHardlyAnyMemoryHasItsToken(t *testing.T) {
	t.Parallel()
	server := fakeapi.New(t)
	server.Put(fakeapi.ConfigMap("ns", "kube-root-ca.crt", "ca.crt", "certificate"))
	b := newBench(t, server)
	p := b.limitedPod("p", "1", apiAccess)
	b.setup(p)
	for range 30 {
		b.rotate()
	}
	eventually(t, "a rotated token", func() bool { return b.TokensBehind() == 0 })
	b.noFailures(p)
}

func TestUpdatesOfASmallVolumeWaitForRoom(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ bytes, updates int }{
		"three generations fit": {mebibyte, 20},
		"one fits":              {3 * mebibyte, 4},
	} {
		for _, checked := range []bool{false, true} {
			t.Run(fmt.Sprint(name, ", checked: ", checked), func(t *testing.T) {
				t.Parallel()
				server := fakeapi.New(t)
				server.Put(secret("s", test.bytes, "0"))
				var b *bench
				var g *gate
				if checked {
					b, g = guarded(t, server, nil)
				} else {
					b = newBench(t, server)
				}
				p := b.pod("p", one("projected: {sources: [{serviceAccountToken: {path: token}}, {secret: {name: s}}]}"))
				p.Spec.Containers[0].Resources.Limits = corev1.ResourceList{corev1.ResourceMemory: resource.MustParse("4Mi")}
				b.setup(p)
				dir := b.dir(p, "v")
				if checked { // before anything is waited for
					server.Put(secret("s", test.bytes, "f"))
					eventually(t, "a check", func() bool { return len(g.checked()) > 0 })
				}
				for i := 1; i <= test.updates; i++ {
					server.Put(secret("s", test.bytes, string(rune('0'+i))))
					time.Sleep(5 * time.Millisecond)
				}
				last := strings.Repeat(string(rune('0'+test.updates)), test.bytes)
				eventually(t, "the last content", func() bool { return read(dir, "k") == last })
				b.noFailures(p)
				eventually(t, "the bounds of the tmpfs", func() bool {
					bytes, _, _, _ := size(t, dir)
					return bytes == 4*mebibyte
				})
			})
		}
	}
}

func TestFilesHeldBySubPathsLeaveRoomForUpdates(t *testing.T) {
	t.Parallel()
	server := fakeapi.New(t)
	server.Put(secret("s", 3*mebibyte, "0"))
	b := newBench(t, server)
	p := b.pod("p", "{containers: [{name: c, resources: {limits: {memory: 4Mi}}, volumeMounts: [{name: v, mountPath: /k, subPath: k}]}], volumes: [{name: v, secret: {secretName: s}}]}")
	b.setup(p)
	held := b.mount(p)
	for i := 1; i <= 3; i++ {
		server.Put(secret("s", 3*mebibyte, fmt.Sprint(i)))
		eventually(t, "an update", func() bool { return strings.HasPrefix(read(b.dir(p, "v"), "k"), fmt.Sprint(i)) })
	}
	if got := read(held); got != strings.Repeat("0", 3*mebibyte) {
		t.Errorf("the container's file has %d bytes, %.1q…", len(got), got)
	}
	b.noFailures(p)
}

func TestATmpfsFollowsThePodsLimits(t *testing.T) {
	t.Parallel()
	server := fakeapi.New(t)
	put(server, "1")
	b := newBench(t, server)
	const configMap, memory = "configMap: {name: c}", "emptyDir: {medium: Memory}"
	p := b.limitedPod("p", "8Mi", configMap, memory)
	free := b.limitedPod("free", "", configMap, memory)
	b.setup(p)
	b.setup(free)
	want := func(p *corev1.Pod, content, emptyDir int64) {
		t.Helper()
		for name, want := range map[string]int64{"v0": content, "v1": emptyDir} {
			eventually(t, fmt.Sprint(p.Name, ": ", name, " of ", want), func() bool {
				bytes, inodes, _, _ := size(t, b.dir(p, name))
				return bytes == want && inodes > 0 && inodes <= 300_000
			})
		}
	}
	want(p, 8*mebibyte, 8*mebibyte)
	want(free, 1024*mebibyte, 1024*mebibyte)
	// What a version without bounds had mounted.
	remount(t, b.dir(p, "v0"), 0, "size=2g,nr_inodes=1000000")
	b.restart()
	b.Adopt([]*corev1.Pod{p, free})
	want(p, 8*mebibyte, 8*mebibyte)
	// In place.
	for _, limit := range []string{"16Mi", "4Mi"} {
		resized := p.DeepCopy()
		q := resource.MustParse(limit)
		resized.Spec.Containers[0].Resources.Limits[corev1.ResourceMemory] = q
		b.Sync(resized)
		want(p, q.Value(), q.Value())
	}
	// Below what it holds it stays.
	dir := b.dir(p, "v1")
	if err := os.WriteFile(dir+"/f", make([]byte, 3*mebibyte), 0o600); err != nil {
		t.Fatal(err)
	}
	resized := p.DeepCopy()
	resized.Spec.Containers[0].Resources.Limits[corev1.ResourceMemory] = resource.MustParse("2Mi")
	b.Sync(resized)
	want(p, 2*mebibyte, 4*mebibyte)
	b.noFailures(p)
}

// TestAdoptedContentThatIsTooLargeStays has a volume that a version without bounds has
// filled.
func TestAdoptedContentThatIsTooLargeStays(t *testing.T) {
	t.Parallel()
	server := fakeapi.New(t)
	server.Put(secret("s", mebibyte, "x"))
	b := newBench(t, server)
	p := b.limitedPod("p", "64Mi", "projected: {sources: [{serviceAccountToken: {path: token}}, {secret: {name: s, items: [{key: k, path: a}, {key: k, path: b}, {key: k, path: c}]}}]}")
	b.setup(p)
	dir := b.dir(p, "v0")
	token := read(dir, "token")
	b.restart()
	small := p.DeepCopy()
	small.Spec.Containers[0].Resources.Limits[corev1.ResourceMemory] = resource.MustParse("2Mi")
	b.Adopt([]*corev1.Pod{small})
	b.setup(small)
	b.refused(p, "v0")
	if got := len(read(dir, "c")); got != mebibyte {
		t.Errorf("a file has %d bytes", got)
	}
	eventually(t, "a fresh token", func() bool { return read(dir, "token") != token })
}
