package apiserver_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/tls"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"runtime"
	"runtime/metrics"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
)

const (
	tableType    = "application/json;as=Table;v=v1;g=meta.k8s.io"
	metadataType = "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io"
	protobufType = "application/vnd.kubernetes.protobuf"
)

// httpClient returns a plain client of a user. It speaks HTTP/1.1 unless h2.
func (s *system) httpClient(c *rest.Config, h2 bool) *http.Client {
	s.t.Helper()
	config, err := rest.TLSConfigFor(c)
	must(s.t, err)
	transport := &http.Transport{TLSClientConfig: config, ForceAttemptHTTP2: h2, DisableCompression: true, WriteBufferSize: 4096, ReadBufferSize: 4096}
	if !h2 {
		transport.TLSNextProto = map[string]func(string, *tls.Conn) http.RoundTripper{}
	}
	s.t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

// get asks for a path below /api/v1. The caller closes the body.
func (s *system) get(ctx context.Context, c *http.Client, path, accept string, header ...string) *http.Response {
	s.t.Helper()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://"+s.addr+"/api/v1"+path, nil)
	must(s.t, err)
	req.Header.Set("Accept", accept)
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	response, err := c.Do(req)
	must(s.t, err)
	return response
}

// viewer makes a user who may read everything but Secrets, and returns its name.
func (s *system) viewer(admin kubernetes.Interface, name string) *rest.Config {
	s.t.Helper()
	_, err := admin.RbacV1().ClusterRoleBindings().Create(s.t.Context(), &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "view"},
		Subjects:   []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: rbacv1.UserKind, Name: name}},
	}, metav1.CreateOptions{})
	must(s.t, err)
	c := s.config(name)
	can, err := kubernetes.NewForConfig(c)
	must(s.t, err)
	eventually(s.t, func() error {
		_, err := can.CoreV1().ConfigMaps("").List(s.t.Context(), metav1.ListOptions{Limit: 1})
		return err
	})
	return c
}

// fillMaps makes ConfigMaps of so many bytes each, which no compression makes smaller by
// much.
func (s *system) fillMaps(admin kubernetes.Interface, n, size int) {
	s.t.Helper()
	var wg sync.WaitGroup
	for w := range 4 {
		wg.Go(func() {
			for i := w; i < n; i += 4 {
				cm := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprint("c", i)}, Data: map[string]string{"k": noise(size)}}
				if _, err := admin.CoreV1().ConfigMaps("default").Create(s.t.Context(), cm, metav1.CreateOptions{}); err != nil {
					s.t.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
}

func noise(size int) string {
	raw := make([]byte, size/2)
	rand.Read(raw)
	return hex.EncodeToString(raw)
}

// heldByReaders returns how much is in use once n clients have begun to read an answer
// and stopped, and the server can write no more. Then they read at least so many bytes
// of it, and all of it unless it is endless. What is held while nothing happens depends
// on no other load of the machine.
func (s *system) heldByReaders(n int, open func() *http.Response, least int64, endless bool) int64 {
	s.t.Helper()
	before := heapAtRest() // without what the answers before have left in pools
	begun, resume := make(chan struct{}, n), make(chan struct{})
	var wg sync.WaitGroup
	for range n {
		wg.Go(func() {
			response := open()
			defer response.Body.Close()
			begun <- struct{}{}
			<-resume
			read, err := io.CopyN(io.Discard, response.Body, least)
			if err == nil && !endless {
				_, err = io.Copy(io.Discard, response.Body)
			}
			if err != nil || response.StatusCode != http.StatusOK {
				s.t.Errorf("%s, %d bytes: %v", response.Status, read, err)
			}
		})
	}
	<-begun
	grown := heapAtRest() - before
	close(resume)
	wg.Wait()
	return grown
}

// heapAtRest returns what is in use when that has not changed for half a second.
func heapAtRest() int64 {
	last := int64(0)
	for same := 0; same < 5; same++ {
		time.Sleep(100 * time.Millisecond)
		runtime.GC()
		now := heapLive()
		if now > last+1<<20 || now < last-1<<20 {
			same = 0
		}
		last = now
	}
	return last
}

// heapKept returns by how much what is in use grew while f ran, without garbage.
func heapKept(f func()) int64 {
	runtime.GC()
	before := heapLive()
	f()
	runtime.GC()
	return heapLive() - before
}

// heapLive is what the last collection found in use, in bytes.
func heapLive() int64 {
	sample := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	metrics.Read(sample)
	return int64(sample[0].Value.Uint64())
}

// TestMemoryOfListsDoesNotGrowWithTheCollection reads 12 MB many times at once, in
// every form that a client may ask for.
func TestMemoryOfListsDoesNotGrowWithTheCollection(t *testing.T) {
	s := boot(t, t.TempDir())
	admin := s.admin()
	viewer := s.viewer(admin, "viewer")
	s.fillMaps(admin, 60, 200_000)
	for name, form := range map[string]struct {
		path, accept string
		header       []string
		atOnce       int
	}{
		"JSON":       {"/configmaps", "application/json", nil, 8},
		"protobuf":   {"/configmaps", protobufType, nil, 8},
		"gzip":       {"/configmaps", "application/json", []string{"Accept-Encoding", "gzip"}, 4},
		"curl's":     {"/configmaps", "application/json", []string{"User-Agent", "curl/8"}, 8},
		"YAML":       {"/configmaps", "application/yaml", nil, 1},
		"table":      {"/configmaps", tableType, nil, 8},
		"metadata":   {"/configmaps", metadataType, nil, 8},
		"watch list": {"/configmaps?watch=1&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true&timeoutSeconds=60", "application/json", nil, 8},
	} {
		t.Run(name, func(t *testing.T) {
			grown := s.heldByReaders(form.atOnce, func() *http.Response {
				return s.get(t.Context(), s.httpClient(viewer, false), form.path, form.accept, form.header...)
			}, 10_000, strings.Contains(form.path, "watch"))
			t.Logf("%d MiB", grown>>20)
			if grown > 40<<20 {
				t.Errorf("%d times 12 MB held %d MiB", form.atOnce, grown>>20)
			}
		})
	}
}

// TestWholeListsWaitForEachOther reads what can only be encoded whole, more of it at
// once than one account may hold.
func TestWholeListsWaitForEachOther(t *testing.T) {
	s := boot(t, t.TempDir())
	admin := s.admin()
	viewer := s.viewer(admin, "viewer")
	s.fillMaps(admin, 20, 500_000)
	grown := s.heldByReaders(12, func() *http.Response {
		return s.get(t.Context(), s.httpClient(viewer, false), "/configmaps?includeObject=Object", tableType)
	}, 10_000_000, false)
	t.Logf("%d MiB", grown>>20)
	if grown > 100<<20 { // without the wait it is more than 170, and grows with their number
		t.Errorf("held %d MiB", grown>>20)
	}
}

// TestListsAreWhatTheyWere compares the forms of a list with each other, and pages
// with the whole.
func TestListsAreWhatTheyWere(t *testing.T) {
	s := boot(t, t.TempDir())
	admin := s.admin()
	s.fillMaps(admin, 25, 3000)
	ctx := t.Context()
	all, err := admin.CoreV1().ConfigMaps("default").List(ctx, metav1.ListOptions{})
	must(t, err)
	client := s.httpClient(s.config("admin", "system:masters"), true)
	body := func(path, accept string, header ...string) []byte {
		t.Helper()
		response := s.get(ctx, client, path, accept, header...)
		defer response.Body.Close()
		raw, err := io.ReadAll(response.Body)
		if err != nil || response.StatusCode != http.StatusOK {
			t.Fatalf("%s: %s %v", path, response.Status, err)
		}
		return raw
	}
	plain := body("/namespaces/default/configmaps?resourceVersion="+all.ResourceVersion+"&resourceVersionMatch=Exact", "application/json")
	whole, err := json.Marshal(withKinds(all))
	must(t, err)
	if !bytes.Equal(bytes.TrimSpace(plain), whole) {
		t.Errorf("JSON:\n%.300s\nwant\n%.300s", plain, whole)
	}
	var indented bytes.Buffer
	must(t, json.Indent(&indented, whole, "", "  "))
	if pretty := body("/namespaces/default/configmaps?pretty=1&resourceVersion="+all.ResourceVersion+"&resourceVersionMatch=Exact", "application/json"); !bytes.Equal(pretty, indented.Bytes()) {
		t.Errorf("indented:\n%.300s\nwant\n%.300s", pretty, indented.Bytes())
	}
	var items []corev1.ConfigMap
	options := metav1.ListOptions{Limit: 7}
	for pages := 1; ; pages++ {
		page, err := admin.CoreV1().ConfigMaps("default").List(ctx, options)
		must(t, err)
		if page.ResourceVersion != all.ResourceVersion {
			t.Errorf("page %d is of %s, not %s", pages, page.ResourceVersion, all.ResourceVersion)
		}
		items = append(items, page.Items...)
		if options.Continue = page.Continue; page.Continue == "" {
			if pages != 4 || page.RemainingItemCount != nil {
				t.Errorf("%d pages, %v remain", pages, page.RemainingItemCount)
			}
			break
		}
		if left := int64(len(all.Items) - len(items)); page.RemainingItemCount == nil || *page.RemainingItemCount != left {
			t.Errorf("page %d: %v remain, not %d", pages, page.RemainingItemCount, left)
		}
	}
	if got, _ := json.Marshal(items); !bytes.Equal(got, mustJSON(t, all.Items)) {
		t.Error("the pages are not the list")
	}
	selected, err := admin.CoreV1().ConfigMaps("").List(ctx, metav1.ListOptions{FieldSelector: "metadata.name=c7"})
	must(t, err)
	if len(selected.Items) != 1 || selected.Items[0].Name != "c7" {
		t.Errorf("selected %d", len(selected.Items))
	}
	if none := body("/namespaces/none/configmaps", "application/yaml"); !strings.Contains(string(none), "\nitems: []\n") {
		t.Errorf("an empty list: %s", none)
	}
}

func mustJSON(t *testing.T, v any) []byte {
	t.Helper()
	raw, err := json.Marshal(v)
	must(t, err)
	return raw
}

// withKinds sets what client-go leaves out.
func withKinds(l *corev1.ConfigMapList) *corev1.ConfigMapList {
	l = l.DeepCopy()
	l.Kind, l.APIVersion = "ConfigMapList", "v1"
	return l
}
