package compat

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/client-go/rest"

	"laterna.dev/laterna/internal/clock"
	"laterna.dev/laterna/internal/pki"
)

func TestConformanceProxy(t *testing.T) {
	s := newStage(t)
	s.conforms(t, "[sig-network] Proxy version v1 should proxy through a service and a pod", func(t *testing.T) {
		pod := s.porter(t)
		service := s.service(t, pod.Labels,
			corev1.ServicePort{Name: "portname1", Port: 80, TargetPort: intstr.FromString("dest1")}, corev1.ServicePort{Name: "portname2", Port: 81, TargetPort: intstr.FromInt32(162)},
			corev1.ServicePort{Name: "tlsportname1", Port: 443, TargetPort: intstr.FromString("tlsdest1")}, corev1.ServicePort{Name: "tlsportname2", Port: 444, TargetPort: intstr.FromInt32(462)})
		ofService := func(id string) string { return s.proxied("services", strings.ReplaceAll(id, "NAME", service)) }
		ofPod := func(id string) string { return s.proxied("pods", strings.ReplaceAll(id, "NAME", pod.Name)) }
		want := map[string]string{}
		for id, body := range map[string]string{
			"NAME:portname1": "foo", "http:NAME:portname1": "foo", ":NAME:80": "foo", "NAME:portname2": "bar", "http:NAME:portname2": "bar", "NAME:81": "bar",
			"https:NAME:tlsportname1": "tls baz", "https:NAME:443": "tls baz", "https:NAME:tlsportname2": "tls qux", "https:NAME:444": "tls qux",
		} {
			want[ofService(id)] = body
		}
		for id, body := range map[string]string{
			"NAME:160": "foo", "http:NAME:160": "foo", "NAME:162": "bar", "http:NAME:162": "bar", "https:NAME:460": "tls baz", "https:NAME:462": "tls qux",
		} {
			want[ofPod(id)] = body
		}
		for _, id := range []string{"NAME", "NAME:1080", "http:NAME:1080"} {
			want[ofPod(id)] = `<a href="` + ofPod(id) + `/rewriteme">test</a>`
		}
		want[ofPod("https:NAME:443")] = `<a href="` + ofPod("https:NAME:443") + `/tlsrewriteme">test</a>`
		eventually(t, 30*time.Second, func() error {
			_, err := s.client.CoreV1().RESTClient().Get().AbsPath(ofService("NAME:portname1") + "/").DoRaw(t.Context())
			return err
		})
		for range 20 {
			var all sync.WaitGroup
			for path, body := range want {
				all.Go(func() {
					got, err := s.client.CoreV1().RESTClient().Get().AbsPath(path + "/").DoRaw(t.Context())
					if err != nil || string(got) != body {
						t.Errorf("%s: %q, %v, want %q", path, got, err, body)
					}
				})
			}
			all.Wait()
		}
	})
	s.conforms(t, "[sig-network] Proxy version v1 A set of valid responses are returned for both pod and service ProxyWithPath", func(t *testing.T) {
		for _, path := range s.echo(t) {
			for _, method := range []string{"DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"} {
				s.echoes(t, method, path+"/some/path/with/"+method)
			}
		}
	})
	s.conforms(t, "[sig-network] Proxy version v1 A set of valid responses are returned for both pod and service Proxy", func(t *testing.T) {
		for _, path := range s.echo(t) {
			for _, method := range []string{"DELETE", "OPTIONS", "PATCH", "POST", "PUT"} {
				s.echoes(t, method, path+"?method="+method)
			}
			for _, method := range []string{"GET", "HEAD"} {
				if resp, _ := s.asks(t, method, path+"?method="+method); resp.StatusCode != http.StatusMovedPermanently || resp.Header.Get("Location") != path+"/?method="+method {
					t.Errorf("%s %s: %s to %s", method, path, resp.Status, resp.Header.Get("Location"))
				}
			}
		}
	})
}

// proxied is the path of the proxy of an object.
func (s *stage) proxied(resource, id string) string {
	return "/api/v1/namespaces/" + s.ns + "/" + resource + "/" + id + "/proxy"
}

// porter runs a pod that says on each of its ports something else.
func (s *stage) porter(t *testing.T) *corev1.Pod {
	t.Helper()
	authority, err := pki.OpenAuthority(t.TempDir(), clock.Real())
	if err != nil {
		t.Fatal(err)
	}
	pair, err := authority.Pair(pki.Leaf{Name: "porter", CommonName: "porter", Server: true, Hosts: []string{"porter"}})
	if err != nil {
		t.Fatal(err)
	}
	certificate, key, err := pair.PEM()
	if err != nil {
		t.Fatal(err)
	}
	config := &strings.Builder{}
	for _, p := range []struct {
		port       int
		kind, says string
	}{
		{80, "text/html", `<a href="/rewriteme">test</a>`}, {1080, "text/html", `<a href="/rewriteme">test</a>`}, {160, "text/plain", "foo"}, {162, "text/plain", "bar"},
		{443, "text/html", `<a href="/tlsrewriteme">test</a>`}, {460, "text/plain", "tls baz"}, {462, "text/plain", "tls qux"},
	} {
		secured := ""
		if p.port == 443 || p.port > 400 && p.port < 500 {
			secured = "ssl"
		}
		fmt.Fprintf(config, "server { listen %d %s; default_type %s; location / { return 200 '%s'; } }\n", p.port, secured, p.kind, p.says)
	}
	made := s.nginx(t, config.String(), map[string][]byte{"tls.crt": certificate, "tls.key": key}, func(p *corev1.Pod) {
		p.Spec.Containers[0].Ports = []corev1.ContainerPort{{ContainerPort: 80}, {Name: "dest1", ContainerPort: 160}, {Name: "dest2", ContainerPort: 162},
			{Name: "tlsdest1", ContainerPort: 460}, {Name: "tlsdest2", ContainerPort: 462}}
	})
	return s.await(t, made, "to be ready", isReady)
}

// echo runs a pod that names the method of each request, and a service of it. It returns
// the paths of their proxies.
func (s *stage) echo(t *testing.T) []string {
	t.Helper()
	pod := s.nginx(t, `server { listen 80; default_type application/json; location / { return 200 '{"Method": "$request_method", "Body": "foo"}'; } }`, nil, nil)
	service := s.service(t, pod.Labels, corev1.ServicePort{Port: 80, TargetPort: intstr.FromInt32(80), Protocol: corev1.ProtocolTCP})
	s.await(t, pod, "to be ready", isReady)
	paths := []string{s.proxied("pods", pod.Name), s.proxied("services", service)}
	eventually(t, 30*time.Second, func() error {
		_, err := s.client.CoreV1().RESTClient().Get().AbsPath(paths[1] + "/").DoRaw(t.Context())
		return err
	})
	return paths
}

// nginx creates a pod with servers.
func (s *stage) nginx(t *testing.T, servers string, files map[string][]byte, change func(*corev1.Pod)) *corev1.Pod {
	t.Helper()
	name := s.name("nginx")
	data := map[string][]byte{"nginx.conf": []byte("events {}\nhttp { ssl_certificate /conf/tls.crt; ssl_certificate_key /conf/tls.key;\n" + servers + "}\n")}
	if files == nil {
		data["nginx.conf"] = []byte("events {}\nhttp {\n" + servers + "}\n")
	}
	for file, content := range files {
		data[file] = content
	}
	if _, err := s.client.CoreV1().Secrets(s.ns).Create(t.Context(), &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: name}, Data: data}, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	pod := shell(name, "")
	pod.Labels = map[string]string{"serves": name}
	pod.Spec.Containers[0].Image, pod.Spec.Containers[0].Command = "nginx:alpine", []string{"nginx", "-c", "/conf/nginx.conf", "-g", "daemon off;"}
	pod.Spec.Containers[0].ReadinessProbe = everySecond(tcpProbe(80))
	mount(pod, "/conf", corev1.VolumeSource{Secret: &corev1.SecretVolumeSource{SecretName: name}})
	if change != nil {
		change(pod)
	}
	return s.create(t, pod)
}

// asks makes a request of the API as the administrator; redirects are not followed.
func (s *stage) asks(t *testing.T, method, path string) (*http.Response, string) {
	t.Helper()
	config := s.config(t)
	client, err := rest.HTTPClientFor(config)
	if err != nil {
		t.Fatal(err)
	}
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	req, err := http.NewRequestWithContext(t.Context(), method, config.Host+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, string(body)
}

func (s *stage) echoes(t *testing.T, method, path string) {
	t.Helper()
	resp, body := s.asks(t, method, path)
	var said struct{ Method, Body string }
	switch err := json.Unmarshal([]byte(body), &said); {
	case resp.StatusCode != http.StatusOK:
		t.Errorf("%s %s: %s %s", method, path, resp.Status, body)
	case method == http.MethodHead && body != "":
		t.Errorf("HEAD %s has the body %q", path, body)
	case method != http.MethodHead && (err != nil || said.Method != method || said.Body != "foo"):
		t.Errorf("%s %s: %s, %v", method, path, body, err)
	}
}
