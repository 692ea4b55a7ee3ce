package policy

import (
	"encoding/base64"
	"net/netip"
	"strconv"
	"strings"
)

// parseBase64 decodes a value of BinaryEquals.
func parseBase64(s string) (string, bool) {
	b, err := base64.StdEncoding.Strict().DecodeString(s)
	return string(b), err == nil
}

// parseAddress reads the address of a request. An IPv4 address in the clothes of IPv6 is
// taken for what it is.
func parseAddress(s string) (netip.Addr, bool) {
	a, ok := parseIP(s)
	return a.Unmap(), ok
}

// parsePrefix reads a range of a policy: an address, or one with the length of its prefix.
// Bits beyond the prefix are ignored in IPv4; with IPv6 the range is not usable then, as AWS
// has it.
func parsePrefix(s string) (netip.Prefix, bool) {
	host, length, hasLength := strings.Cut(s, "/")
	a, ok := parseIP(host)
	if !ok || a.Is6() && strings.Contains(host, ".") {
		return netip.Prefix{}, false
	}
	bits := a.BitLen()
	if hasLength {
		n, err := strconv.ParseUint(strings.TrimPrefix(length, "+"), 10, 16)
		if err != nil || int(n) > a.BitLen() {
			return netip.Prefix{}, false
		}
		bits = int(n)
	}
	p := netip.PrefixFrom(a, bits).Masked()
	return p, a.Is4() || p.Addr() == a
}

// parseIP reads an address. Numbers of IPv4 may have leading zeros, which do not make them
// octal.
func parseIP(s string) (netip.Addr, bool) {
	if len(s) > 64 {
		return netip.Addr{}, false
	}
	if strings.Count(s, ".") == 3 && !strings.Contains(s, ":") {
		parts := strings.Split(s, ".")
		for i, p := range parts {
			if p == "" || !allDigits(p) {
				return netip.Addr{}, false
			}
			n, err := strconv.ParseUint(p, 10, 8)
			if err != nil {
				return netip.Addr{}, false
			}
			parts[i] = strconv.FormatUint(n, 10)
		}
		s = strings.Join(parts, ".")
	}
	a, err := netip.ParseAddr(s)
	return a, err == nil && a.Zone() == ""
}
