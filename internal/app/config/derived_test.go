package config

import "testing"

func TestFirstIssuerSignsWhileOperatorsAskForNone(t *testing.T) {
	c := Default()
	if got := c.Tokens.FirstIssuer(); got != "https://kubernetes.default.svc" {
		t.Errorf("without a flag %s", got)
	}
	c.Tokens.Issuers = []string{"https://one.example", "https://two.example"}
	if got := c.Tokens.FirstIssuer(); got != "https://one.example" {
		t.Errorf("with two %s", got)
	}
}

func TestRangesAreThoseOfTheFlags(t *testing.T) {
	n := Network{ClusterCIDR: "10.1.0.0/16", ServiceClusterIPRange: "10.2.0.0/24"}
	if n.Pods().String() != "10.1.0.0/16" || n.Services().String() != "10.2.0.0/24" {
		t.Errorf("pods %s, services %s", n.Pods(), n.Services())
	}
}
