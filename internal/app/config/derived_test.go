package config

import "testing"

func TestRangesAreThoseOfTheFlags(t *testing.T) {
	n := Network{ClusterCIDR: "10.1.0.0/16", ServiceClusterIPRange: "10.2.0.0/24"}
	if n.Pods().String() != "10.1.0.0/16" || n.Services().String() != "10.2.0.0/24" {
		t.Errorf("pods %s, services %s", n.Pods(), n.Services())
	}
}
