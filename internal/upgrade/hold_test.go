package upgrade

import (
	"bytes"
	"errors"
	"sync"
	"testing"
	"time"
)

func TestHoldIsBoundedForEachAndForAll(t *testing.T) {
	t.Parallel()
	const piece, all = 64 << 10, 10 << 20
	hold := &Hold{Size: all}
	release := make(chan struct{})
	var mu sync.Mutex
	got := make([]bytes.Buffer, 3)
	var sources, clients sync.WaitGroup
	wrote := make([]int, 3)
	for i := range got {
		h := newHeld(hold, func(p []byte) error {
			<-release
			mu.Lock()
			defer mu.Unlock()
			got[i].Write(p)
			return nil
		})
		clients.Go(h.run)
		sources.Go(func() {
			for n := range 4 * all / piece {
				if _, err := h.Write(bytes.Repeat([]byte{byte(n)}, piece)); err != nil {
					t.Error(err)
				}
				mu.Lock()
				wrote[i] += piece
				mu.Unlock()
			}
			h.flush()
			h.end()
		})
	}
	time.Sleep(300 * time.Millisecond)
	mu.Lock()
	sum := 0
	for i, n := range wrote {
		if sum += n; n == 0 || n > holdEach {
			t.Errorf("%d bytes are held for client %d", n, i)
		}
	}
	if sum < holdEach || sum > all+3*piece {
		t.Errorf("%d bytes are held", sum)
	}
	mu.Unlock()
	close(release)
	sources.Wait()
	clients.Wait()
	for i := range got {
		if got[i].Len() != 4*all {
			t.Errorf("client %d got %d bytes", i, got[i].Len())
		}
	}
	if hold.used != 0 {
		t.Errorf("%d bytes stay counted", hold.used)
	}
}

func TestHoldIsGivenBackWhenAClientGoes(t *testing.T) {
	t.Parallel()
	hold := &Hold{Size: 1 << 20}
	gone := errors.New("gone")
	fail := make(chan struct{})
	h := newHeld(hold, func([]byte) error {
		<-fail
		return gone
	})
	done := make(chan struct{})
	go func() {
		defer close(done)
		h.run()
	}()
	for range 10 {
		if _, err := h.Write(make([]byte, 1000)); err != nil {
			t.Fatal(err)
		}
	}
	close(fail)
	<-done
	if _, err := h.Write(nil); !errors.Is(err, gone) {
		t.Errorf("error %v", err)
	}
	if hold.used != 0 {
		t.Errorf("%d bytes stay counted", hold.used)
	}
}
