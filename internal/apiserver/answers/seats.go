package answers

import (
	"context"
	"io"
	"time"
)

// stalledOther is how long a client may keep a request waiting while another account waits
// for its seat, where one of its own waits stalledReader.
const stalledOther = 2 * time.Second

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
	other, own := now.Add(-stalledOther).UnixNano(), now.Add(-stalledReader).UnixNano()
	var reads, writes []*reading
	r.mu.Lock()
	for reading := range r.all {
		seat := reading.seat.Load()
		if seat == nil || seat.level != level {
			continue
		}
		before := other
		if seat.account == account {
			before = own
		}
		if since := reading.stuck.Load(); since != 0 && since <= before {
			writes = append(writes, reading)
		} else if since := reading.starved.Load(); since != 0 && since <= before {
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
func (b *trackedBody) Read(p []byte) (int, error) {
	b.reading.starved.Store(b.now().UnixNano())
	defer b.reading.starved.Store(0)
	return b.ReadCloser.Read(p)
}
