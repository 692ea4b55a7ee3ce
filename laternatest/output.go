package laternatest

import (
	"io"
	"sync"
)

// output is a test's output until the test ends: writing to it later would be a fault of
// the test.
type output struct {
	mu sync.Mutex
	w  io.Writer // nil once closed
}

// Write implements io.Writer.
func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.w == nil {
		return len(p), nil
	}
	return o.w.Write(p)
}

func (o *output) close() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.w = nil
}
