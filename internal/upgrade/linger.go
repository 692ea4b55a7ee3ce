package upgrade

import (
	"context"
	"net"
	"time"

	"laterna.dev/laterna/internal/clock"
)

const (
	firstLook = 2 * time.Millisecond
	lastLook  = 500 * time.Millisecond
)

// Linger keeps a connection, to which all is written, until its client has taken all and
// closed it; the caller then closes it. done is closed when the client's end has come:
// the caller goes on reading, so that nothing the client sends is left unread. Linger
// also returns when ctx ends, or when for Idle the client has taken nothing.
func Linger(ctx context.Context, c net.Conn, done <-chan struct{}, clk clock.Wall) {
	var (
		last, known = unacknowledged(c)
		since       = clk.Now()
		told        bool
		wait        = firstLook
	)
	for {
		if !told && (last == 0 || !known) {
			// With all taken it cannot wait behind the rest, and need not.
			told = true
			_ = closeWrite(c)
		}
		timer := clk.NewTimer(wait)
		select {
		case <-done:
		case <-ctx.Done():
		case <-timer.C():
			now, _ := unacknowledged(c)
			if now < last {
				since = clk.Now()
			}
			last, wait = now, min(2*wait, lastLook)
			if clk.Since(since) < Idle {
				continue
			}
		}
		timer.Stop()
		return
	}
}
