package apiserver_test

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
)

// deafWatch opens a watch on a connection of its own and never reads from it.
func (s *system) deafWatch(config *tls.Config, accept string) {
	s.t.Helper()
	raw, err := net.Dial("tcp", s.addr)
	must(s.t, err)
	s.t.Cleanup(func() { raw.Close() })
	must(s.t, raw.(*net.TCPConn).SetReadBuffer(4096))
	_, err = fmt.Fprintf(tls.Client(raw, config), "GET /api/v1/namespaces/default/configmaps?watch=1&fieldSelector=metadata.name=large HTTP/1.1\r\nHost: localhost\r\nAccept: %s\r\n\r\n", accept)
	must(s.t, err)
}

// TestWatchesThatNeverReadHoldLittle opens many on a large object that changes. A
// watch that reads sees each change.
func TestWatchesThatNeverReadHoldLittle(t *testing.T) {
	s := boot(t, t.TempDir())
	admin := s.admin()
	viewer := s.viewer(admin, "viewer")
	maps := admin.CoreV1().ConfigMaps("default")
	large := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "large"}, Data: map[string]string{"k": strings.Repeat("x", 900_000)}}
	made, err := maps.Create(t.Context(), large, metav1.CreateOptions{})
	must(t, err)
	reader, err := kubernetes.NewForConfig(viewer)
	must(t, err)
	honest, err := reader.CoreV1().ConfigMaps("default").Watch(t.Context(), metav1.ListOptions{ResourceVersion: made.ResourceVersion})
	must(t, err)
	defer honest.Stop()
	config, err := rest.TLSConfigFor(viewer)
	must(t, err)
	config.ServerName = "localhost"
	grown := heapKept(func() {
		var wg sync.WaitGroup
		for i := range 150 {
			wg.Go(func() { s.deafWatch(config, []string{"application/json", protobufType}[i%2]) })
		}
		wg.Wait()
		for i := range 10 {
			large.Data["k"] = strings.Repeat(string(rune('a'+i)), 900_000)
			_, err := maps.Update(t.Context(), large, metav1.UpdateOptions{})
			must(t, err)
			event := <-honest.ResultChan()
			if cm, ok := event.Object.(*corev1.ConfigMap); !ok || event.Type != watch.Modified || cm.Data["k"] != large.Data["k"] {
				t.Fatalf("change %d: %s %T", i, event.Type, event.Object)
			}
		}
	})
	t.Logf("%d MiB", grown>>20)
	if grown > 120<<20 { // it was 500
		t.Errorf("held %d MiB", grown>>20)
	}
}

// TestWatchesOfAnAccountAreCounted opens as many as an account may have.
func TestWatchesOfAnAccountAreCounted(t *testing.T) {
	s := boot(t, t.TempDir())
	admin := s.admin()
	ctx, end := context.WithCancel(t.Context())
	defer end()
	const most, path = 1000, "/namespaces/default/configmaps?watch=1&resourceVersion=0"
	many := s.httpClient(s.viewer(admin, "many"), true)
	var first *http.Response
	for i := range most {
		response := s.get(ctx, many, path, "application/json")
		defer response.Body.Close()
		if response.StatusCode != http.StatusOK {
			raw, _ := io.ReadAll(response.Body)
			t.Fatalf("watch %d: %s", i, raw)
		}
		if first == nil {
			first = response
		}
	}
	refused := s.get(ctx, s.httpClient(s.config("many"), false), path, "application/json")
	defer refused.Body.Close()
	raw, err := io.ReadAll(refused.Body)
	must(t, err)
	if refused.StatusCode != http.StatusTooManyRequests || refused.Header.Get("Retry-After") != "1" || !strings.Contains(string(raw), `too many watches: \"many\" has 1000 open`) {
		t.Errorf("%s, after %q: %s", refused.Status, refused.Header.Get("Retry-After"), raw)
	}
	other := s.get(ctx, s.httpClient(s.viewer(admin, "other"), false), path, "application/json")
	defer other.Body.Close()
	if other.StatusCode != http.StatusOK {
		t.Errorf("another account: %s", other.Status)
	}
	must(t, first.Body.Close())
	eventually(t, func() error {
		again := s.get(ctx, s.httpClient(s.config("many"), false), path, "application/json")
		defer again.Body.Close()
		if again.StatusCode != http.StatusOK {
			return fmt.Errorf("after one has ended: %s", again.Status)
		}
		return nil
	})
}
