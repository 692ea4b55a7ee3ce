package explain

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
)

// from is a call from an address, of a token's bearer where he is named; refused or not.
func from(source, subject string, verified bool, code string) *Record {
	r := &Record{Source: source, Code: code}
	if subject != "" {
		r.Token = &Token{Issuer: "https://issuer.example", Subject: subject, Verified: verified}
	}
	return r
}

// keep keeps n calls, and returns how many are there of all those with an id that begins so.
func keep(j *Journal, id string, n int, r func(n int) *Record) func() int {
	for i := range n {
		one := r(i)
		one.RequestID = fmt.Sprint(id, "-", i)
		j.Keep(one)
	}
	return func() int {
		there := 0
		for _, brief := range j.Briefs(2 * MaxRecords) {
			if strings.Contains(string(brief), `"requestID":"`+id+"-") {
				there++
			}
		}
		return there
	}
}

// TestWhoFloodsPushesOutHisOwn: each of those who call little keeps all, whatever one of
// them does, or says of himself.
func TestWhoFloodsPushesOutHisOwn(t *testing.T) {
	for name, flood := range map[string]func(n int) *Record{
		"as many bearers, none proven": func(n int) *Record { return from("10.244.0.9", fmt.Sprint("x", n), false, "AccessDenied") },
		"as nobody":                    func(int) *Record { return from("10.244.0.9", "", false, "InvalidAction") },
		"as many bearers, proven":      func(n int) *Record { return from("10.244.0.9", fmt.Sprint("x", n), true, "") },
		"from all addresses of the machine": func(n int) *Record {
			return from(fmt.Sprintf("127.0.%d.%d", n/250%250, n%250+1), "", false, "AccessDenied")
		},
		"from a network of IPv6": func(n int) *Record { return from(fmt.Sprintf("fd00::%x", n+1), "", false, "AccessDenied") },
		"with long records": func(int) *Record {
			r := from("10.244.0.9", "", false, "AccessDenied")
			r.Message = strings.Repeat("x ", 20<<10)
			return r
		},
	} {
		t.Run(name, func(t *testing.T) {
			j := &Journal{}
			pod := keep(j, "pod", 40, func(int) *Record { return from("10.244.0.7", "app", true, "AccessDenied") })
			quiet := keep(j, "quiet", 3, func(int) *Record { return from("10.244.0.8", "", false, "AccessDenied") })
			flooded := keep(j, "flood", 5*MaxRecords, flood)
			if pod() != 40 || quiet() != 3 {
				t.Errorf("%d of 40 and %d of 3 calls are left", pod(), quiet())
			}
			if n := flooded(); n == 0 || n+43 > MaxRecords {
				t.Errorf("%d calls of who floods are kept", n)
			}
			if last := string(j.Briefs(1)[0]); !strings.Contains(last, fmt.Sprint("flood-", 5*MaxRecords-1)) {
				t.Errorf("the last call is %s", last)
			}
		})
	}
}

// TestProvenCallersHaveSharesOfTheirOwn at one address, as behind one router.
func TestProvenCallersHaveSharesOfTheirOwn(t *testing.T) {
	j := &Journal{}
	app := keep(j, "app", 30, func(int) *Record { return from("192.0.2.7", "app", true, "AccessDenied") })
	admin := keep(j, "admin", 30, func(int) *Record {
		r := from("192.0.2.7", "", false, "AccessDenied")
		r.principal = "arn:aws:iam::111122223333:user/administrator"
		return r
	})
	keep(j, "flood", 3*MaxRecords, func(n int) *Record { return from("192.0.2.7", "app", false, "AccessDenied") })
	if app() != 30 || admin() != 30 {
		t.Errorf("%d and %d of 30 calls are left", app(), admin())
	}
}

func TestRefusalsOutliveWhatIsAllowed(t *testing.T) {
	j := &Journal{}
	refused := keep(j, "refused", 20, func(int) *Record { return from("10.244.0.7", "app", true, "AccessDenied") })
	allowed := keep(j, "allowed", 3*MaxRecords, func(int) *Record { return from("10.244.0.7", "app", true, "") })
	if refused() != 20 || allowed() != MaxRecords-20 {
		t.Errorf("%d refused and %d allowed ones are left", refused(), allowed())
	}
}

// TestTheOldestGoOfMany: where all have as much, and what is kept is still in order.
func TestTheOldestGoOfMany(t *testing.T) {
	j := &Journal{}
	keep(j, "one", 2*MaxRecords, func(n int) *Record {
		return from(fmt.Sprintf("10.%d.%d.1", n/250, n%250), "", false, "AccessDenied")
	})
	all := j.Briefs(2 * MaxRecords)
	for i, text := range all {
		var b Brief
		if err := json.Unmarshal(text, &b); err != nil || b.RequestID != fmt.Sprint("one-", 2*MaxRecords-1-i) {
			t.Fatalf("%d: %v %s", i, err, text)
		}
	}
	if len(all) != MaxRecords || len(j.shares.parts) != MaxRecords || j.order.Len() != MaxRecords {
		t.Errorf("%d are kept, of %d", len(all), len(j.shares.parts))
	}
}

func BenchmarkKeep(b *testing.B) {
	for name, places := range map[string]int{"10 places": 10, "1000 places": 1000} {
		b.Run(name, func(b *testing.B) {
			j := &Journal{}
			for n := range b.N {
				r := from(fmt.Sprintf("10.1.%d.%d", n%places/250, n%places%250), "app", true, "AccessDenied")
				r.Message = strings.Repeat("x ", 1<<10)
				j.Keep(r)
			}
		})
	}
}
