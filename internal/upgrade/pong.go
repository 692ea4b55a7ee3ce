package upgrade

import (
	"sync"
	"time"
)

// maxPongs bounds the pongs that wait for a place between two frames. A client that
// takes nothing has no use for more of them.
const maxPongs = 64

// pongs are the answers to pings that wait to be written.
type pongs struct {
	mu      sync.Mutex
	waiting [][]byte
	changed chan struct{}
	closed  bool
}

func newPongs() pongs { return pongs{changed: make(chan struct{}, 1)} }

func (p *pongs) add(pong []byte) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.waiting) < maxPongs {
		p.waiting = append(p.waiting, pong)
	}
	p.wake()
}

func (p *pongs) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	p.wake()
}

func (p *pongs) wake() {
	select {
	case p.changed <- struct{}{}:
	default:
	}
}

func (p *pongs) take() (waiting [][]byte, closed bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	waiting, p.waiting = p.waiting, nil
	return waiting, p.closed
}

// beat is how often a client is written to while its input waits for the backend: only
// an answer to what is written shows that a client has gone then.
const beat = 10 * time.Second

// answer writes pongs between the frames, until they are closed.
func (r *relay) answer() {
	ticker := r.clock.NewTicker(r.beat)
	defer ticker.Stop()
	waited := false
	for {
		var waiting [][]byte
		select {
		case <-r.pongs.changed:
			var closed bool
			if waiting, closed = r.pongs.take(); closed {
				return
			}
		case <-ticker.C():
			if stuck := r.stuck.Load(); !stuck || !waited {
				waited = stuck
				continue
			}
			waiting = [][]byte{r.framing.beat()}
		}
		if r.between(waiting) != nil && !r.over.Load() {
			r.cut() // else Linger has it
		}
	}
}

// between writes whole frames to the client.
func (r *relay) between(frames [][]byte) error {
	r.toClient.Lock()
	defer r.toClient.Unlock()
	for _, f := range frames {
		if err := r.tell(f); err != nil {
			return err
		}
	}
	return nil
}
