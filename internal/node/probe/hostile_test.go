package probe

import (
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/health"
	"google.golang.org/grpc/health/grpc_health_v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"laterna.dev/laterna/internal/clock"
)

// listening is a server of raw connections.
func listening(t *testing.T, serve func(c *net.TCPConn)) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				serve(c.(*net.TCPConn))
			}()
		}
	}()
	return l.Addr().(*net.TCPAddr).Port
}

// refused is a port that nobody listens on.
func refused(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

// forever writes until nobody reads.
func forever(w io.Writer, text string) {
	for {
		if _, err := io.WriteString(w, text); err != nil {
			return
		}
	}
}

func portOf(t *testing.T, server string) int {
	t.Helper()
	u, err := url.Parse(server)
	if err != nil {
		t.Fatal(err)
	}
	port, err := strconv.Atoi(u.Port())
	if err != nil {
		t.Fatal(err)
	}
	return port
}

// run carries out one probe of a container at 127.0.0.1.
func run(t *testing.T, p *corev1.Probe) (r Run, took time.Duration) {
	t.Helper()
	a := newAsker(Config{Version: "1.37", Wall: clock.Real()})
	began := time.Now()
	r = a.run(t.Context(), Container{Host: "127.0.0.1", Spec: &corev1.Container{
		Name: "c", Ports: []corev1.ContainerPort{{Name: "web", ContainerPort: 80}},
	}}, Liveness, p)
	return r, time.Since(began)
}

func get(port int, path string) *corev1.Probe {
	p := &corev1.Probe{TimeoutSeconds: 1}
	p.HTTPGet = &corev1.HTTPGetAction{Path: path, Port: intstr.FromInt(port), Scheme: corev1.URISchemeHTTP}
	return p
}

func https(p *corev1.Probe) *corev1.Probe {
	p.HTTPGet.Scheme = corev1.URISchemeHTTPS
	return p
}

func dial(port int) *corev1.Probe {
	p := &corev1.Probe{TimeoutSeconds: 1}
	p.TCPSocket = &corev1.TCPSocketAction{Port: intstr.FromInt(port)}
	return p
}

func check(port int, service string, mode corev1.GRPCProbeMode) *corev1.Probe {
	p := &corev1.Probe{TimeoutSeconds: 1}
	p.GRPC = &corev1.GRPCAction{Port: int32(port), Service: &service, Mode: &mode}
	return p
}

// servers is what answers as servers do.
func servers(t *testing.T) (plain, secure, h2c int) {
	t.Helper()
	mux := http.NewServeMux()
	mux.HandleFunc("/code/{n}", func(w http.ResponseWriter, r *http.Request) {
		n, _ := strconv.Atoi(r.PathValue("n"))
		w.WriteHeader(n)
		fmt.Fprint(w, "body")
	})
	mux.HandleFunc("/near", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/code/200", http.StatusFound) })
	mux.HandleFunc("/near/bad", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/code/503", http.StatusFound) })
	mux.HandleFunc("/circle", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/circle", http.StatusFound) })
	mux.HandleFunc("/away", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Location", "http://169.254.169.254/latest/meta-data")
		w.WriteHeader(http.StatusFound)
		fmt.Fprint(w, "elsewhere")
	})
	mux.HandleFunc("/echo", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Location", "http://other.example/")
		w.WriteHeader(http.StatusFound)
		fmt.Fprintf(w, "%s host=%s agent=%v accept=%v x=%v encoding=%v proto=%s query=%s", r.Method, r.Host, r.Header["User-Agent"],
			r.Header["Accept"], r.Header["X"], r.Header["Accept-Encoding"], r.Proto, r.URL.RawQuery)
	})
	mux.HandleFunc("/large", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, strings.Repeat("x", 1<<20)) })
	mux.HandleFunc("/endless", func(w http.ResponseWriter, _ *http.Request) { forever(w, "xxxxxxxxxxxxxxxx") })
	a, b := httptest.NewServer(mux), httptest.NewUnstartedServer(mux)
	b.EnableHTTP2 = true
	b.StartTLS()
	c := httptest.NewUnstartedServer(mux)
	c.Config.Protocols = &http.Protocols{}
	c.Config.Protocols.SetUnencryptedHTTP2(true)
	c.Start()
	for _, s := range []*httptest.Server{a, b, c} {
		t.Cleanup(s.Close)
	}
	return portOf(t, a.URL), portOf(t, b.URL), portOf(t, c.URL)
}

func TestHTTP(t *testing.T) {
	plain, secure, h2c := servers(t)
	headers := func(p *corev1.Probe, h ...corev1.HTTPHeader) *corev1.Probe {
		p.HTTPGet.HTTPHeaders = h
		return p
	}
	overHTTP2 := func(p *corev1.Probe) *corev1.Probe {
		p.HTTPGet.Protocol = new(corev1.HTTPProtocolHTTP2)
		return p
	}
	at := fmt.Sprintf("127.0.0.1:%d", plain)
	none := refused(t)
	for name, tc := range map[string]struct {
		probe  *corev1.Probe
		result Result
		output string
	}{
		"200":            {get(plain, "/code/200"), Success, ""},
		"no slash":       {get(plain, "code/200"), Success, ""},
		"204":            {get(plain, "/code/204"), Success, ""},
		"399":            {get(plain, "/code/399"), Warning, "Probe terminated redirects, Response body: body"},
		"400":            {get(plain, "/code/400"), Failed, "HTTP probe failed with statuscode: 400"},
		"503":            {get(plain, "/code/503"), Failed, "HTTP probe failed with statuscode: 503"},
		"near":           {get(plain, "/near"), Success, ""},
		"near bad":       {get(plain, "/near/bad"), Failed, "HTTP probe failed with statuscode: 503"},
		"circle":         {get(plain, "/circle"), Failed, `Get "/circle": stopped after 10 redirects`},
		"away":           {get(plain, "/away"), Warning, "Probe terminated redirects, Response body: elsewhere"},
		"request":        {get(plain, "/echo?a=b"), Warning, "Probe terminated redirects, Response body: GET host=" + at + " agent=[kube-probe/1.37] accept=[*/*] x=[] encoding=[] proto=HTTP/1.1 query=a=b"},
		"headers":        {headers(get(plain, "/echo"), corev1.HTTPHeader{Name: "Host", Value: "a.example"}, corev1.HTTPHeader{Name: "x", Value: "1"}, corev1.HTTPHeader{Name: "X", Value: "2"}, corev1.HTTPHeader{Name: "user-agent", Value: "me"}, corev1.HTTPHeader{Name: "Accept", Value: "text/html"}), Warning, "Probe terminated redirects, Response body: GET host=a.example agent=[me] accept=[text/html] x=[1 2] encoding=[] proto=HTTP/1.1 query="},
		"no headers":     {headers(get(plain, "/echo"), corev1.HTTPHeader{Name: "User-Agent"}, corev1.HTTPHeader{Name: "Accept"}), Warning, "Probe terminated redirects, Response body: GET host=" + at + " agent=[] accept=[] x=[] encoding=[] proto=HTTP/1.1 query="},
		"TLS":            {https(get(secure, "/code/200")), Success, ""},
		"TLS by plain":   {https(get(plain, "/code/200")), Failed, fmt.Sprintf(`Get "https://%s/code/200": http: server gave HTTP response to HTTPS client`, at)},
		"plain by TLS":   {get(secure, "/code/200"), Failed, "HTTP probe failed with statuscode: 400"},
		"HTTP/2":         {overHTTP2(get(h2c, "/code/200")), Success, ""},
		"HTTP/2 refused": {overHTTP2(get(h2c, "/code/500")), Failed, "HTTP probe failed with statuscode: 500"},
		"refused":        {get(none, "/"), Failed, fmt.Sprintf(`Get "http://127.0.0.1:%d/": dial tcp 127.0.0.1:%d: connect: connection refused`, none, none)},
	} {
		got, _ := run(t, tc.probe)
		if got.Result != tc.result || got.Output != tc.output || got.Kind != Liveness {
			t.Errorf("%s: %d %q, want %d %q", name, got.Result, got.Output, tc.result, tc.output)
		}
	}
	p := get(0, "/")
	p.HTTPGet.Port = intstr.FromString("admin")
	if got, _ := run(t, p); got.Result != Unknown || got.Output != `container c has no port "admin"` {
		t.Errorf("a port that the container does not name: %+v", got)
	}
}

// TestHostileServers wants every answer, however bad, over in the probe's time, with
// bounded memory and the words that people look for.
func TestHostileServers(t *testing.T) {
	plain, _, _ := servers(t)
	read := func(c *net.TCPConn) { _, _ = c.Read(make([]byte, 4096)) }
	raw := func(text string) int {
		return listening(t, func(c *net.TCPConn) {
			read(c)
			_, _ = io.WriteString(c, text)
		})
	}
	silent := listening(t, func(c *net.TCPConn) { _, _ = io.Copy(io.Discard, c) })
	reset := listening(t, func(c *net.TCPConn) {
		read(c)
		_ = c.SetLinger(0)
	})
	for name, tc := range map[string]struct {
		probe  *corev1.Probe
		result Result
		output string // a part
	}{
		"large body":     {get(plain, "/large"), Success, ""},
		"endless body":   {get(plain, "/endless"), Success, ""},
		"no answer":      {get(silent, "/"), Failed, "context deadline exceeded (Client.Timeout exceeded while awaiting headers)"},
		"no TLS answer":  {https(get(silent, "/")), Failed, "context deadline exceeded"},
		"reset":          {get(reset, "/"), Failed, "connection reset by peer"},
		"reset of TLS":   {https(get(reset, "/")), Failed, "connection reset by peer"},
		"closed":         {get(raw(""), "/"), Failed, "EOF"},
		"garbage":        {get(raw("\x00\xff\x16garbage\r\n\r\n"), "/"), Failed, "malformed HTTP"},
		"garbage of TLS": {https(get(raw("\x16\x03\x01\xff\xffgarbage"), "/")), Failed, "Get \"https://"},
		"endless header": {get(listening(t, func(c *net.TCPConn) {
			_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\n")
			forever(c, "X-A: bbbbbbbbbbbbbbbbbbbbb\r\n")
		}), "/"), Failed, "server response headers exceeded 65536 bytes"},
		"endless line":     {get(listening(t, func(c *net.TCPConn) { forever(c, "HTTP/1.1 200 OKKKKKKKKKKKKKKKKKKKK") }), "/"), Failed, "server response headers exceeded 65536 bytes"},
		"endless 100":      {get(listening(t, func(c *net.TCPConn) { read(c); forever(c, "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n") }), "/"), Failed, "Get \"http://"},
		"slow header":      {get(listening(t, func(c *net.TCPConn) { read(c); slowly(c, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n") }), "/"), Failed, "Client.Timeout"},
		"length that lies": {get(raw("HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\nshort"), "/"), Unknown, "unexpected EOF"},
		"slow body": {get(listening(t, func(c *net.TCPConn) {
			read(c)
			_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\n\r\n")
			slowly(c, strings.Repeat("x", 99))
		}), "/"), Unknown, "Client.Timeout or context cancellation while reading body"},
		"huge chunk":       {get(raw("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n"), "/"), Unknown, "chunk"},
		"binary redirect":  {get(raw("HTTP/1.1 302 Found\r\nLocation: http://other/\r\nContent-Length: 2\r\n\r\n\xff\xfe"), "/"), Warning, "Response body: \uFFFD"},
		"redirect to file": {get(raw("HTTP/1.1 302 Found\r\nLocation: file:///etc/passwd\r\nContent-Length: 0\r\n\r\n"), "/"), Warning, "Probe terminated redirects"},
		"TCP":              {dial(silent), Success, ""},
		"TCP refused":      {dial(refused(t)), Failed, "connect: connection refused"},
		"gRPC no answer":   {check(silent, "", ""), Failed, fmt.Sprintf(`timeout: failed to connect service "127.0.0.1:%d" within 1s: context deadline exceeded`, silent)},
		"gRPC by HTTP":     {check(plain, "", ""), Failed, "timeout: failed to connect service"},
		"gRPC garbage":     {check(listening(t, func(c *net.TCPConn) { forever(c, "\xff\xff\xff\x04\x00garbage") }), "", ""), Failed, "timeout: failed to connect service"},
		"gRPC refused":     {check(refused(t), "", ""), Failed, "timeout: failed to connect service"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			got, took := run(t, tc.probe)
			runtime.ReadMemStats(&after)
			if got.Result != tc.result || !strings.Contains(got.Output, tc.output) {
				t.Errorf("%d %q, want %d %q", got.Result, got.Output, tc.result, tc.output)
			}
			if len(got.Output) > maxOutput+2 {
				t.Errorf("%d bytes of output", len(got.Output))
			}
			if most := tries*time.Second + 500*time.Millisecond; took > most {
				t.Errorf("took %s", took)
			}
			if grown := int64(after.HeapAlloc) - int64(before.HeapAlloc); grown > 64<<20 {
				t.Errorf("the heap has grown by %d bytes", grown)
			}
		})
	}
}

// slowly writes a byte at a time.
func slowly(w io.Writer, text string) {
	for i := range len(text) {
		if _, err := io.WriteString(w, text[i:i+1]); err != nil {
			return
		}
		time.Sleep(100 * time.Millisecond)
	}
}

func TestGRPCHealth(t *testing.T) {
	certificate := httptest.NewUnstartedServer(nil)
	certificate.StartTLS()
	defer certificate.Close()
	serve := func(options ...grpc.ServerOption) (int, *grpc.Server) {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		s := grpc.NewServer(options...)
		t.Cleanup(s.Stop)
		return l.Addr().(*net.TCPAddr).Port, func() *grpc.Server { go func() { _ = s.Serve(l) }(); return s }()
	}
	healthy := health.NewServer()
	healthy.SetServingStatus("down", grpc_health_v1.HealthCheckResponse_NOT_SERVING)
	l1, _ := net.Listen("tcp", "127.0.0.1:0")
	s1 := grpc.NewServer()
	grpc_health_v1.RegisterHealthServer(s1, healthy)
	go func() { _ = s1.Serve(l1) }()
	t.Cleanup(s1.Stop)
	port := l1.Addr().(*net.TCPAddr).Port
	l2, _ := net.Listen("tcp", "127.0.0.1:0")
	s2 := grpc.NewServer(grpc.Creds(credentials.NewTLS(&tls.Config{Certificates: certificate.TLS.Certificates})))
	grpc_health_v1.RegisterHealthServer(s2, healthy)
	go func() { _ = s2.Serve(l2) }()
	t.Cleanup(s2.Stop)
	secure := l2.Addr().(*net.TCPAddr).Port
	without, _ := serve()
	for name, tc := range map[string]struct {
		probe  *corev1.Probe
		result Result
		output string
	}{
		"serving":   {check(port, "", corev1.GRPCProbeModePlaintext), Success, ""},
		"TLS":       {check(secure, "", corev1.GRPCProbeModeTLS), Success, ""},
		"down":      {check(port, "down", ""), Failed, `service unhealthy (responded with "NOT_SERVING")`},
		"unknown":   {check(port, "x", ""), Failed, "error: health rpc probe failed: rpc error: code = NotFound desc = unknown service"},
		"no health": {check(without, "", ""), Failed, "error: this server does not implement the grpc health protocol (grpc.health.v1.Health): unknown service grpc.health.v1.Health"},
	} {
		if got, _ := run(t, tc.probe); got.Result != tc.result || got.Output != tc.output {
			t.Errorf("%s: %d %q, want %d %q", name, got.Result, got.Output, tc.result, tc.output)
		}
	}
}

func TestCommandsGetPlainVariablesOnly(t *testing.T) {
	c := &corev1.Container{Env: []corev1.EnvVar{
		{Name: "A", Value: "1"}, {Name: "S", ValueFrom: &corev1.EnvVarSource{SecretKeyRef: &corev1.SecretKeySelector{Key: "k"}}},
	}}
	got, err := Command([]string{"x", "$(A)$(S)$$(A)$(B)"}, c)
	if err != nil || len(got) != 2 || got[1] != "1$(S)$(A)$(B)" {
		t.Errorf("%q, %v", got, err)
	}
	if _, err := Command([]string{strings.Repeat("x", maxArgument+1)}, c); err == nil {
		t.Error("an argument that is too long is passed on")
	}
}
