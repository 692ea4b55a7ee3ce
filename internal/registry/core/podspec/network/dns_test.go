package network_test

import (
	"strings"
	"testing"

	"laterna.dev/laterna/internal/registry/core/podspec/podspectest"
)

func TestDNS(t *testing.T) {
	wrong := podspectest.Wrong
	podspectest.Run(t,
		wrong("DNS none", podspectest.With("dnsPolicy: None"), "spec.dnsConfig: Required value: must provide `dnsConfig` when `dnsPolicy` is None"),
		wrong("DNS none without servers", podspectest.With("dnsPolicy: None\ndnsConfig: {searches: [a]}"), "spec.dnsConfig.nameservers: Required value: must provide at least one DNS nameserver when `dnsPolicy` is None"),
		wrong("DNS", podspectest.With("dnsConfig: {nameservers: [1.1.1.1, 2.2.2.2, 3.3.3.3, x], searches: [., a_b, '*'], options: [{}]}"),
			`spec.dnsConfig.nameservers: Invalid value: ["1.1.1.1","2.2.2.2","3.3.3.3","x"]: must not have more than 3 nameservers`,
			`spec.dnsConfig.nameservers[3]: Invalid value: "x": must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)`,
			`spec.dnsConfig.searches[2]: Invalid value: "*": a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '_', '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '_?[a-z0-9]([-_a-z0-9]*[a-z0-9])?(\._?[a-z0-9]([-_a-z0-9]*[a-z0-9])?)*')`,
			"spec.dnsConfig.options[0]: Required value: must not be empty"),
	)
}

func TestHostAliases(t *testing.T) {
	wrong := podspectest.Wrong
	podspectest.Run(t,
		wrong("host aliases", podspectest.With("hostAliases: [{ip: x, hostnames: [A]}]"),
			`spec.hostAliases[0].ip: Invalid value: "x": must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)`,
			`spec.hostAliases[0].hostnames[0]: Invalid value: "A": `+podspectest.Domain),
	)
}

func TestBoundsOfResolvConf(t *testing.T) {
	const path = "spec.dnsConfig.searches: Invalid value: "
	list := func(n int, name string) string {
		return podspectest.With("dnsConfig: {searches: [" + strings.TrimSuffix(strings.Repeat(name+",", n), ",") + "]}")
	}
	shown := func(n int, name string) string {
		return "[" + strings.TrimSuffix(strings.Repeat(`"`+name+`",`, n), ",") + "]"
	}
	long := strings.TrimSuffix(strings.Repeat(strings.Repeat("a", 62)+".", 4), ".")
	wrong := podspectest.Wrong
	podspectest.Run(t,
		wrong("as many as may be", list(32, "a")),
		wrong("one more", list(33, "a"), path+shown(33, "a")+": must not have more than 32 search paths"),
		wrong("as long as may be", list(8, long)),
		wrong("longer", list(9, long), path+shown(9, long)+": must not have more than 2048 characters (including spaces) in the search list"),
		wrong("dots at the end, underscores", podspectest.With("dnsConfig: {searches: [a., _tcp.a, .], nameservers: ['::1', 1.2.3.4], options: [{name: ndots, value: '2'}, {name: debug}]}")),
		wrong("policy None", podspectest.With("dnsPolicy: None\ndnsConfig: {nameservers: [1.1.1.1]}")),
	)
}
