package discovery

import (
	"net/http"
	"strconv"
	"strings"
	"time"
)

const (
	// DefaultAge is how long documents are fresh whose answers do not say it.
	DefaultAge = 5 * time.Minute
	// MaxAge is how long documents are fresh at most, whatever their answers say.
	MaxAge = 24 * time.Hour
	// Grace is for how long documents that are not fresh are used while the issuer cannot
	// be asked, unless their answers forbid it.
	Grace = time.Hour
)

// life is how long documents may be used, from when they were asked for.
type life struct {
	// fresh is for how long they count without asking again.
	fresh time.Duration
	// grace is for how long they count after that, while the issuer cannot be asked.
	grace time.Duration
}

func (l life) shorter(o life) life { return life{min(l.fresh, o.fresh), min(l.grace, o.grace)} }

// lifeOf reads Cache-Control and Age of an answer (RFC 9111). What is not understood
// makes the life shorter, never longer.
func lifeOf(header http.Header) life {
	l := life{DefaultAge, Grace}
	told := MaxAge
	for directive := range strings.SplitSeq(strings.Join(header.Values("Cache-Control"), ","), ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(directive), "=")
		switch strings.ToLower(strings.TrimSpace(name)) {
		case "no-store", "no-cache":
			told, l = 0, life{}
		case "must-revalidate":
			l.grace = 0
		case "max-age":
			told = min(told, seconds(strings.Trim(strings.TrimSpace(value), `"`)))
			l.fresh = told
		}
	}
	if age := header.Get("Age"); age != "" {
		l.fresh = max(l.fresh-seconds(age), 0)
	}
	return l
}

// seconds reads a number of seconds, at most MaxAge; what is not one is none.
func seconds(text string) time.Duration {
	for _, c := range []byte(text) {
		if c < '0' || c > '9' {
			return 0
		}
	}
	const most = uint64(MaxAge / time.Second)
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil && text != "" { // more digits than a number has
		n = most
	}
	return time.Duration(min(n, most)) * time.Second
}
