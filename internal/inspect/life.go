package inspect

import (
	"time"

	"laterna.dev/laterna/boundtoken"
)

// Life is how far a token is on its way. Its times are in whole seconds.
type Life struct {
	Start time.Time `json:"start"`
	// End is when the token should have been replaced: its expiry, or the claim
	// warnafter of a token of extended life.
	End     time.Time `json:"end"`
	Expires time.Time `json:"expires"`
	// Over is the part of the time from Start to End that has passed, from 0 to 1.
	Over float64 `json:"over"`
	// Rotation is when an agent replaces the token if it keeps it in a volume; nil where
	// none does, since the token is not a pod's.
	Rotation *Rotation `json:"rotation,omitempty"`
}

// Rotation is the moment at which an agent replaces the file that a token is in. It does
// so up to 10 s earlier, to spread the load.
type Rotation struct {
	At time.Time `json:"at"`
	// Part is where that is between start and end, from 0 to 1.
	Part float64 `json:"part"`
	// Daily is true where the rule of 24 hours comes before that of 80 %.
	Daily bool `json:"daily"`
}

// day is the age in seconds at which a token is replaced whatever its life.
const day = 24 * 60 * 60

// LifeOf returns the life of a token at now; nil when the claims give none. Agents
// replace tokens in volumes of pods, at 80 % of their life or when they are a day old.
func LifeOf(c *boundtoken.Claims, now time.Time) *Life {
	end := c.Expiry
	if w := c.Kubernetes.WarnAfter; w != 0 && w < end {
		end = w
	}
	if c.IssuedAt == 0 || end <= c.IssuedAt {
		return nil
	}
	l := &Life{Start: c.IssuedAt.Time(), End: end.Time(), Expires: c.Expiry.Time()}
	l.Over = l.part(boundtoken.NewDate(now))
	if c.Kubernetes.Pod != nil {
		at := end - (end-c.IssuedAt)*20/100
		daily := c.IssuedAt+day < at
		if daily {
			at = c.IssuedAt + day
		}
		l.Rotation = &Rotation{At: at.Time(), Part: l.part(at), Daily: daily}
	}
	return l
}

// Extended tells whether the token lives on after End.
func (l *Life) Extended() bool { return l.Expires.After(l.End) }

func (l *Life) part(at boundtoken.Date) float64 {
	start, end := boundtoken.NewDate(l.Start), boundtoken.NewDate(l.End)
	return min(max(float64(at-start)/float64(end-start), 0), 1)
}
