package compat

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
)

// movedClock is the clock of a system, which a test sets to where it wants it.
type movedClock struct {
	*system
	offset time.Duration
}

// set makes the system's clock show a time. It goes on from there.
func (c *movedClock) set(t testing.TB, to time.Time) {
	t.Helper()
	by := time.Until(to) - c.offset
	c.advance(t, by)
	c.offset += by
}

// TestSkewBetweenServerAndRelyingParty has a token checked by clocks that are wrong by
// 55 s, which passes, and by 65 s, which does not: the server's own, by TokenReview and
// for its API, and that of a relying party offline.
func TestSkewBetweenServerAndRelyingParty(t *testing.T) {
	t.Parallel()
	s := &movedClock{system: keyServer(t)}
	token := strings.TrimSpace(s.sh(t, "kubectl create token default --duration 10m --audience vault --audience "+defaultIssuer))
	c := decode(t, token)
	if c.Expiry-c.IssuedAt != 600 || c.NotBefore != c.IssuedAt {
		t.Fatalf("claims %+v", c)
	}
	clock := &offsetClock{}
	offline := newJWTParty(s.outside(t), clock, defaultIssuer)
	for _, tc := range []struct {
		name           string
		at             time.Time
		server, abroad string // part of the refusal, "" for none
	}{
		{"55 s before its issue", time.Unix(c.IssuedAt-55, 0), "", ""},
		{"65 s before its issue", time.Unix(c.IssuedAt-65, 0), "service account token is not valid yet", "token is not valid yet"},
		{"at its issue", time.Unix(c.IssuedAt, 0), "", ""},
		{"55 s after its end", time.Unix(c.Expiry+55, 0), "", ""},
		{"65 s after its end", time.Unix(c.Expiry+65, 0), "service account token has expired", "token is expired"},
		{"back in its life", time.Unix(c.IssuedAt+300, 0), "", ""},
	} {
		var r authenticationv1.TokenReviewStatus
		code := 0
		// The clock goes on while the test works: again if that took too long.
		for begin := (time.Time{}); time.Since(begin) > 4*time.Second; {
			begin = time.Now()
			s.set(t, tc.at)
			r = review(t, s.system, token)
			code, _ = s.get(t, token, "/api")
		}
		if good := tc.server == ""; r.Authenticated != good || !strings.Contains(r.Error, tc.server) || (code == http.StatusOK) != good || !good && code != http.StatusUnauthorized {
			t.Errorf("%s: %+v, GET /api %d, want %q", tc.name, r, code, tc.server)
		}
		clock.offset.Store(int64(time.Until(tc.at)))
		if _, err := offline.login(t.Context(), token); (err == nil) != (tc.abroad == "") || err != nil && !strings.Contains(err.Error(), tc.abroad) {
			t.Errorf("%s: the relying party says %v, want %q", tc.name, err, tc.abroad)
		}
	}
}

const timedPod = `
apiVersion: v1
kind: Pod
metadata: {name: timed}
spec:
  terminationGracePeriodSeconds: 0
  containers:
  - {name: c, image: "busybox:1.28", command: [sleep, "867530"], volumeMounts: [{name: v, mountPath: /v}]}
  volumes:
  - name: v
    projected:
      sources:
      - serviceAccountToken: {path: short, audience: vault, expirationSeconds: 7200}
      - serviceAccountToken: {path: long, audience: vault, expirationSeconds: 259200}
`

// TestClockIsMovedUnderAPod sets the clock of a running system forth and back, and looks
// when the tokens in a pod's files are replaced: at 80 % of their life, at 24 hours, at
// once when they are from the future, and never otherwise.
func TestClockIsMovedUnderAPod(t *testing.T) {
	t.Parallel()
	s := &movedClock{system: started(t, "--test-clock")}
	s.apply(t, "default", timedPod)
	s.running(t, "default", "timed")
	files := containerOf(t, s.system, "sleep 867530")
	token := func(file string) claims { return decode(t, files.read("/v/"+file)) }
	// replaced waits until a file has another token, which is good.
	replaced := func(when, file string, old claims) claims {
		t.Helper()
		eventually(t, 15*time.Second, func() error {
			if token(file).ID == old.ID {
				return fmt.Errorf("%s: the token in %s is not replaced", when, file)
			}
			return nil
		})
		s.accepted(t, when, files.read("/v/"+file), "", "vault")
		return token(file)
	}
	kept := func(when, file string, old claims) {
		t.Helper()
		time.Sleep(time.Second)
		if token(file).ID != old.ID {
			t.Errorf("%s: the token in %s is replaced", when, file)
		}
		s.accepted(t, when, files.read("/v/"+file), "", "vault")
	}
	issued := func(c claims, later time.Duration) time.Time { return time.Unix(c.IssuedAt, 0).Add(later) }

	short, long := token("short"), token("long")
	s.set(t, issued(short, -50*time.Second))
	kept("50 s before its issue", "short", short)
	s.set(t, issued(short, 95*time.Minute+20*time.Second))
	kept("40 s before 80 %", "short", short)
	s.set(t, issued(short, 96*time.Minute))
	short = replaced("at 80 %", "short", short)
	kept("at 96 minutes", "long", long)

	s.set(t, issued(long, 24*time.Hour-40*time.Second))
	short = replaced("after a day", "short", short)
	kept("40 s before a day", "long", long)
	s.set(t, issued(long, 24*time.Hour))
	long = replaced("at a day", "long", long)

	s.set(t, issued(short, -time.Hour))
	short = replaced("an hour before its issue", "short", short)
	long = replaced("an hour before its issue", "long", long)
	s.set(t, issued(long, -48*time.Hour))
	short, long = replaced("two days back", "short", short), replaced("two days back", "long", long)
	s.set(t, issued(long, 5*24*time.Hour))
	replaced("long after its end", "short", short)
	replaced("long after its end", "long", long)
}
