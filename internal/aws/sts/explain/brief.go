package explain

import (
	"time"
	"unicode/utf8"
)

// Brief is what a list shows of a call.
type Brief struct {
	RequestID string    `json:"requestID"`
	Service   string    `json:"service"`
	Action    string    `json:"action"`
	Time      time.Time `json:"time"`
	Source    string    `json:"sourceIP,omitempty"`
	Caller    string    `json:"caller,omitempty"`
	// Subject is the token's; Verified says that its issuer's signature was good.
	Subject  string `json:"subject,omitempty"`
	Verified bool   `json:"verified,omitempty"`
	Role     string `json:"role,omitempty"`
	Session  string `json:"session,omitempty"`
	Code     string `json:"code,omitempty"`
	Status   int    `json:"status,omitempty"`
	// SaidNo names the first check that said no.
	SaidNo string `json:"saidNo,omitempty"`
}

// maxShort is how long a text in a list is, in bytes: the role of a call that is refused is
// any text.
const maxShort = 256

// brief returns what a list shows of a record.
func (r *Record) brief() Brief {
	first, _ := r.First()
	b := Brief{
		RequestID: r.RequestID, Service: r.Service, Action: r.Action, Time: r.Time, Source: r.Source,
		Caller: short(r.Caller), Role: short(r.Role), Session: short(r.Session),
		Code: short(r.Code), Status: r.Status, SaidNo: first.Name,
	}
	if t := r.Token; t != nil {
		b.Subject, b.Verified = short(t.Subject), t.Verified
	}
	return b
}

func short(s string) string {
	s = string(redact([]byte(s)))
	if len(s) <= maxShort {
		return s
	}
	n := maxShort
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n] + "…"
}
