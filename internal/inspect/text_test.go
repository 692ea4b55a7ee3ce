package inspect_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"laterna.dev/laterna/boundtoken"
	"laterna.dev/laterna/internal/inspect"
)

func TestASCIIKeepsTheMeaningOfJSON(t *testing.T) {
	want := "é\u009b\u202e😀\x7f"
	raw, err := json.Marshal(map[string]string{"a" + want: want})
	if err != nil {
		t.Fatal(err)
	}
	plain := inspect.ASCII(raw)
	var back map[string]string
	if err := json.Unmarshal(plain, &back); err != nil || back["a"+want] != want {
		t.Errorf("%s became %s: %v", raw, plain, err)
	}
	if strings.ContainsFunc(string(plain), func(r rune) bool { return r >= 0x7f }) {
		t.Errorf("not ASCII: %s", plain)
	}
}

func TestSpan(t *testing.T) {
	const day = 24 * time.Hour
	for d, want := range map[time.Duration]string{
		0: "0s", 999 * time.Millisecond: "0s", 59 * time.Second: "59s", -time.Minute: "1m",
		61 * time.Second: "1m1s", 3607 * time.Second: "1h", 2*time.Hour - time.Second: "1h59m",
		day: "1d", 365*day - time.Second: "364d23h",
	} {
		if got := inspect.Span(d); got != want {
			t.Errorf("%s is shown as %s, want %s", d, got, want)
		}
	}
}

func TestLife(t *testing.T) {
	for _, tc := range []struct {
		name            string
		life, warn      time.Duration
		unbound         bool
		now             time.Duration
		over, part      float64
		rotation        time.Duration
		daily, extended bool
	}{
		{name: "two hours", life: 2 * time.Hour, now: time.Hour, over: 0.5, part: 0.8, rotation: 96 * time.Minute},
		{name: "shortest", life: 600 * time.Second, now: -time.Hour, over: 0, part: 0.8, rotation: 480 * time.Second},
		{name: "whole seconds", life: 601 * time.Second, now: time.Hour, over: 1, part: 481. / 601, rotation: 481 * time.Second},
		{name: "30 hours", life: 30 * time.Hour, part: 0.8, rotation: 24 * time.Hour},
		{name: "two days", life: 48 * time.Hour, part: 0.5, rotation: 24 * time.Hour, daily: true},
		{name: "extended", life: 8760 * time.Hour, warn: 3607 * time.Second, now: 3607 * time.Second, over: 1, part: 2886. / 3607, rotation: 2886 * time.Second, extended: true},
		{name: "longest", life: (1 << 32) * time.Second, part: 86400. / (1 << 32), rotation: 24 * time.Hour, daily: true},
		{name: "not a pod's", life: time.Hour, unbound: true, now: 15 * time.Minute, over: 0.25},
	} {
		g := grant()
		g.Lifetime, g.WarnAfter = tc.life, tc.warn
		if tc.unbound {
			g.Pod, g.Node = nil, nil
		}
		c := boundtoken.NewClaims(g, at)
		l := inspect.LifeOf(&c, at.Add(tc.now))
		switch {
		case l == nil || l.Over != tc.over || !l.Expires.Equal(at.Add(tc.life)) || l.Extended() != tc.extended:
			t.Errorf("%s: %+v", tc.name, l)
		case tc.unbound != (l.Rotation == nil):
			t.Errorf("%s: rotation %+v", tc.name, l.Rotation)
		case !tc.unbound && (!l.Rotation.At.Equal(at.Add(tc.rotation)) || l.Rotation.Part != tc.part || l.Rotation.Daily != tc.daily):
			t.Errorf("%s: rotation %+v", tc.name, l.Rotation)
		}
	}
	if l := inspect.LifeOf(&boundtoken.Claims{Expiry: 5, IssuedAt: 5}, at); l != nil {
		t.Errorf("a life without length: %+v", l)
	}
}
