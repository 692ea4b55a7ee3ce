package resident

import (
	"context"
	"runtime/debug"
	"runtime/metrics"
	"time"

	"laterna.dev/laterna/internal/clock"
)

const (
	// lookInterval is how often GiveBack looks. Reading the figures takes microseconds.
	lookInterval = 2 * time.Second
	// quietBytes is how much is allocated at most between two looks of a process that
	// has nothing to do.
	quietBytes = 16 << 20
	// spareBytes is how much free memory is not worth a collection.
	spareBytes = 48 << 20
)

// GiveBack returns memory to the kernel after each burst of work, until ctx ends:
// once a process that has grown by much allocates little again. The runtime itself
// waits for its next collection, up to two minutes, and keeps what the last one left.
func GiveBack(ctx context.Context, c clock.Wall) {
	ticker := c.NewTicker(lookInterval)
	defer ticker.Stop()
	k := keeper{last: readFigures()}
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C():
		}
		if k.due(readFigures()) {
			debug.FreeOSMemory()
			k.released(readFigures())
		}
	}
}

// figures are those of the runtime, in bytes.
type figures struct {
	// held is the heap's memory that has not been returned to the kernel, allocated
	// all that was ever allocated.
	held, allocated uint64
}

// keeper decides when memory is returned.
type keeper struct {
	last figures
	// floor is what was held after memory was returned last, or less since then.
	floor uint64
}

// due tells whether memory is to be returned now: much more is held than was needed
// before, and nothing goes on that would need it again.
func (k *keeper) due(now figures) bool {
	quiet := now.allocated-k.last.allocated < quietBytes
	k.last = now
	if k.floor == 0 || now.held < k.floor {
		k.floor = now.held
	}
	return quiet && now.held > k.floor+max(spareBytes, k.floor/2)
}

// released notes what is held after memory was returned.
func (k *keeper) released(now figures) { k.last, k.floor = now, now.held }

// readFigures asks the runtime, without stopping anything.
func readFigures() figures {
	samples := []metrics.Sample{
		{Name: "/memory/classes/heap/objects:bytes"}, {Name: "/memory/classes/heap/unused:bytes"},
		{Name: "/memory/classes/heap/free:bytes"}, {Name: "/gc/heap/allocs:bytes"},
	}
	metrics.Read(samples)
	return figures{
		held:      samples[0].Value.Uint64() + samples[1].Value.Uint64() + samples[2].Value.Uint64(),
		allocated: samples[3].Value.Uint64(),
	}
}
