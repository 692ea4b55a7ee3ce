package pod

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/remotecommand"
	"k8s.io/streaming/pkg/httpstream"
	"k8s.io/streaming/pkg/httpstream/spdy"

	"laterna.dev/laterna/internal/clock"
)

// kubelet is a fake kubelet on a TLS port of its own that asks for client
// certificates. It answers logs with log, and exec and attach by echoing stdin in
// upper case to stdout, the command to stderr, and the exit code that the command
// "exit N" asks for.
type kubelet struct {
	*httptest.Server
	log func(w http.ResponseWriter, r *http.Request)

	mu       sync.Mutex
	requests []*url.URL
	peers    []string
}

func newKubelet(t *testing.T, log func(w http.ResponseWriter, r *http.Request)) *kubelet {
	t.Helper()
	k := &kubelet{log: log}
	k.Server = httptest.NewUnstartedServer(http.HandlerFunc(k.serve))
	k.TLS = &tls.Config{ClientAuth: tls.RequireAnyClientCert}
	k.StartTLS()
	t.Cleanup(k.Close)
	return k
}

func (k *kubelet) serve(w http.ResponseWriter, r *http.Request) {
	k.mu.Lock()
	k.requests = append(k.requests, r.URL)
	k.peers = append(k.peers, r.TLS.PeerCertificates[0].Subject.CommonName)
	k.mu.Unlock()
	switch path := r.URL.Path; {
	case strings.HasPrefix(path, "/containerLogs/"):
		k.log(w, r)
	case strings.HasPrefix(path, "/exec/"), strings.HasPrefix(path, "/attach/"):
		serveStreams(w, r)
	default:
		http.NotFound(w, r)
	}
}

// last returns the latest request and who made it.
func (k *kubelet) last(t *testing.T) (*url.URL, string) {
	t.Helper()
	k.mu.Lock()
	defer k.mu.Unlock()
	if len(k.requests) == 0 {
		t.Fatal("the kubelet was not asked")
	}
	return k.requests[len(k.requests)-1], k.peers[len(k.peers)-1]
}

// kubelets returns the way to the fake as the node "node"; other nodes are unknown.
func (k *kubelet) kubelets(t *testing.T) Kubelets {
	t.Helper()
	host, port, err := net.SplitHostPort(k.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	number, err := strconv.Atoi(port)
	if err != nil {
		t.Fatal(err)
	}
	node := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "node"}}
	node.Status.Addresses = []corev1.NodeAddress{{Type: corev1.NodeHostName, Address: "not-this-one"}, {Type: corev1.NodeInternalIP, Address: host}}
	node.Status.DaemonEndpoints.KubeletEndpoint.Port = int32(number)
	roots := x509.NewCertPool()
	roots.AddCert(k.Certificate())
	return Kubelets{
		Wall: clock.Real(),
		Node: func(_ context.Context, name string) (*corev1.Node, error) {
			if name != node.Name {
				return nil, errors.NewNotFound(corev1.Resource("nodes"), name)
			}
			return node, nil
		},
		TLS: &tls.Config{RootCAs: roots, Certificates: []tls.Certificate{clientCertificate(t)}},
	}
}

func clientCertificate(t *testing.T) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "api-server"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// serveStreams speaks SPDY with protocol v4, as kubelets do.
func serveStreams(w http.ResponseWriter, r *http.Request) {
	if _, err := httpstream.Handshake(r, w, []string{remotecommand.StreamProtocolV4Name}); err != nil {
		return
	}
	query := r.URL.Query()
	want := 1
	for _, name := range []string{corev1.ExecStdinParam, corev1.ExecStdoutParam, corev1.ExecStderrParam} {
		if query.Get(name) == "1" {
			want++
		}
	}
	arrived := make(chan httpstream.Stream, 5)
	conn := spdy.NewResponseUpgrader().UpgradeResponse(w, r, func(s httpstream.Stream, _ <-chan struct{}) error {
		arrived <- s
		return nil
	})
	if conn == nil {
		return
	}
	defer conn.Close()
	streams := map[string]httpstream.Stream{}
	for range want {
		select {
		case s := <-arrived:
			streams[s.Headers().Get(corev1.StreamType)] = s
		case <-time.After(10 * time.Second):
			return
		}
	}
	command := strings.Join(query["command"], " ")
	if s := streams[corev1.StreamTypeStderr]; s != nil {
		fmt.Fprint(s, command)
	}
	if in, out := streams[corev1.StreamTypeStdin], streams[corev1.StreamTypeStdout]; in != nil && out != nil {
		text, _ := io.ReadAll(in)
		fmt.Fprint(out, strings.ToUpper(string(text)))
	}
	writeExit(streams[corev1.StreamTypeError], strings.TrimPrefix(command, "exit "))
}

func writeExit(w io.Writer, code string) {
	status := metav1.Status{Status: metav1.StatusSuccess}
	if n, err := strconv.Atoi(code); err == nil && n != 0 {
		status = metav1.Status{Status: metav1.StatusFailure, Reason: remotecommand.NonZeroExitCodeReason,
			Details: &metav1.StatusDetails{Causes: []metav1.StatusCause{{Type: remotecommand.ExitCodeCauseType, Message: code}}}}
	}
	text, _ := json.Marshal(status)
	_, _ = w.Write(text)
}

func TestLocate(t *testing.T) {
	node := func(port int32, addresses ...corev1.NodeAddress) *corev1.Node {
		n := &corev1.Node{}
		n.Status.Addresses, n.Status.DaemonEndpoints.KubeletEndpoint.Port = addresses, port
		return n
	}
	internal, external, host := corev1.NodeAddress{Type: "InternalIP", Address: "fd00::1"}, corev1.NodeAddress{Type: "ExternalIP", Address: "2.2.2.2"}, corev1.NodeAddress{Type: "Hostname", Address: "h"}
	for _, c := range []struct {
		name  string
		node  *corev1.Node
		order []corev1.NodeAddressType
		want  string
	}{
		{"internal first", node(1, host, external, internal), nil, "https://[fd00::1]:1/p?a=b"},
		{"external next", node(1, host, external), nil, "https://2.2.2.2:1/p?a=b"},
		{"host name last", node(1, host), nil, "https://h:1/p?a=b"},
		{"own order", node(1, host, internal), []corev1.NodeAddressType{"Hostname"}, "https://h:1/p?a=b"},
		{"no port published", node(0, internal), nil, "https://[fd00::1]:10250/p?a=b"},
	} {
		d, err := newDialer(Kubelets{TLS: &tls.Config{}, Addresses: c.order, Node: func(context.Context, string) (*corev1.Node, error) { return c.node, nil }})
		if err != nil {
			t.Fatal(err)
		}
		if got, err := d.locate(t.Context(), "n", "/p", url.Values{"a": {"b"}}); err != nil || got.String() != c.want {
			t.Errorf("%s: %v, %v, want %s", c.name, got, err, c.want)
		}
	}
	d, err := newDialer(Kubelets{TLS: &tls.Config{}, Node: func(context.Context, string) (*corev1.Node, error) { return node(1), nil }})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := d.locate(t.Context(), "n", "/p", nil); err == nil || err.Error() != "no preferred addresses found; known addresses: []" {
		t.Errorf("no address: %v", err)
	}
}

// TestKubeletHasLimitedTimeToAnswer lets a kubelet drip its header. A log that is silent
// from the beginning, or after its header, is none of its business.
func TestKubeletHasLimitedTimeToAnswer(t *testing.T) {
	drip := func(w http.ResponseWriter, first string) {
		c, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return
		}
		defer c.Close()
		fmt.Fprint(c, first)
		for i := 0; ; i++ {
			time.Sleep(20 * time.Millisecond)
			if _, err := fmt.Fprintf(c, "X-%d: y\r\n", i); err != nil {
				return
			}
		}
	}
	const wait = 300 * time.Millisecond
	answers := map[string]func(w http.ResponseWriter){
		"header":        func(w http.ResponseWriter) { drip(w, "HTTP/1.1 200 OK\r\n") },
		"informational": func(w http.ResponseWriter) { drip(w, "HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\n") },
		"error":         func(w http.ResponseWriter) { drip(w, "HTTP/1.1 500 Internal Server Error\r\n\r\n") },
		"silent first": func(w http.ResponseWriter) {
			time.Sleep(3 * wait)
			fmt.Fprint(w, "text")
		},
		"silent later": func(w http.ResponseWriter) {
			_ = http.NewResponseController(w).Flush()
			time.Sleep(3 * wait)
			fmt.Fprint(w, "text")
		},
	}
	for name, answer := range answers {
		t.Run(name, func(t *testing.T) {
			k := newKubelet(t, func(w http.ResponseWriter, _ *http.Request) { answer(w) })
			s := newServer(t, k.kubelets(t))
			s.create("a", oneContainer)
			if err := s.bind("a", "node"); err != nil {
				t.Fatal(err)
			}
			s.ByPath["pods/log"].(*logREST).dial.wait = wait
			began := time.Now()
			stream, _, err := s.readLog(s.ctx, "a", &corev1.PodLogOptions{})
			if strings.HasPrefix(name, "silent") {
				if err != nil {
					t.Fatal(err)
				}
				if text, err := io.ReadAll(stream); string(text) != "text" || err != nil {
					t.Errorf("%q, %v", text, err)
				}
				return
			}
			if took := time.Since(began); err == nil || took > 10*time.Second {
				t.Errorf("after %v: %v", took, err)
			}
		})
	}
	t.Run("upgrade", func(t *testing.T) {
		l, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{clientCertificate(t)}})
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		go func() {
			for {
				c, err := l.Accept()
				if err != nil {
					return
				}
				go func() {
					defer c.Close()
					fmt.Fprint(c, "HTTP/1.1 101 Switching Protocols\r\n")
					for {
						time.Sleep(20 * time.Millisecond)
						if _, err := fmt.Fprint(c, "X: y\r\n"); err != nil {
							return
						}
					}
				}()
			}
		}()
		d, err := newDialer(Kubelets{Wall: clock.Real(), TLS: &tls.Config{InsecureSkipVerify: true}, Node: func(context.Context, string) (*corev1.Node, error) { return nil, nil }})
		if err != nil {
			t.Fatal(err)
		}
		d.wait = wait
		began := time.Now()
		_, _, err = d.backend(&url.URL{Scheme: "https", Host: l.Addr().String(), Path: "/exec"}).Open(t.Context(), "POST", "SPDY/3.1", nil)
		if took := time.Since(began); err == nil || !strings.Contains(err.Error(), "did not come in time") || took > 10*time.Second {
			t.Errorf("after %v: %v", took, err)
		}
	})
}
