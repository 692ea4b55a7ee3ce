package answers

import (
	"context"
	"io"
	"sync/atomic"
	"time"

	"k8s.io/apiserver/pkg/authentication/user"
)

// stalledOther is how long a client may keep a request waiting while another account waits
// for its seat, where one of its own waits stalledReader.
const stalledOther = 2 * time.Second

// steadyBytes is what a client that goes on moves in a second at least.
const steadyBytes = 32 << 10

// seated says where a request holds a seat, and whose it is.
type seated struct{ level, account string }

// Sit notes that the request of ctx holds a seat in a level, for an account, until leave is
// called.
func Sit(ctx context.Context, level, account string) (leave func()) {
	r := readingOf(ctx)
	if r == nil {
		return func() {}
	}
	r.seat.Store(&seated{level, account})
	return func() { r.seat.Store(nil) }
}

// GiveWay ends the requests that hold a seat in a level and wait for their clients for too
// long: for them to read the answer, or to send what they want. A request of an account
// waits for a seat.
func (r *Readings) GiveWay(level, account string) {
	now := r.clock.Now()
	var reads, writes []*reading
	r.mu.Lock()
	for reading := range r.all {
		seat := reading.seat.Load()
		if seat == nil || seat.level != level {
			continue
		}
		patience := stalledOther
		if seat.account == account && account != user.Anonymous { // who is nobody is many
			patience = stalledReader
		}
		if reading.slow(&reading.stuck, now, patience) {
			writes = append(writes, reading)
		} else if reading.slow(&reading.starved, now, patience) {
			reads = append(reads, reading)
		}
	}
	r.mu.Unlock()
	for _, reading := range writes {
		reading.cut()
	}
	for _, reading := range reads {
		reading.giveUp()
	}
}

// trackedBody notes when its client does not send.
type trackedBody struct {
	io.ReadCloser
	reading *reading
	now     func() time.Time
}

// Read implements io.Reader.
func (b *trackedBody) Read(p []byte) (n int, err error) {
	b.reading.starved.Store(b.now().UnixNano())
	defer func() { b.reading.went(&b.reading.starved, b.now(), n) }()
	return b.ReadCloser.Read(p)
}

// went notes that a client was waited for, since what on says, and has moved n bytes.
func (r *reading) went(on *atomic.Int64, now time.Time, n int) {
	took := now.UnixNano() - on.Swap(0)
	took -= int64(n) * int64(time.Second) / steadyBytes
	for {
		owed := r.owed.Load()
		if r.owed.CompareAndSwap(owed, max(owed+took, 0)) {
			return
		}
	}
}

// slow tells whether a client is waited for, since what on says, that is behind by more than
// patience: silence counts, and a byte now and then is hardly more. What it has moved faster
// than it had to is no credit for a silence.
func (r *reading) slow(on *atomic.Int64, now time.Time, patience time.Duration) bool {
	since := on.Load()
	return since != 0 && time.Duration(r.owed.Load()+now.UnixNano()-since) >= patience
}
