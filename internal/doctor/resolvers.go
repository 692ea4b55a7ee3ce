package doctor

import (
	"strings"

	"laterna.dev/laterna/internal/host/resolvconf"
)

// resolvers tells whom the cluster's DNS asks for names that are not of the cluster.
func (m machine) resolvers() Check {
	c := Check{Name: "names"}
	var asked []string
	for _, u := range resolvconf.Read(m.root).Upstreams() {
		asked = append(asked, u.Addr().String())
	}
	if len(asked) == 0 {
		c.Detail = "no nameserver in /etc/resolv.conf: pods resolve names of the cluster alone"
		return c
	}
	c.OK, c.Detail = true, "what is not of the cluster is asked of "+strings.Join(asked, ", ")
	return c
}
