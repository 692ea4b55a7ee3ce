package query

import "testing"

func TestWithoutPort(t *testing.T) {
	for host, want := range map[string]string{
		"": "", "sts.amazonaws.com": "sts.amazonaws.com", "STS.amazonaws.com:443": "STS.amazonaws.com",
		"10.96.0.7:443": "10.96.0.7", "10.96.0.7": "10.96.0.7", "[fd00::1]:443": "fd00::1", "[fd00::1]": "[fd00::1]", "fd00::1": "fd00::1", ":80": "",
	} {
		if got := WithoutPort(host); got != want {
			t.Errorf("%q: %q, want %q", host, got, want)
		}
	}
}
