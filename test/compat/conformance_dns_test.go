package compat

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/miekg/dns"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
)

// zone is the domain of the shared system's cluster.
const zone = "cluster.local"

// querier is a pod that asks, and that is asked for by its name in a service.
func (s *stage) querier(t *testing.T, service string) (a asker, ip string) {
	t.Helper()
	s.apply(t, s.ns, fmt.Sprintf(`
apiVersion: v1
kind: Pod
metadata: {name: %[1]s, labels: {of: %[1]s}}
spec:
  hostname: %[1]s-host
  subdomain: %[1]s
  terminationGracePeriodSeconds: 0
  containers: [{name: c, image: "busybox:1.28", command: [sleep, 1d]}]
`, service))
	s.running(t, s.ns, service)
	return s.asksFrom(t, s.ns, service), s.field(t, s.ns, "pod/"+service, "{.status.podIP}")
}

// named makes a service; headless where cluster is false.
func (s *stage) named(t *testing.T, name string, cluster bool, change func(*corev1.ServiceSpec)) *corev1.Service {
	t.Helper()
	spec := corev1.ServiceSpec{Selector: map[string]string{"of": name}, Ports: []corev1.ServicePort{{Name: "http", Port: 80}}}
	if !cluster {
		spec.ClusterIP = corev1.ClusterIPNone
	}
	if change != nil {
		change(&spec)
	}
	made, err := s.client.CoreV1().Services(s.ns).Create(t.Context(), &corev1.Service{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: spec}, metav1.CreateOptions{})
	s.must(t, err)
	return made
}

// TestConformanceDNS asks from the networks of pods, with what their resolv.conf says; what
// upstream does with dig, it does with the library of CoreDNS.
func TestConformanceDNS(t *testing.T) {
	s := newStage(t)
	s.conforms(t, "[sig-network] DNS should provide DNS for the cluster", s.knowsTheAPI)
	s.conforms(t, "[sig-network] DNS should provide /etc/hosts entries for the cluster", s.knowsItself)
	s.conforms(t, "[sig-network] DNS should provide DNS for services", s.knowsServicesByName)
	s.conforms(t, "[sig-network] DNS should resolve DNS of partial qualified names for services", s.knowsPartialNames)
	s.conforms(t, "[sig-network] DNS should provide DNS for pods for Hostname", s.knowsHostnames)
	s.conforms(t, "[sig-network] DNS should provide DNS for pods for Subdomain", s.knowsSubdomains)
	s.conforms(t, "[sig-network] DNS should provide DNS for ExternalName services", s.knowsExternalNames)
	s.conforms(t, "[sig-network] DNS should support configurable pod DNS nameservers", s.hasItsOwnServers)
}

func (s *stage) knowsTheAPI(t *testing.T) {
	a, _ := s.querier(t, "asks-for-api")
	api := s.field(t, "default", "service/kubernetes", "{.spec.clusterIP}")
	a.resolves(t, dns.TypeA, []string{api}, "kubernetes.default.svc."+zone, "kubernetes.default", "kubernetes.default.svc")
}

func (s *stage) knowsItself(t *testing.T) {
	_, ip := s.querier(t, "hosts")
	whole := "hosts-host.hosts." + s.ns + ".svc." + zone
	hosts := s.exec(t, s.ns, "hosts", "cat", "/etc/hosts")
	if !strings.Contains(hosts, ip+"\t"+whole+"\thosts-host\n") {
		t.Errorf("/etc/hosts is %s", hosts)
	}
	if got := s.exec(t, s.ns, "hosts", "hostname", "-f"); strings.TrimSpace(got) != whole {
		t.Errorf("its whole name is %q", got)
	}
}

// both makes a headless and a normal service of the same pod.
func (s *stage) both(t *testing.T, prefix string) (a asker, ip string, headless, normal *corev1.Service) {
	t.Helper()
	headless = s.named(t, prefix+"-headless", false, nil)
	a, ip = s.querier(t, headless.Name)
	normal = s.named(t, prefix+"-normal", true, func(spec *corev1.ServiceSpec) { spec.Selector["of"] = headless.Name })
	return a, ip, headless, normal
}

func (s *stage) knowsServicesByName(t *testing.T) {
	a, ip, headless, normal := s.both(t, "named")
	of := func(service *corev1.Service) string { return service.Name + "." + s.ns + ".svc." + zone }
	a.resolves(t, dns.TypeA, []string{ip}, of(headless))
	a.resolves(t, dns.TypeA, []string{normal.Spec.ClusterIP}, of(normal))
	a.resolves(t, dns.TypeSRV, []string{"0 100 80 " + headless.Name + "-host." + of(headless) + "."}, "_http._tcp."+of(headless))
	a.resolves(t, dns.TypeSRV, []string{"0 100 80 " + of(normal) + "."}, "_http._tcp."+of(normal))
	reverse, err := dns.ReverseAddr(normal.Spec.ClusterIP)
	s.must(t, err)
	a.resolves(t, dns.TypePTR, []string{of(normal) + "."}, reverse)
	if answer, err := a.ask("udp", "nobody."+s.ns+".svc."+zone, dns.TypeA); err != nil || answer.Rcode != dns.RcodeNameError || !answer.Authoritative {
		t.Errorf("a service that is not there: %v, %v", answer, err)
	}
}

func (s *stage) knowsPartialNames(t *testing.T) {
	a, ip, headless, normal := s.both(t, "partial")
	for service, want := range map[*corev1.Service]string{headless: ip, normal: normal.Spec.ClusterIP} {
		target := service.Name + "." + s.ns + ".svc." + zone + "."
		if service == headless {
			target = headless.Name + "-host." + target
		}
		for _, suffix := range []string{"." + s.ns, "." + s.ns + ".svc", ""} {
			a.resolves(t, dns.TypeA, []string{want}, service.Name+suffix)
			if suffix != "" {
				a.resolves(t, dns.TypeSRV, []string{"0 100 80 " + target}, "_http._tcp."+service.Name+suffix)
			}
		}
	}
}

func (s *stage) knowsHostnames(t *testing.T) {
	s.named(t, "hostname", false, nil)
	a, ip := s.querier(t, "hostname")
	a.resolves(t, dns.TypeA, []string{ip}, "hostname-host.hostname."+s.ns+".svc."+zone, "hostname-host.hostname")
	if hosts := s.exec(t, s.ns, "hostname", "cat", "/etc/hosts"); !strings.Contains(hosts, ip+"\thostname-host.hostname."+s.ns+".svc."+zone+"\thostname-host\n") {
		t.Errorf("/etc/hosts is %s", hosts)
	}
}

func (s *stage) knowsSubdomains(t *testing.T) {
	s.named(t, "subdomain", false, nil)
	a, ip := s.querier(t, "subdomain")
	a.resolves(t, dns.TypeA, []string{ip}, "subdomain."+s.ns+".svc."+zone)
}

// knowsExternalNames asks for the alias alone: what it leads to is somebody else's, and is
// not asked for here.
func (s *stage) knowsExternalNames(t *testing.T) {
	a, _ := s.querier(t, "external")
	service := s.named(t, "alias", true, func(spec *corev1.ServiceSpec) {
		*spec = corev1.ServiceSpec{Type: corev1.ServiceTypeExternalName, ExternalName: "foo.example.com"}
	})
	name := "alias." + s.ns + ".svc." + zone
	a.resolves(t, dns.TypeCNAME, []string{"foo.example.com."}, name)
	services := s.client.CoreV1().Services(s.ns)
	service.Spec.ExternalName = "bar.example.com"
	service, err := services.Update(t.Context(), service, metav1.UpdateOptions{})
	s.must(t, err)
	a.resolves(t, dns.TypeCNAME, []string{"bar.example.com."}, name)
	service.Spec = corev1.ServiceSpec{Type: corev1.ServiceTypeClusterIP, Ports: []corev1.ServicePort{{Name: "http", Port: 80}}}
	service, err = services.Update(t.Context(), service, metav1.UpdateOptions{})
	s.must(t, err)
	a.resolves(t, dns.TypeA, []string{service.Spec.ClusterIP}, name)
}

func (s *stage) hasItsOwnServers(t *testing.T) {
	pods := s.client.CoreV1().Pods(s.ns)
	for _, tc := range []struct {
		name   string
		policy corev1.DNSPolicy
		want   []string
	}{
		{"own-servers", corev1.DNSNone, []string{"nameserver 1.1.1.1", "search resolv.conf.local"}},
		{"more-servers", corev1.DNSClusterFirst, []string{
			"nameserver " + s.field(t, "kube-system", "service/kube-dns", "{.spec.clusterIP}"), "nameserver 1.1.1.1", "options ndots:2 edns0",
			"search " + s.ns + ".svc." + zone + " svc." + zone + " " + zone,
		}},
	} {
		pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: tc.name}, Spec: corev1.PodSpec{
			DNSPolicy: tc.policy, DNSConfig: &corev1.PodDNSConfig{Nameservers: []string{"1.1.1.1"}, Searches: []string{"resolv.conf.local"}},
			TerminationGracePeriodSeconds: ptr.To(int64(0)),
			Containers:                    []corev1.Container{{Name: "c", Image: "busybox:1.28", Command: []string{"sleep", "1d"}}},
		}}
		if tc.policy == corev1.DNSClusterFirst {
			pod.Spec.DNSConfig.Options = []corev1.PodDNSConfigOption{{Name: "ndots", Value: ptr.To("2")}, {Name: "edns0"}}
		}
		_, err := pods.Create(t.Context(), pod, metav1.CreateOptions{})
		s.must(t, err)
		s.running(t, s.ns, tc.name)
		var got []string
		for line := range strings.Lines(s.exec(t, s.ns, tc.name, "cat", "/etc/resolv.conf")) {
			got = append(got, strings.TrimSpace(line))
		}
		slices.Sort(got)
		slices.Sort(tc.want)
		for i, want := range tc.want {
			// The machine's own search list comes before the pod's.
			if i >= len(got) || !strings.HasPrefix(got[i], want) || len(got) != len(tc.want) {
				t.Errorf("%s: resolv.conf is %q, want %q", tc.name, got, tc.want)
				break
			}
		}
	}
}
