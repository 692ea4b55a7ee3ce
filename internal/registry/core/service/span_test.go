package service

import (
	"math"
	"net/netip"
	"testing"
)

func TestSpans(t *testing.T) {
	for _, tc := range []struct {
		prefix, first, last string
		size, static        uint64
	}{
		{"10.96.0.0/16", "10.96.0.1", "10.96.255.254", 65534, 256},
		{"10.96.0.0/20", "10.96.0.1", "10.96.15.254", 4094, 256},
		{"10.96.0.0/23", "10.96.0.1", "10.96.1.254", 510, 32},
		{"10.96.0.0/24", "10.96.0.1", "10.96.0.254", 254, 16},
		{"10.96.0.0/27", "10.96.0.1", "10.96.0.30", 30, 16},
		{"10.96.0.0/28", "10.96.0.1", "10.96.0.14", 14, 0},
		{"10.96.0.17/30", "10.96.0.17", "10.96.0.18", 2, 0},
		{"10.0.0.0/8", "10.0.0.1", "10.255.255.254", 1<<24 - 2, 256},
		{"fd00:96::/108", "fd00:96::1", "fd00:96::f:ffff", 1<<20 - 1, 256},
		{"fd00:96::/64", "fd00:96::1", "fd00:96::ffff:ffff:ffff:ffff", math.MaxUint64, 256},
	} {
		s, ok := newSpan(netip.MustParsePrefix(tc.prefix))
		if !ok || s.last != tc.size || s.static != tc.static {
			t.Errorf("%s: %+v, %v", tc.prefix, s, ok)
			continue
		}
		if got := s.at(1).String(); got != tc.first || First(s.prefix).String() != tc.first {
			t.Errorf("%s: first address %s, want %s", tc.prefix, got, tc.first)
		}
		if got := s.at(s.last).String(); got != tc.last {
			t.Errorf("%s: last address %s, want %s", tc.prefix, got, tc.last)
		}
		for _, n := range []uint64{1, 2, s.last} {
			if got := s.number(s.at(n)); got != n {
				t.Errorf("%s: number %d comes back as %d", tc.prefix, n, got)
			}
		}
		if n := s.number(s.prefix.Addr()) + s.number(s.prefix.Addr().Prev()) + s.number(netip.MustParseAddr("192.0.2.1")); n != 0 {
			t.Errorf("%s: addresses outside have numbers", tc.prefix)
		}
	}
	for _, none := range []string{"10.0.0.0/31", "10.0.0.0/32"} {
		if s, ok := newSpan(netip.MustParsePrefix(none)); !ok || s.last != 0 || s.bands()[0].width() != 0 {
			t.Errorf("%s: %+v, %v", none, s, ok)
		}
	}
	if s, ok := newSpan(netip.MustParsePrefix("fd00::/63")); ok {
		t.Errorf("more addresses than can be counted: %+v", s)
	}
}

func TestBandsAreHandedOutInTheirTurn(t *testing.T) {
	s, _ := newSpan(netip.MustParsePrefix("10.0.0.0/24"))
	s.kept = 1
	if got, want := s.bands(), [2]band{{17, 254}, {2, 16}}; got != want {
		t.Errorf("bands %v, want %v", got, want)
	}
	s, _ = newSpan(netip.MustParsePrefix("10.0.0.0/28"))
	s.kept = 1
	if got := s.bands(); got[0] != (band{2, 14}) || got[1].width() != 0 {
		t.Errorf("bands %v of a small range", got)
	}
}
