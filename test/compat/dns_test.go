package compat

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/miekg/dns"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
)

// TestB4NamesInsideAPod does what the book does in the pod curl.
func TestB4NamesInsideAPod(t *testing.T) {
	s := newStage(t)
	// The name kubernetes alone is that of the namespace default.
	s.apply(t, "default", `
apiVersion: v1
kind: Pod
metadata: {name: b4-curl}
spec:
  terminationGracePeriodSeconds: 0
  containers: [{name: main, image: tutum/curl, command: [sleep, "9999999"]}]
`)
	t.Cleanup(func() { s.sh(t, "kubectl delete pod -n default b4-curl --wait=false") })
	s.running(t, "default", "b4-curl")
	api := s.field(t, "default", "service/kubernetes", "{.spec.clusterIP}")
	env := s.exec(t, "default", "b4-curl", "env")
	for _, want := range []string{"KUBERNETES_SERVICE_HOST=" + api, "KUBERNETES_SERVICE_PORT=443", "KUBERNETES_SERVICE_PORT_HTTPS=443"} {
		if !strings.Contains(env, want+"\n") {
			t.Errorf("%s is missing in %s", want, env)
		}
	}
	said := s.fails(t, "kubectl exec -n default b4-curl -- curl -sS https://kubernetes")
	if want := "curl: (60) SSL certificate problem: unable to get local issuer certificate"; !strings.Contains(said, want) {
		t.Errorf("curl says %s", said)
	}
	a := s.asksFrom(t, "default", "b4-curl")
	a.resolves(t, dns.TypeSRV, []string{"0 100 443 kubernetes.default.svc.cluster.local."}, "_https._tcp.kubernetes.default.svc.cluster.local", "_https._tcp.kubernetes")
	if events := s.sh(t, "kubectl get events -A"); strings.Contains(events, "MissingClusterDNS") {
		t.Errorf("events %s", events)
	}
}

// names is the process in which the DNS of the node runs.
func (s *system) names(t testing.TB) (pid int) {
	t.Helper()
	eventually(t, 10*time.Second, func() error {
		tasks, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", s.PID()))
		if err != nil {
			return err
		}
		for _, file := range tasks {
			raw, err := os.ReadFile(file)
			if err != nil {
				continue
			}
			for child := range strings.FieldsSeq(string(raw)) {
				line, err := os.ReadFile("/proc/" + child + "/cmdline")
				if err == nil && strings.HasPrefix(string(line), "laterna\x00cluster-dns\x00") {
					pid, err = strconv.Atoi(child)
					return err
				}
			}
		}
		return fmt.Errorf("%d has no child that answers for names", s.PID())
	})
	return pid
}

// manyNames makes a headless service with so many endpoints that have names, a thousand in a
// slice: h0.many.default.svc.cluster.local and so on.
func (s *system) manyNames(t testing.TB, n int) {
	t.Helper()
	client := s.client(t)
	_, err := client.CoreV1().Services("default").Create(t.Context(), &corev1.Service{ObjectMeta: metav1.ObjectMeta{Name: "many"},
		Spec: corev1.ServiceSpec{ClusterIP: corev1.ClusterIPNone, Ports: []corev1.ServicePort{{Name: "http", Port: 80}}}}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for first := 0; first < n; first += 1000 {
		slice := &discoveryv1.EndpointSlice{
			ObjectMeta:  metav1.ObjectMeta{Name: fmt.Sprintf("many-%d", first), Labels: map[string]string{discoveryv1.LabelServiceName: "many"}},
			AddressType: discoveryv1.AddressTypeIPv4, Ports: []discoveryv1.EndpointPort{{Name: ptr.To("http"), Port: ptr.To(int32(80))}},
		}
		for i := first; i < min(first+1000, n); i++ {
			slice.Endpoints = append(slice.Endpoints, discoveryv1.Endpoint{Addresses: []string{manyAddress(i)}, Hostname: ptr.To(fmt.Sprintf("h%d", i))})
		}
		if _, err := client.DiscoveryV1().EndpointSlices("default").Create(t.Context(), slice, metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
	}
}

func manyAddress(i int) string { return fmt.Sprintf("10.9.%d.%d", i/250, i%250+1) }

// TestNamesOfManyAndFaults has ten thousand names in a system without pods, kills what
// answers and then the system.
func TestNamesOfManyAndFaults(t *testing.T) {
	t.Parallel()
	s := prepared(t, "--cluster-domain=example.test")
	if err := s.Start(); err != nil {
		t.Fatal(err)
	}
	eventually(t, 10*time.Second, func() error {
		if s.field(t, "default", "nodes", "{.items[*].metadata.annotations.laterna\\.dev/cluster-dns}") == "" {
			return fmt.Errorf("the node does not say where its DNS is")
		}
		return nil
	})
	eventually(t, 10*time.Second, func() error {
		if !slices.Contains(strings.Fields(s.field(t, "kube-system", "services", "{.items[*].metadata.name}")), "kube-dns") {
			return fmt.Errorf("there is no service kube-dns")
		}
		return nil
	})
	const n = 10_000
	s.manyNames(t, n)
	a := s.asksFromHere(t)
	name := func(i int) string { return fmt.Sprintf("h%d.many.default.svc.example.test", i) }
	knowsAll := func(when string) {
		t.Helper()
		a.resolves(t, dns.TypeA, []string{manyAddress(n - 1)}, name(n-1))
		for range 200 {
			i := rand.IntN(n)
			if got, err := a.records(name(i), dns.TypeA); err != nil || len(got) != 1 || got[0] != manyAddress(i) {
				t.Fatalf("%s: %s is %q, %v", when, name(i), got, err)
			}
		}
	}
	knowsAll("at first")
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", s.names(t)))
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("with %d names: %s", n, rss(status))

	// Whoever asks while nobody answers has an answer a moment later.
	for range 3 {
		if err := syscall.Kill(s.names(t), syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		if got, err := a.records(name(7), dns.TypeA); err != nil || got[0] != manyAddress(7) || time.Since(began) > 4*time.Second {
			t.Errorf("after a kill: %q, %v, after %s", got, err, time.Since(began))
		}
	}
	former := s.names(t)
	s.Kill()
	eventually(t, 2*time.Second, func() error {
		if err := syscall.Kill(former, 0); err != syscall.ESRCH {
			return fmt.Errorf("%d goes on: %v", former, err)
		}
		return nil
	})
	if err := s.Start(); err != nil {
		t.Fatal(err)
	}
	knowsAll("after a restart")
	s.strangerIsRefused(t)
}

// rss are the lines about memory of /proc/<pid>/status.
func rss(status []byte) (lines []string) {
	for line := range bytes.Lines(status) {
		if bytes.HasPrefix(line, []byte("Rss")) || bytes.HasPrefix(line, []byte("VmRSS")) {
			lines = append(lines, strings.Join(strings.Fields(string(line)), " "))
		}
	}
	return lines
}

// strangerIsRefused asks from a network beside this machine, which leads packets for the
// gateway here.
func (s *system) strangerIsRefused(t *testing.T) {
	t.Helper()
	at, _, ok := strings.Cut(s.field(t, "default", "nodes", "{.items[*].metadata.annotations.laterna\\.dev/cluster-dns}"), ":")
	if !ok {
		t.Fatal("the node does not say where its DNS is")
	}
	stranger := asker{"/run/netns/" + s.otherNetwork(t, 0).name, &dns.ClientConfig{Servers: []string{at}, Port: "53"}}
	for _, network := range []string{"udp", "tcp"} {
		answer, err := stranger.ask(network, "kubernetes.default.svc.example.test", dns.TypeA)
		if err == nil && (answer.Rcode != dns.RcodeRefused || len(answer.Answer) > 0) {
			t.Errorf("a stranger is answered by %s: %v", network, answer)
		}
	}
}
