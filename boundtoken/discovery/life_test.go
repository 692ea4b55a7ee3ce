package discovery

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"laterna.dev/laterna/boundtoken"
)

func TestLifeIsWhatTheIssuerAllows(t *testing.T) {
	for _, tc := range []struct {
		header string // lines of Cache-Control, parted by |, and after ; that of Age
		want   life
	}{
		{"", life{DefaultAge, Grace}},
		{"public", life{DefaultAge, Grace}},
		{"public, max-age=3600", life{time.Hour, Grace}},
		{"PUBLIC,Max-Age = 60", life{time.Minute, Grace}},
		{`max-age="60"`, life{time.Minute, Grace}},
		{"public|max-age=60", life{time.Minute, Grace}},
		{"max-age=60;50", life{10 * time.Second, Grace}},
		{"max-age=60;70", life{0, Grace}},
		{";299", life{time.Second, Grace}},
		{"max-age=60;soon", life{time.Minute, Grace}},
		{"max-age=999999999", life{MaxAge, Grace}},
		{"max-age=99999999999999999999999", life{MaxAge, Grace}},
		{"max-age=60, max-age=30", life{30 * time.Second, Grace}},
		{"max-age=-1", life{0, Grace}},
		{"max-age=1e9", life{0, Grace}},
		{"max-age", life{0, Grace}},
		{"max-age=60, must-revalidate", life{time.Minute, 0}},
		{"no-cache, max-age=60", life{}},
		{"max-age=60, no-store", life{}},
		{"s-maxage=60", life{DefaultAge, Grace}},
	} {
		control, age, _ := strings.Cut(tc.header, ";")
		h := http.Header{"Cache-Control": strings.Split(control, "|")}
		if age != "" {
			h.Set("Age", age)
		}
		if got := lifeOf(h); got != tc.want {
			t.Errorf("%q gives %v, want %v", tc.header, got, tc.want)
		}
	}
}

// FuzzLife: no header makes documents live longer than the bounds.
func FuzzLife(f *testing.F) {
	for _, s := range []string{"", "max-age=60", "max-age=99999999999999999999", "no-store", "max-age==1", "max-age=\"1,2\"", "\xff"} {
		f.Add(s, "1")
	}
	f.Fuzz(func(t *testing.T, control, age string) {
		l := lifeOf(http.Header{"Cache-Control": {control}, "Age": {age}})
		if l.fresh < 0 || l.fresh > MaxAge || l.grace != 0 && l.grace != Grace {
			t.Fatalf("%q, %q gives %v", control, age, l)
		}
	})
}

// FuzzDocument: a document that is read is of the issuer and leads to an https URL.
func FuzzDocument(f *testing.F) {
	const name = "https://a.example"
	for _, s := range []string{"", "{}", `{"issuer":"https://a.example","jwks_uri":"https://b.example/keys"}`, `{"issuer":"https://a.example","jwks_uri":"//b"}`, `{"issuer":"https://a.example","issuer":"x"}`} {
		f.Add([]byte(s))
	}
	issuer, err := boundtoken.ParseIssuer(name)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		uri, err := readDocument(raw, issuer)
		if err == nil && (!strings.HasPrefix(strings.ToLower(uri), "https://") || !strings.Contains(string(raw), "a.example") && !strings.Contains(string(raw), `\u`)) {
			t.Fatalf("%q leads to %q", raw, uri)
		}
		if err != nil && (uri != "" || strings.ContainsFunc(err.Error(), func(r rune) bool { return r < ' ' || r > '~' && r != '…' })) {
			t.Fatalf("%q: %q, %q", raw, uri, err)
		}
	})
}
