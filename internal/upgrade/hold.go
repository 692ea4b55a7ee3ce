package upgrade

import "sync"

// holdEach bounds what Hold keeps for one client, in bytes.
const holdEach = 8 << 20

// Hold keeps what clients have not taken yet of output whose source must not wait: a
// container runtime that waits for a reader of a container's output holds up the
// container and its log, and drops what it holds when the container ends. It keeps 8 MiB
// for one client and Size for all; beyond that the source waits. It is safe for
// concurrent use.
type Hold struct {
	// Size is in bytes.
	Size int64

	mu   sync.Mutex
	used int64
}

func (h *Hold) take(n int) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.used+int64(n) > h.Size {
		return false
	}
	h.used += int64(n)
	return true
}

func (h *Hold) must(n int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.used += int64(n)
}

func (h *Hold) give(n int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.used -= int64(n)
}

// held is what one client has not taken yet.
type held struct {
	hold *Hold
	out  func([]byte) error // writes to the client

	mu      sync.Mutex
	changed *sync.Cond
	waiting [][]byte
	size    int
	err     error
	ended   bool
}

func newHeld(hold *Hold, out func([]byte) error) *held {
	h := &held{hold: hold, out: out}
	h.changed = sync.NewCond(&h.mu)
	return h
}

// Write implements io.Writer. It waits only where no more may be held.
func (h *held) Write(p []byte) (int, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for h.err == nil && !h.room(len(p)) {
		h.changed.Wait()
	}
	if h.err != nil {
		return 0, h.err
	}
	h.size += len(p)
	h.waiting = append(h.waiting, append([]byte(nil), p...))
	h.changed.Broadcast()
	return len(p), nil
}

// room takes a place for n bytes. One piece for each client is always held.
func (h *held) room(n int) bool {
	if h.size == 0 {
		h.hold.must(n)
		return true
	}
	return h.size+n <= holdEach && h.hold.take(n)
}

// run writes to the client what is held, until end or an error.
func (h *held) run() {
	h.mu.Lock()
	defer h.mu.Unlock()
	for {
		for len(h.waiting) == 0 && !h.ended {
			h.changed.Wait()
		}
		if len(h.waiting) == 0 {
			return
		}
		p := h.waiting[0]
		h.waiting[0], h.waiting = nil, h.waiting[1:]
		h.mu.Unlock()
		err := h.out(p)
		h.mu.Lock()
		h.size -= len(p)
		h.hold.give(len(p))
		if err != nil {
			h.hold.give(h.size)
			h.err, h.size, h.waiting, h.ended = err, 0, nil, true
		}
		h.changed.Broadcast()
	}
}

// flush waits until the client has taken all, or cannot any more.
func (h *held) flush() {
	h.mu.Lock()
	defer h.mu.Unlock()
	for h.size > 0 && h.err == nil {
		h.changed.Wait()
	}
}

// end lets run return when nothing is held any more.
func (h *held) end() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.ended = true
	h.changed.Broadcast()
}
