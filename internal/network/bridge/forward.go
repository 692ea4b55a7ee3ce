package bridge

import (
	"context"
	"encoding/json"
	"fmt"
	"os/exec"
	"strings"
)

// Diagnosis says why pods cannot reach one another and the world beyond this machine.
type Diagnosis struct {
	// Reason is one sentence.
	Reason string
	// Fix is the commands that mend it until the next boot.
	Fix string
}

// ForwardDropped looks for a firewall that drops forwarded packets, as Docker and
// firewall managers install. Rules of ours cannot undo it: a packet is dropped as
// soon as one table drops it. Pods reach the API server all the same; what they send to one
// another is forwarded as well, so that services work (see Translate and Route).
// It returns nil when packets of the bridge are let through, and runs the iptables and
// nft programs that are there.
func ForwardDropped(ctx context.Context, bridge string) *Diagnosis {
	for _, program := range []string{"iptables-nft", "iptables-legacy", "iptables"} {
		// -S lists without changing; a program that is missing says nothing.
		out, err := exec.CommandContext(ctx, program, "-S").Output()
		if err != nil {
			continue
		}
		if d := iptablesDiagnosis(string(out), program, bridge); d != nil {
			return d
		}
	}
	out, err := exec.CommandContext(ctx, "nft", "-j", "list", "chains").Output()
	if err != nil {
		return nil
	}
	return nftDiagnosis(out, bridge)
}

// iptablesDiagnosis reads the output of iptables -S.
func iptablesDiagnosis(rules, program, bridge string) *Diagnosis {
	drops, docker, allowed := false, false, 0
	for line := range strings.Lines(rules) {
		line = strings.TrimSpace(line)
		switch {
		case line == "-P FORWARD DROP":
			drops = true
		case line == "-N DOCKER-USER":
			docker = true
		case strings.HasSuffix(line, "-j ACCEPT") && (strings.Contains(line, "-i "+bridge+" ") || strings.Contains(line, "-o "+bridge+" ")):
			allowed++
		}
	}
	if !drops || allowed >= 2 {
		return nil
	}
	chain, who := "FORWARD", "the firewall of this machine"
	if docker {
		chain, who = "DOCKER-USER", "Docker"
	}
	return &Diagnosis{
		Reason: fmt.Sprintf("%s drops forwarded packets (policy DROP of chain FORWARD), so pods reach neither one another nor addresses beyond this machine", who),
		Fix:    fmt.Sprintf("%[1]s -I %[2]s -i %[3]s -j ACCEPT; %[1]s -I %[2]s -o %[3]s -j ACCEPT", program, chain, bridge),
	}
}

// nftDiagnosis reads the output of nft -j list chains. Chains that iptables-nft keeps
// are left out: iptablesDiagnosis has looked at them, with their exceptions.
func nftDiagnosis(raw []byte, bridge string) *Diagnosis {
	var list struct {
		Nftables []struct {
			Chain *struct{ Family, Table, Name, Type, Hook, Policy string }
		}
	}
	if json.Unmarshal(raw, &list) != nil {
		return nil
	}
	for _, entry := range list.Nftables {
		c := entry.Chain
		if c == nil || c.Hook != "forward" || c.Policy != "drop" || c.Table == "filter" {
			continue
		}
		at := fmt.Sprintf("%s %s %s", c.Family, c.Table, c.Name)
		return &Diagnosis{
			Reason: fmt.Sprintf("the nftables chain %q drops forwarded packets unless a rule accepts them, so pods may reach neither one another nor addresses beyond this machine", at),
			Fix:    fmt.Sprintf("nft insert rule %[1]s iifname %[2]s accept; nft insert rule %[1]s oifname %[2]s accept", at, bridge),
		}
	}
	return nil
}
