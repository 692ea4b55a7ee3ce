package compat

import (
	"fmt"
	"net/netip"
	"path/filepath"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
)

// TestSystemsOfAMachineHaveServicesOfTheirOwn starts two systems at once with default flags.
// Programs of the machine reach each by the address of its service kubernetes, and pods in
// the machine's network reach the services of their own system, by address and by name.
func TestSystemsOfAMachineHaveServicesOfTheirOwn(t *testing.T) {
	t.Parallel()
	both := []*system{prepared(t), prepared(t)}
	var launched []<-chan struct{}
	for _, s := range both {
		ready, err := s.Launch()
		if err != nil {
			t.Fatal(err)
		}
		launched = append(launched, ready)
	}
	ranges := map[string]*system{}
	for i, s := range both {
		select {
		case <-launched[i]:
		case <-s.Exited():
			t.Fatal("a system has ended")
		case <-time.After(stepTimeout):
			t.Fatal("a system is not ready")
		}
		its := s.serviceRange(t)
		if ranges[its] != nil {
			t.Errorf("both have %s", its)
		}
		ranges[its] = s
	}
	for its, s := range ranges {
		s.reached(t, its)
	}
	inTheMachinesNetwork(t, both)
	again := both[0]
	its := again.serviceRange(t)
	if err := again.Stop(); err != nil {
		t.Fatal(err)
	}
	if err := again.Start(); err != nil {
		t.Fatal(err)
	}
	if now := again.serviceRange(t); now != its {
		t.Errorf("restarted with %s, before %s", now, its)
	}
	again.reached(t, its)
	for _, s := range both {
		if log := s.Log(); strings.Contains(log, "has the same service addresses") {
			t.Error(log)
		}
	}
}

// serviceRange is the range of services' addresses, which the service kubernetes has the
// first of.
func (s *system) serviceRange(t *testing.T) string {
	t.Helper()
	r, err := s.client(t).NetworkingV1().ServiceCIDRs().Get(t.Context(), "kubernetes", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	first := netip.MustParsePrefix(r.Spec.CIDRs[0]).Addr().Next().String()
	svc, err := s.client(t).CoreV1().Services("default").Get(t.Context(), "kubernetes", metav1.GetOptions{})
	if err != nil || svc.Spec.ClusterIP != first {
		t.Errorf("the service kubernetes has %s of %s: %v", svc.Spec.ClusterIP, r.Spec.CIDRs[0], err)
	}
	return r.Spec.CIDRs[0]
}

// reached fails unless this system, and no other, answers at the first address of a range.
func (s *system) reached(t *testing.T, services string) {
	t.Helper()
	config := s.config(t)
	config.Host = "https://" + netip.MustParsePrefix(services).Addr().Next().String()
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	want, err := s.client(t).CoreV1().Namespaces().Get(t.Context(), "kube-system", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, 20*time.Second, func() error { // rules are written after readiness
		got, err := client.CoreV1().Namespaces().Get(t.Context(), "kube-system", metav1.GetOptions{})
		if err == nil && got.UID != want.UID {
			err = fmt.Errorf("another system answers at %s", config.Host)
		}
		return err
	})
}

// inTheMachinesNetwork has a pod with hostNetwork in each system, and in each services of
// the same names and one that the others do not have.
func inTheMachinesNetwork(t *testing.T, all []*system) {
	t.Helper()
	archive, err := filepath.Abs(imageDir + "/busybox-1.28.tar")
	if err != nil {
		t.Fatal(err)
	}
	var stages []*stage
	for i, sys := range all {
		sys.sh(t, "laterna image import --data-dir "+sys.Dir+" "+archive)
		s := &stage{system: sys, ns: "default", client: sys.client(t)}
		s.apply(t, s.ns, netserver("host", nil, "hostNetwork: true\n  dnsPolicy: ClusterFirstWithHostNet")+"---"+
			netserver(webOf(i), map[string]string{"app": "web"}, "", 8080))
		for _, name := range []string{"web", "only-" + webOf(i)} {
			s.sh(t, "kubectl create service clusterip "+name+" --tcp=80:8080 && kubectl set selector service "+name+" app=web")
		}
		stages = append(stages, s)
	}
	for i, s := range stages {
		s.running(t, s.ns, "host", webOf(i))
		for _, host := range []string{
			s.field(t, s.ns, "service/web", "{.spec.clusterIP}"), "web", "web.default.svc.cluster.local", "only-" + webOf(i),
		} {
			s.reaches(t, "host", host, 80, webOf(i))
		}
		for j := range stages {
			if j != i {
				s.unanswered(t, "host", "only-"+webOf(j), 80)
			}
		}
	}
}

// webOf is what answers in the i-th of several systems.
func webOf(i int) string { return fmt.Sprintf("web-%d", i) }
