package images_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"laterna.dev/laterna/internal/runtime/cri"
	"laterna.dev/laterna/internal/runtime/runtimetest"
)

// TestProgressOfAPull has a registry that waits: before it says anything, and within each
// layer after its first mebibyte and a half.
func TestProgressOfAPull(t *testing.T) {
	m := runtimetest.Start(t, runtimetest.Dir(t))
	inner := registry.New(registry.Logger(log.New(io.Discard, "", 0)))
	speak, within, rest, over := make(chan struct{}), make(chan struct{}), make(chan struct{}), make(chan struct{})
	await := func(c <-chan struct{}) {
		select {
		case <-c:
		case <-over:
		}
	}
	pushing := true
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !pushing {
			await(speak)
			if strings.Contains(r.URL.Path, "/blobs/") {
				await(within)
				w = &slowly{ResponseWriter: w, rest: func() { await(rest) }}
			}
		}
		inner.ServeHTTP(w, r)
	}))
	defer server.Close()
	host := strings.TrimPrefix(server.URL, "http://")
	image, err := random.Image(4<<20, 1)
	if err != nil {
		t.Fatal(err)
	}
	ref, err := name.ParseReference(host+"/team/app:1", name.Insecure)
	if err != nil {
		t.Fatal(err)
	}
	if err := remote.Write(ref, image); err != nil {
		t.Fatal(err)
	}
	pushing = false

	look := func(repository string) (string, bool) {
		t.Helper()
		mark, open, err := m.Images.Progress(t.Context(), repository)
		if err != nil {
			t.Fatal(err)
		}
		return mark, open
	}
	repository := host + "/team/app"
	ctx, cancel := context.WithCancel(t.Context())
	pulled := make(chan error, 1)
	go func() {
		_, err := m.CRI.PullImage(ctx, ref.Name(), &cri.SandboxSpec{}, nil)
		pulled <- err
	}()
	defer func() { cancel(); close(over); <-pulled }()
	silent, open := look(repository)
	time.Sleep(time.Second)
	if again, _ := look(repository); open || again != silent {
		t.Errorf("of a registry that is silent: %t, %q and then %q", open, silent, again)
	}
	close(speak)
	until(t, func() error {
		if mark, open := look(repository); !open || mark == silent {
			return fmt.Errorf("of blobs that are awaited: %t, %q", open, mark)
		}
		return nil
	})
	awaited, _ := look(repository)
	if other, open := look(host + "/team/other"); open {
		t.Errorf("of another repository: open, %q", other)
	}
	close(within)
	until(t, func() error {
		if mark, open := look(repository); !open || mark == awaited || !strings.Contains(mark, " 1048576") {
			return fmt.Errorf("of a blob that comes: %t, %q", open, mark)
		}
		return nil
	})
	close(rest)
	select {
	case err := <-pulled:
		if err == nil {
			err = errors.New("a random image was unpacked") // its layers are no archives
		}
		pulled <- err
	case <-time.After(time.Minute):
		t.Fatal("the pull does not end")
	}
}

// slowly writes, of what is large, the first mebibyte and a half, and the rest later.
type slowly struct {
	http.ResponseWriter
	rest    func()
	written int
}

func (s *slowly) Write(p []byte) (int, error) {
	const first = 3 << 19
	if room := first - s.written; room > 0 && len(p) > room {
		n, err := s.ResponseWriter.Write(p[:room])
		s.written += n
		if err != nil {
			return n, err
		}
		_ = http.NewResponseController(s.ResponseWriter).Flush()
		s.rest()
		m, err := s.Write(p[room:])
		return n + m, err
	}
	n, err := s.ResponseWriter.Write(p)
	s.written += n
	if s.written >= first {
		_ = http.NewResponseController(s.ResponseWriter).Flush()
		s.rest()
	}
	return n, err
}

// until waits for check to return nil.
func until(t *testing.T, check func() error) {
	t.Helper()
	var err error
	for end := time.Now().Add(15 * time.Second); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		if err = check(); err == nil {
			return
		}
	}
	t.Fatal(err)
}
