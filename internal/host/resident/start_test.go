package resident

import (
	"runtime/debug"
	"testing"
)

// percent returns how the collector works now.
func percent() int {
	p := debug.SetGCPercent(usualPercent)
	debug.SetGCPercent(p)
	return p
}

func TestCollectorRestsWhileTheProcessStarts(t *testing.T) {
	defer debug.SetGCPercent(percent())
	debug.SetGCPercent(usualPercent)
	over := Starting("")
	if percent() != startPercent {
		t.Errorf("%d %% while it starts", percent())
	}
	var before, after debug.GCStats
	debug.ReadGCStats(&before)
	over()
	debug.ReadGCStats(&after)
	if percent() != usualPercent || after.NumGC == before.NumGC {
		t.Errorf("%d %% afterwards, %d collections", percent(), after.NumGC-before.NumGC)
	}
}

func TestCollectorWorksAsTheUserSays(t *testing.T) {
	defer debug.SetGCPercent(debug.SetGCPercent(50))
	over := Starting("50")
	if percent() != 50 {
		t.Errorf("%d %% while it starts", percent())
	}
	if over(); percent() != 50 {
		t.Errorf("%d %% afterwards", percent())
	}
}
