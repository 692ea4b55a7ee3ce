package inspect

import (
	"fmt"
	"time"
)

// ASCII returns JSON with every character outside ASCII escaped inside its strings, where
// alone they can be.
func ASCII(json []byte) []byte {
	var out []byte
	for _, r := range string(json) {
		switch {
		case r < 0x7f:
			out = append(out, byte(r))
		case r <= 0xffff:
			out = fmt.Appendf(out, `\u%04x`, r)
		default:
			r -= 0x10000
			out = fmt.Appendf(out, `\u%04x\u%04x`, 0xd800+r>>10, 0xdc00+r&0x3ff)
		}
	}
	return out
}

// Moment returns a time as the reports give it, in the machine's time zone.
func Moment(t time.Time) string { return t.Local().Format("2006-01-02 15:04:05 MST") }

// Span returns a duration in its two greatest units, to the second.
func Span(d time.Duration) string {
	const day = 24 * time.Hour
	d = d.Abs().Truncate(time.Second)
	switch {
	case d >= day:
		return pair(d, day, "d", time.Hour, "h")
	case d >= time.Hour:
		return pair(d, time.Hour, "h", time.Minute, "m")
	case d >= time.Minute:
		return pair(d, time.Minute, "m", time.Second, "s")
	}
	return fmt.Sprintf("%ds", d/time.Second)
}

func pair(d, great time.Duration, greatUnit string, small time.Duration, smallUnit string) string {
	text := fmt.Sprintf("%d%s", d/great, greatUnit)
	if rest := d % great / small; rest > 0 {
		text += fmt.Sprintf("%d%s", rest, smallUnit)
	}
	return text
}

// Relative returns where t is as seen from now.
func Relative(t, now time.Time) string {
	if t.After(now) {
		return "in " + Span(t.Sub(now))
	}
	return Span(now.Sub(t)) + " ago"
}
