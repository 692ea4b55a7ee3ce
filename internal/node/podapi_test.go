package node

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/remotecommand"
	"k8s.io/client-go/util/exec"
)

func selfSigned(t testing.TB) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "n1"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// get asks the agent's own API.
func (w *world) get(token, path string) (int, string) {
	w.t.Helper()
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, DisableKeepAlives: true}}
	req, err := http.NewRequest(http.MethodGet, "https://"+w.addr+path, nil)
	if err != nil {
		w.t.Fatal(err)
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	resp, err := client.Do(req)
	if err != nil {
		w.t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	return resp.StatusCode, string(body)
}

// exec runs a command over SPDY as the API server does.
func (w *world) exec(pod, container, stdin string, tty bool, command ...string) (stdout, stderr string, code int) {
	w.t.Helper()
	q := url.Values{"command": command, "output": {"1"}, "error": {"1"}}
	if stdin != "" {
		q.Set("input", "1")
	}
	if tty {
		q.Set("tty", "1")
		q.Del("error")
	}
	u := &url.URL{Scheme: "https", Host: w.addr, Path: fmt.Sprintf("/exec/default/%s/%s", pod, container), RawQuery: q.Encode()}
	cfg := &rest.Config{BearerToken: "admin", TLSClientConfig: rest.TLSClientConfig{Insecure: true}}
	executor, err := remotecommand.NewSPDYExecutor(cfg, http.MethodPost, u)
	if err != nil {
		w.t.Fatal(err)
	}
	var out, errs bytes.Buffer
	options := remotecommand.StreamOptions{Stdout: &out, Tty: tty}
	if !tty {
		options.Stderr = &errs
	}
	if stdin != "" {
		options.Stdin = strings.NewReader(stdin)
	}
	if tty {
		options.TerminalSizeQueue = &sizes{}
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := executor.StreamWithContext(ctx, options); err != nil {
		coded, ok := err.(exec.CodeExitError)
		if !ok {
			w.t.Fatalf("exec %q: %v", command, err)
		}
		code = coded.Code
	}
	return out.String(), errs.String(), code
}

// sizes says once how large the terminal is.
type sizes struct{ told bool }

func (s *sizes) Next() *remotecommand.TerminalSize {
	if s.told {
		return nil
	}
	s.told = true
	return &remotecommand.TerminalSize{Width: 71, Height: 37}
}

func TestPodAPI(t *testing.T) {
	w := newWorld(t)
	w.create("p", nil, `echo out; echo err >&2; sleep 1000`)
	w.waitFor("p", "runs", running)

	stdout, stderr, code := w.exec("p", "c0", "", false, "sh", "-c", "echo hello; echo bad >&2; exit 7")
	if stdout != "hello\n" || stderr != "bad\n" || code != 7 {
		t.Errorf("exec: %q, %q, code %d", stdout, stderr, code)
	}
	if stdout, _, _ := w.exec("p", "c0", "ping\n", false, "busybox", "cat"); stdout != "ping\n" {
		t.Errorf("exec with input: %q", stdout)
	}
	w.eventually("the terminal has its size", func() error {
		if stdout, _, _ := w.exec("p", "c0", "", true, "sh", "-c", "busybox sleep 0.2; busybox stty size"); !strings.Contains(stdout, "37 71") {
			return fmt.Errorf("size %q", stdout)
		}
		return nil
	})

	for _, tt := range []struct {
		token, path string
		code        int
		body        string
	}{
		{"", "/healthz", 401, "Unauthorized\n"},
		{"wrong", "/healthz", 401, "Unauthorized\n"},
		{"other", "/containerLogs/default/p/c0", 403, "Forbidden (user=other, verb=get, resource=nodes, subresource(s)=[proxy])\n"},
		{"admin", "/healthz", 200, "ok"},
		{"admin", "/containerLogs/default/p/c0?stream=Stdout", 200, "out\n"},
		{"admin", "/containerLogs/default/p/c0?stream=Stderr", 200, "err\n"},
		{"admin", "/containerLogs/default/p/c0?tailLines=0", 200, ""},
		{"admin", "/containerLogs/default/p/c0?tailLines=x", 422, "invalid value of parameter tailLines\n"},
		{"admin", "/containerLogs/default/p/c0?limitBytes=2&stream=Stdout", 200, "ou"},
		{"admin", "/containerLogs/default/p/c9", 404, "container \"c9\" not found in pod \"p\"\n"},
		{"admin", "/containerLogs/default/q/c0", 404, "pod \"q\" does not exist\n"},
		{"admin", "/containerLogs/default/p/c0?previous=true", 400, "previous terminated container \"c0\" in pod \"p\" not found\n"},
		{"admin", "/exec/default/p/c0?command=true&output=1", 400, ""},
		{"admin", "/nothing", 404, "404 page not found\n"},
	} {
		code, body := w.get(tt.token, tt.path)
		if code != tt.code || (tt.body != "" && body != tt.body) {
			t.Errorf("GET %s as %q: %d %q, want %d %q", tt.path, tt.token, code, body, tt.code, tt.body)
		}
	}
	if code, body := w.get("admin", "/pods"); code != 200 || !strings.Contains(body, `"name":"p"`) {
		t.Errorf("pods: %d %s", code, body)
	}
}

func TestAttach(t *testing.T) {
	w := newWorld(t)
	w.create("p", func(p *corev1.Pod) { p.Spec.Containers[0].Stdin = true }, `while read line; do echo "got $line"; done; sleep 1000`)
	w.waitFor("p", "runs", running)
	q := url.Values{"input": {"1"}, "output": {"1"}}
	u := &url.URL{Scheme: "https", Host: w.addr, Path: "/attach/default/p/c0", RawQuery: q.Encode()}
	executor, err := remotecommand.NewSPDYExecutor(&rest.Config{BearerToken: "admin", TLSClientConfig: rest.TLSClientConfig{Insecure: true}}, http.MethodPost, u)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	in, typed := io.Pipe()
	read, out := io.Pipe()
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = executor.StreamWithContext(ctx, remotecommand.StreamOptions{Stdin: in, Stdout: out})
	}()
	if _, err := typed.Write([]byte("hello\n")); err != nil {
		t.Fatal(err)
	}
	answer := make([]byte, len("got hello\n"))
	if _, err := io.ReadFull(read, answer); err != nil || string(answer) != "got hello\n" {
		t.Errorf("attached: %q, %v", answer, err)
	}
	cancel()
	out.Close()
	typed.Close()
	<-done
}
