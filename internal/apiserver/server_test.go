package apiserver_test

import (
	"context"
	"io"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"laterna.dev/laterna/internal/apiserver"
)

// TestBoot starts cold. The bound is far above the budget, which `make bench`
// measures on a quiet machine; it finds what waits for a timer.
func TestBoot(t *testing.T) {
	s := boot(t, t.TempDir())
	t.Log("ready after", s.took)
	if s.took > 3*time.Second {
		t.Errorf("ready after %s", s.took)
	}
	if _, err := s.admin().CoreV1().Namespaces().Get(t.Context(), "kube-system", metav1.GetOptions{}); err != nil {
		t.Error(err)
	}
}

// TestServerIsReadyWithAnAddressThatEndpointsCannotName asks for addresses that mean
// another machine for every reader.
func TestServerIsReadyWithAnAddressThatEndpointsCannotName(t *testing.T) {
	boot(t, t.TempDir(), func(c *apiserver.Config) { c.Serving.Advertise = netip.MustParseAddrPort("[::]:6443") })
}

// slowBody is a request body that arrives in two parts.
func slowBody(first, second string, between <-chan struct{}) io.Reader {
	r, w := io.Pipe()
	go func() {
		io.WriteString(w, first)
		<-between
		io.WriteString(w, second)
		w.Close()
	}()
	return r
}

// TestStop stops a server in the middle of a write and of a watch.
func TestStop(t *testing.T) {
	s := boot(t, t.TempDir())
	w, err := s.admin().CoreV1().ConfigMaps("default").Watch(t.Context(), metav1.ListOptions{})
	must(t, err)
	next := make(chan struct{})
	written := make(chan int, 1)
	req, err := http.NewRequest("POST", "https://"+s.addr+"/api/v1/namespaces/default/configmaps",
		slowBody(`{"apiVersion":"v1","kind":"ConfigMap",`, `"metadata":{"name":"late"}}`, next))
	must(t, err)
	req.Header.Set("Content-Type", "application/json")
	c := s.privileged()
	go func() {
		resp, err := c.Do(req)
		if err != nil {
			t.Error(err)
			written <- 0
			return
		}
		resp.Body.Close()
		written <- resp.StatusCode
	}()
	time.Sleep(50 * time.Millisecond) // the request is on its way
	began := time.Now()
	stopped := make(chan error, 1)
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		stopped <- s.server.Stop(ctx)
	}()
	time.Sleep(50 * time.Millisecond)
	close(next)
	if code := <-written; code != http.StatusCreated {
		t.Errorf("the write in flight got %d", code)
	}
	must(t, <-stopped)
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("stopping took %s", took)
	}
	for range w.ResultChan() {
	}
	if _, err := c.Get("https://" + s.addr + "/readyz"); err == nil || !strings.Contains(err.Error(), "refused") {
		t.Errorf("after the end: %v", err)
	}
	select {
	case err := <-s.server.Failed():
		t.Errorf("stopping counts as a failure: %v", err)
	default:
	}
}

// TestStopIsNotHeldUp stops a server while a client keeps the rest of its request
// to itself.
func TestStopIsNotHeldUp(t *testing.T) {
	s := boot(t, t.TempDir())
	body, rest := io.Pipe()
	defer rest.Close()
	req, err := http.NewRequest("POST", "https://"+s.addr+"/api/v1/namespaces/default/configmaps", body)
	must(t, err)
	req.Header.Set("Content-Type", "application/json")
	c := s.privileged()
	go func() {
		if resp, err := c.Do(req); err == nil {
			resp.Body.Close()
		}
	}()
	// What is taken from the body follows the head of the request.
	_, err = io.WriteString(rest, `{"apiVersion":"v1",`)
	must(t, err)
	time.Sleep(200 * time.Millisecond) // the request is on its way
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	began := time.Now()
	if err := s.server.Stop(ctx); err == nil {
		t.Error("a request was cut and nothing was said")
	}
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("stopping took %s", took)
	}
}
