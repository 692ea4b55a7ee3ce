package compat

import (
	"bytes"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"
)

// slowBlobs answers for the layers of a registry's images itself: one byte each pause, and
// after so many of them the rest.
func (r *privateRegistry) slowBlobs(slow int, pause time.Duration) {
	lie := func(w http.ResponseWriter, req *http.Request) bool {
		if !strings.Contains(req.URL.Path, "/blobs/") || req.Method != http.MethodGet {
			return false
		}
		_, _, authorized := req.BasicAuth()
		if !authorized {
			return false
		}
		raw := r.blob(req)
		if bytes.HasPrefix(raw, []byte("{")) {
			return false // the configuration comes at once
		}
		w.Header().Set("Content-Length", fmt.Sprint(len(raw)))
		flush := http.NewResponseController(w)
		for i := range min(slow, len(raw)) {
			_, _ = w.Write(raw[i : i+1])
			_ = flush.Flush()
			select {
			case <-time.After(pause):
			case <-req.Context().Done():
				return true
			}
		}
		_, _ = w.Write(raw[min(slow, len(raw)):])
		return true
	}
	r.lie.Store(&lie)
}

// blob is what the registry itself answers.
func (r *privateRegistry) blob(req *http.Request) []byte {

	w := &memory{header: http.Header{}}
	r.inner.ServeHTTP(w, req)
	return w.body
}

// memory is an answer that is kept.
type memory struct {
	header http.Header
	body   []byte
}

func (m *memory) Header() http.Header         { return m.header }
func (m *memory) WriteHeader(int)             {}
func (m *memory) Write(p []byte) (int, error) { m.body = append(m.body, p...); return len(p), nil }

// TestPullThatDoesNotMoveIsGivenUp: a registry that never answers is given up after a
// minute; one that is slow within a layer is waited for.
func TestPullThatDoesNotMoveIsGivenUp(t *testing.T) {
	t.Parallel()
	ns := shared.namespace(t)
	silent, slow := shared.newRegistry(t), shared.newRegistry(t)
	for name, r := range map[string]*privateRegistry{"silent": silent, "slow": slow} {
		image := r.push(t, "stall/"+name+":1")
		shared.login(t, ns, name, r, registryPassword)
		if r == silent {
			lie := func(_ http.ResponseWriter, req *http.Request) bool { <-req.Context().Done(); return true }
			r.lie.Store(&lie)
		} else {
			r.slowBlobs(7, 10*time.Second)
		}
		shared.apply(t, ns, pullerPod(name, image, "  imagePullSecrets: [{name: "+name+"}]\n"))
	}
	start := time.Now()
	message := shared.waits(t, ns, "silent", 240*time.Second, "ErrImagePull", "ImagePullBackOff")
	contains(t, message, "nothing came from registry "+silent.host+" for 1m0s")
	if took := time.Since(start); took < 50*time.Second {
		t.Errorf("given up after %s", took)
	}
	shared.running(t, ns, "slow")
	contains(t, shared.sh(t, "kubectl describe pod -n "+ns+" slow"), "Successfully pulled image")
}
