package resident

import (
	"runtime"
	"runtime/debug"
)

const (
	// startPercent is by how much the heap grows between two collections of a start. With
	// usualPercent a start collects seven times what is hardly garbage yet, which takes a
	// quarter of its processor time; with more, what stays is scattered over more memory
	// than it is worth.
	startPercent = 200
	// usualPercent is the runtime's own.
	usualPercent = 100
)

// Starting lets the collector rest while the process starts, until over is called, unless
// GOGC says how it is to work: gogc is its value. over collects at once, so that what is
// made next takes the room of the start's garbage.
func Starting(gogc string) (over func()) {
	if gogc != "" {
		return func() {}
	}
	debug.SetGCPercent(startPercent)
	return func() {
		debug.SetGCPercent(usualPercent)
		runtime.GC()
	}
}
