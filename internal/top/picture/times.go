package picture

import (
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/util/duration"
)

// Clock is the server's time against this machine's.
type Clock struct {
	// System is how far what tokens live by is ahead, Wall how far all else is.
	System, Wall time.Duration
}

// Ago says how long ago a time of the wall's clock was.
func (c Clock) Ago(t, now time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return duration.HumanDuration(max(now.Add(c.Wall).Sub(t), 0)) + " ago"
}

// Until says where a time of the system's clock is from now.
func (c Clock) Until(t, now time.Time) string {
	if t.IsZero() {
		return "-"
	}
	left := t.Sub(now.Add(c.System))
	if left < 0 {
		return duration.HumanDuration(-left) + " ago"
	}
	return "in " + duration.HumanDuration(left)
}

// Life draws a token's: what is over, now, and the mark at which it is replaced.
func (c Clock) Life(t Token, now time.Time, width int) string {
	life := t.Expires.Sub(t.Issued)
	if t.Issued.IsZero() || life <= 0 || width < 3 {
		return ""
	}
	at := func(when time.Time) int {
		return min(max(int(float64(width-1)*float64(when.Sub(t.Issued))/float64(life)), 0), width-1)
	}
	here, mark := at(now.Add(c.System)), at(t.Rotates)
	var b strings.Builder
	for i := range width {
		switch {
		case i == here:
			b.WriteString("●")
		case i < here:
			b.WriteString("━")
		case i == mark && !t.Rotates.IsZero():
			b.WriteString("┃")
		default:
			b.WriteString("─")
		}
	}
	return b.String()
}
