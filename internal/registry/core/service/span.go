package service

import (
	"encoding/binary"
	"math"
	"net/netip"

	corev1 "k8s.io/api/core/v1"
)

// span is a range of cluster addresses, numbered by how far each is from the network's own
// address, which is not usable; nor is the broadcast address of IPv4.
type span struct {
	prefix netip.Prefix
	// last is the number of the last usable address, 0 where there is none.
	last uint64
	// kept addresses are never handed out unasked, and those up to static only when all
	// others are taken, so that who names an address is likely to get it (KEP-3070).
	kept, static uint64
}

// widest is how many bits of an address a span counts.
const widest = 64

// newSpan is about prefix. ok is false for a prefix too wide to be counted.
func newSpan(prefix netip.Prefix) (s span, ok bool) {
	s.prefix = prefix.Masked()
	bits := prefix.Addr().BitLen() - prefix.Bits()
	if !prefix.IsValid() || bits > widest {
		return span{}, false
	}
	s.last = math.MaxUint64 >> (widest - bits)
	if s.prefix.Addr().Is4() && s.last > 0 {
		s.last--
	}
	if least := uint64(16); s.last >= least {
		s.static = min(max(s.last/16+1, least), 256)
	}
	return s, true
}

// number returns the number of an address, 0 for one that is not usable.
func (s span) number(a netip.Addr) uint64 {
	if !s.prefix.Contains(a) {
		return 0
	}
	if n := low(a) - low(s.prefix.Addr()); n <= s.last {
		return n
	}
	return 0
}

// at is the reverse of number.
func (s span) at(n uint64) netip.Addr {
	raw := s.prefix.Addr().AsSlice()
	if len(raw) == 4 {
		binary.BigEndian.PutUint32(raw, binary.BigEndian.Uint32(raw)+uint32(n))
	} else {
		binary.BigEndian.PutUint64(raw[8:], binary.BigEndian.Uint64(raw[8:])+n)
	}
	a, _ := netip.AddrFromSlice(raw)
	return a
}

// band is the numbers from first to last, none where last is less.
type band struct{ first, last uint64 }

func (b band) width() uint64 {
	if b.last < b.first {
		return 0
	}
	return b.last - b.first + 1
}

// bands are the numbers that are handed out unasked, in their turn.
func (s span) bands() [2]band {
	return [2]band{{max(s.static, s.kept) + 1, s.last}, {s.kept + 1, min(s.static, s.last)}}
}

// low returns the lower 64 bits of an address.
func low(a netip.Addr) uint64 {
	raw := a.As16()
	return binary.BigEndian.Uint64(raw[8:])
}

func familyOf(a netip.Addr) corev1.IPFamily {
	if a.Is4() {
		return corev1.IPv4Protocol
	}
	return corev1.IPv6Protocol
}
