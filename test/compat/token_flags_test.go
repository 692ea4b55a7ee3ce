package compat

import (
	"slices"
	"strings"
	"testing"
)

// TestCreateTokenFlags tries every flag of `kubectl create token`.
func TestCreateTokenFlags(t *testing.T) {
	t.Parallel()
	s, ns := shared, shared.namespace(t)
	s.sh(t, "kubectl create sa build-robot -n "+ns+" && kubectl create secret generic box -n "+ns)
	s.apply(t, ns, vaultPod("nginx", vaultToken))
	s.running(t, ns, "nginx")
	node := s.field(t, ns, "pod/nginx", "{.spec.nodeName}")
	create := func(flags string) claims {
		t.Helper()
		return decode(t, s.sh(t, "kubectl create token build-robot -n "+ns+" "+flags))
	}
	if c := create("--audience vault --audience bank --duration 20m"); !slices.Equal(c.Audience, []string{"vault", "bank"}) || c.Expiry-c.IssuedAt != 1200 {
		t.Errorf("aud %q, life %d", c.Audience, c.Expiry-c.IssuedAt)
	}
	for kind, name := range map[string]string{"Pod": "nginx", "Secret": "box", "Node": node} {
		uid := s.field(t, ns, strings.ToLower(kind)+"/"+name, "{.metadata.uid}")
		to := "--bound-object-kind " + kind + " --bound-object-name " + name
		for _, flags := range []string{to, to + " --bound-object-uid " + uid} {
			token := s.sh(t, "kubectl create token build-robot -n "+ns+" "+flags)
			k := decode(t, token).Kubernetes
			got := map[string]*ref{"Pod": k.Pod, "Secret": k.Secret, "Node": k.Node}[kind]
			if got == nil || *got != (ref{name, uid}) {
				t.Errorf("%s: bound to %+v", flags, k)
			}
			if r := review(t, s, token); !r.Authenticated {
				t.Errorf("%s: %s", flags, r.Error)
			}
		}
		contains(t, s.fails(t, "kubectl create token build-robot -n "+ns+" "+to+" --bound-object-uid another"),
			`Operation cannot be fulfilled on `+kind+` "`+name+`": the UID in the bound object reference (another) does not match the UID in record.`)
	}
	contains(t, s.fails(t, "kubectl create token default -n "+ns+" --bound-object-kind Pod --bound-object-name nginx"),
		`cannot bind token for serviceaccount "default" to pod running with different serviceaccount name.`)
	contains(t, s.fails(t, "kubectl create token build-robot -n "+ns+" --duration 10s"), "may not specify a duration less than 10 minutes")

	bound := s.sh(t, "kubectl create token build-robot -n "+ns+" --bound-object-kind Secret --bound-object-name box")
	s.sh(t, "kubectl delete secret box -n "+ns)
	if r := review(t, s, bound); r.Authenticated || !strings.Contains(r.Error, "service account token has been invalidated") {
		t.Errorf("after its secret is gone: %+v", r)
	}
}
