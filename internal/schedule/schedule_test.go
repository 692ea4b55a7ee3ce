package schedule

import (
	"strings"
	"testing"
	"time"
)

func TestNext(t *testing.T) {
	at := time.Date(2026, 3, 28, 23, 59, 30, 0, time.UTC)
	for _, tc := range []struct{ schedule, zone, want string }{
		{"*/1 * * * ?", "UTC", "2026-03-29T00:00:00Z"},
		{"@hourly", "UTC", "2026-03-29T00:00:00Z"},
		{"0 0 13 * FRI", "UTC", "2026-04-03T00:00:00Z"},              // a Friday, or a 13th
		{"30 2 * * *", "Europe/Zurich", "2026-03-30T02:30:00+02:00"}, // there is no 02:30 on the 29th
		{"0 0 31 2 *", "UTC", "0001-01-01T00:00:00Z"},
		{"@every 90s", "UTC", "2026-03-29T00:01:00Z"},
	} {
		s, err := Parse(tc.schedule)
		if err != nil {
			t.Errorf("%s: %v", tc.schedule, err)
			continue
		}
		zone, err := Zone(tc.zone)
		if err != nil {
			t.Fatal(err)
		}
		if got := s.Next(at.In(zone)).Format(time.RFC3339); got != tc.want {
			t.Errorf("%s in %s: %s, want %s", tc.schedule, tc.zone, got, tc.want)
		}
	}
}

func TestZonesThatAreRefused(t *testing.T) {
	for name, want := range map[string]string{
		"":              "timeZone must be nil or non-empty string",
		"local":         "timeZone must be an explicit time zone as defined in https://www.iana.org/time-zones",
		"Mars/Phobos":   "unknown time zone Mars/Phobos",
		"../etc/passwd": "unknown time zone ../etc/passwd",
		"Europe//Rome":  "unknown time zone Europe//Rome",
		"-1":            "unknown time zone -1",
	} {
		if _, err := Zone(name); err == nil || err.Error() != want {
			t.Errorf("%q: %v, want %s", name, err, want)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{"* * * * *", "TZ=UTC", "CRON_TZ=", "TZ=UTC 0 0 * * *", "@every 1s", "@every", "*/0 * * * *", "1-99999999999999999999 * * * *", "@"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if s, err := Parse(text); err == nil && !strings.HasPrefix(text, "@every") {
			s.Next(time.Unix(0, 0).UTC())
		}
	})
}
