package etcd_test

import (
	"log/slog"
	"runtime"
	"strings"
	"testing"
)

// TestMemoryDoesNotGrowWithWhatWasOverwritten writes one large value over and over:
// the log in memory is bounded by few entries, since each may be as large as a
// request.
func TestMemoryDoesNotGrowWithWhatWasOverwritten(t *testing.T) {
	_, e := start(t, t.TempDir())
	client, err := e.NewClient(slog.Default())
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	before := live()
	const writes, size = 350, 512 << 10
	value := strings.Repeat("x", size)
	for range writes {
		if _, err := client.Put(t.Context(), "large", value); err != nil {
			t.Fatal(err)
		}
	}
	if grown := live() - before; grown > writes*size/2 {
		t.Errorf("%d MiB are held after %d MiB were written", grown>>20, writes*size>>20)
	}
}

// live is how many bytes of the heap are in use.
func live() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}
