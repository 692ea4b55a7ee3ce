package compat

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	networkingv1 "k8s.io/api/networking/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
)

// readerPod answers requests with their header, and those for an upgrade with what it
// reads of the connection afterwards, to its end.
const readerPod = `#!/bin/sh
head=; upgrade=
while IFS= read -r line; do line=$(printf %s "$line" | tr -d '\r'); [ -z "$line" ] && break; head="$head$line
"; case $line in [Uu]pgrade:*) upgrade=y;; esac; done
if [ -n "$upgrade" ]; then
  printf 'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: upper\r\n\r\n'; exec tr a-z A-Z
fi
printf 'HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Type: text/plain\r\n\r\n%s' "$head"`

// TestProxyOfAPod looks at what a pod learns of a request, and at an upgraded connection
// of which one way ends before the other.
func TestProxyOfAPod(t *testing.T) {
	s := newStage(t)
	script := s.configMap(t, map[string]string{"read.sh": readerPod})
	pod := shell(s.name("reader"), "exec nc -ll -p 8080 -e /c/read.sh")
	pod.Spec.Containers[0].Ports = []corev1.ContainerPort{{ContainerPort: 8080}}
	pod.Spec.Containers[0].ReadinessProbe = everySecond(tcpProbe(8080))
	mount(pod, "/c", corev1.VolumeSource{ConfigMap: &corev1.ConfigMapVolumeSource{DefaultMode: new(int32(0o755)), LocalObjectReference: corev1.LocalObjectReference{Name: script.Name}}})
	s.await(t, s.create(t, pod), "to be ready", isReady)
	path := s.proxied("pods", pod.Name)

	token := strings.TrimSpace(s.sh(t, "kubectl create token default -n "+s.ns))
	s.sh(t, "kubectl create rolebinding edit --clusterrole=edit --serviceaccount="+s.ns+":default -n "+s.ns)
	config := rest.AnonymousClientConfig(s.config(t))
	config.BearerToken = token
	client, err := rest.HTTPClientFor(config)
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, 20*time.Second, func() error {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, config.Host+path+"/a?b=c", nil)
		if err != nil {
			return err
		}
		req.Header.Set("X-Own", "own")
		resp, err := client.Do(req)
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		if err != nil || resp.StatusCode != http.StatusOK {
			return fmt.Errorf("%s %s, %v", resp.Status, body, err)
		}
		contains(t, string(body), "GET /a?b=c HTTP/1.1\n", "X-Own: own\n", "X-Forwarded-Uri: "+path+"/a\n")
		if strings.Contains(string(body), token) || strings.Contains(string(body), "Authorization") {
			t.Errorf("the pod sees the credentials: %s", body)
		}
		return nil
	})
	s.upgrades(t, config, path, token)
}

func (s *stage) upgrades(t *testing.T, config *rest.Config, path, token string) {
	t.Helper()
	trust, err := rest.TLSConfigFor(config)
	if err != nil {
		t.Fatal(err)
	}
	trust.NextProtos = []string{"http/1.1"}
	conn, err := tls.Dial("tcp", s.Listen, trust)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(stepTimeout))
	fmt.Fprintf(conn, "GET %s/ HTTP/1.1\r\nHost: %s\r\nAuthorization: Bearer %s\r\nConnection: Upgrade\r\nUpgrade: upper\r\n\r\n", path, s.Listen, token)
	in := bufio.NewReader(conn)
	resp, err := http.ReadResponse(in, nil)
	if err != nil || resp.StatusCode != http.StatusSwitchingProtocols {
		t.Fatalf("%+v, %v", resp, err)
	}
	if _, err := io.WriteString(conn, "text"); err != nil {
		t.Fatal(err)
	}
	if err := conn.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(in); string(got) != "TEXT" || err != nil {
		t.Errorf("behind the end of what was sent came %q, %v", got, err)
	}
}

// TestProxiesLeadToNobodyElse records addresses for pods and endpoints that are not
// theirs.
func TestProxiesLeadToNobodyElse(t *testing.T) {
	s := newStage(t)
	pods, ask := s.client.CoreV1().Pods(s.ns), func(path string) error {
		return s.client.CoreV1().RESTClient().Get().AbsPath(path + "/").Do(t.Context()).Error()
	}
	nobodys := shell(s.name("pod"), forever)
	nobodys.Spec.SchedulerName = "nobody"
	pod := s.create(t, nobodys)
	service := s.service(t, nil, corev1.ServicePort{Port: 80})
	slice := &discoveryv1.EndpointSlice{
		ObjectMeta:  metav1.ObjectMeta{Name: service, Labels: map[string]string{discoveryv1.LabelServiceName: service}},
		AddressType: discoveryv1.AddressTypeIPv4, Ports: []discoveryv1.EndpointPort{{Name: new(""), Port: new(int32(80))}},
		Endpoints: []discoveryv1.Endpoint{{Addresses: []string{"10.9.9.9"}}},
	}
	if _, err := s.client.DiscoveryV1().EndpointSlices(s.ns).Create(t.Context(), slice, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	if err := ask(s.proxied("pods", pod.Name)); !apierrors.IsBadRequest(err) || !strings.Contains(err.Error(), "address not allowed") {
		t.Errorf("a pod without an address: %v", err)
	}
	api := s.sh(t, "kubectl get svc kubernetes -n default -o jsonpath={.spec.clusterIP}")
	gateway := s.sh(t, "kubectl get endpoints kubernetes -n default -o jsonpath={.subsets[0].addresses[0].ip} 2>/dev/null")
	more, err := s.client.NetworkingV1().ServiceCIDRs().Create(t.Context(), &networkingv1.ServiceCIDR{
		ObjectMeta: metav1.ObjectMeta{GenerateName: "more-"}, Spec: networkingv1.ServiceCIDRSpec{CIDRs: []string{"10.9.200.0/24"}},
	}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.client.NetworkingV1().ServiceCIDRs().Delete(context.Background(), more.Name, metav1.DeleteOptions{}); err != nil {
			t.Error(err)
		}
	})
	for _, address := range []string{"10.9.200.7", "127.0.0.1", "127.0.0.2", "169.254.169.254", "224.0.0.1", "0.0.0.0", "::1", "fe80::1", api, gateway, s.nodeIP(t)} {
		pod.Status.PodIP, pod.Status.PodIPs = address, []corev1.PodIP{{IP: address}}
		made, err := pods.UpdateStatus(t.Context(), pod, metav1.UpdateOptions{})
		if err != nil {
			t.Fatal(err)
		}
		pod = made
		for _, id := range []string{pod.Name, "https:" + pod.Name + ":6443"} {
			if err := ask(s.proxied("pods", id)); !apierrors.IsBadRequest(err) || !strings.Contains(err.Error(), "address not allowed") {
				t.Errorf("a pod at %s: %v", address, err)
			}
		}
		if strings.Contains(address, ":") {
			continue
		}
		slice.Endpoints = []discoveryv1.Endpoint{{Addresses: []string{address}, TargetRef: &corev1.ObjectReference{Kind: "Pod", Namespace: s.ns, Name: pod.Name}}}
		if _, err := s.client.DiscoveryV1().EndpointSlices(s.ns).Update(t.Context(), slice, metav1.UpdateOptions{}); err != nil {
			continue // nor can it be recorded
		}
		if err := ask(s.proxied("services", service)); !apierrors.IsServiceUnavailable(err) || !strings.Contains(err.Error(), "no endpoints available for service") {
			t.Errorf("an endpoint at %s: %v", address, err)
		}
	}
	node := s.sh(t, "kubectl get nodes -o jsonpath={.items[0].metadata.name}")
	_, port, _ := strings.Cut(s.Listen, ":")
	if err := ask("/api/v1/nodes/https:" + node + ":" + port + "/proxy/healthz"); !apierrors.IsBadRequest(err) {
		t.Errorf("what else listens on the node: %v", err)
	}
	if text := s.sh(t, "kubectl get --raw /api/v1/nodes/"+node+"/proxy/healthz"); text != "ok" {
		t.Errorf("the kubelet says %q", text)
	}
}

// TestRightsOfProxies are those of upstream's roles; and reading nodes/proxy is not enough
// to run commands through a kubelet.
func TestRightsOfProxies(t *testing.T) {
	s := newStage(t)
	account := s.ns + ":default"
	as := " --as=system:serviceaccount:" + account
	may := func(verb, resource string) string {
		out, _ := s.command(t, "bash", "-c", "kubectl auth can-i "+verb+" "+resource+" -n "+s.ns+as).Output()
		return strings.TrimSpace(string(out))
	}
	grants := func(role, want string) {
		t.Helper()
		s.sh(t, "kubectl create rolebinding "+role+" --clusterrole="+role+" --serviceaccount="+account+" -n "+s.ns)
		eventually(t, 20*time.Second, func() error {
			if may("get", "pods") != "yes" {
				return errors.New("the binding is not known yet")
			}
			return nil
		})
		for _, resource := range []string{"pods --subresource=proxy", "services --subresource=proxy"} {
			eventually(t, 20*time.Second, func() error {
				for _, verb := range []string{"get", "create", "delete"} {
					if got := may(verb, resource); got != want {
						return fmt.Errorf("%s: %s %s: %s", role, verb, resource, got)
					}
				}
				return nil
			})
		}
	}
	grants("view", "no")
	grants("edit", "yes")
	node := s.sh(t, "kubectl get nodes -o jsonpath={.items[0].metadata.name}")
	s.sh(t, "kubectl create clusterrole "+s.ns+" --verb=get --resource=nodes/proxy; kubectl create clusterrolebinding "+s.ns+" --clusterrole="+s.ns+" --serviceaccount="+account)
	t.Cleanup(func() { s.sh(t, "kubectl delete clusterrole,clusterrolebinding "+s.ns) })
	eventually(t, 20*time.Second, func() error {
		out, err := s.command(t, "bash", "-c", "kubectl get --raw /api/v1/nodes/"+node+"/proxy/healthz"+as).CombinedOutput()
		if string(out) != "ok" {
			return fmt.Errorf("%s, %v", out, err)
		}
		return nil
	})
	token := strings.TrimSpace(s.sh(t, "kubectl create token default -n "+s.ns))
	out := s.sh(t, fmt.Sprintf(`curl -sk --http1.1 -H 'Authorization: Bearer %s' -H 'Connection: Upgrade' -H 'Upgrade: websocket' -H 'Sec-WebSocket-Version: 13' -H 'Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==' `+
		`'https://%s/api/v1/nodes/%s/proxy/exec/%s/x/main?command=id&output=1'`, token, s.Listen, node, s.ns))
	contains(t, out, `"reason": "Forbidden"`, `nodes/proxy`)
}
