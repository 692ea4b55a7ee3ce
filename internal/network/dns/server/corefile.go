package server

import (
	"fmt"
	"net/netip"
	"strings"
)

// The directives of the Corefile, in the order in which a question passes them. The
// kubernetes plugin is put between cache and forward by hand, since what it is told is in
// no file.
var directives = []string{"errors", "loadbalance", "cache", "forward", handOver}

// corefile says what upstream's add-on says, but for what listens or writes files of its
// own (health, ready, prometheus, reload), and loop: nothing of this machine forwards here.
// An error is told once a minute and not for each question: pods ask what they like.
func corefile(domain string, upstreams []netip.AddrPort) string {
	var b strings.Builder
	fmt.Fprintf(&b, `. {
	errors {
		consolidate 1m ".*" error show_first
	}
	loadbalance
	cache 30 {
		disable success %[1]s
		disable denial %[1]s
	}
`, domain)
	if len(upstreams) > 0 {
		b.WriteString("\tforward .")
		for _, u := range upstreams {
			b.WriteString(" " + u.String())
		}
		b.WriteString(" {\n\t\tmax_concurrent 1000\n\t}\n")
	}
	b.WriteString("\t" + handOver + "\n}\n")
	return b.String()
}

// stanza is the configuration of the kubernetes plugin, upstream's.
func stanza(domain string) string {
	return fmt.Sprintf(`kubernetes %s in-addr.arpa ip6.arpa {
	pods insecure
	fallthrough in-addr.arpa ip6.arpa
	ttl 30
}
`, domain)
}
