package pod

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apiserver/pkg/registry/rest"
	"k8s.io/streaming/pkg/httpstream/wsstream"
	"k8s.io/utils/ptr"
)

func TestParameters(t *testing.T) {
	codec := runtime.NewParameterCodec(newScheme(t))
	read := func(query string, into runtime.Object) error {
		values, err := url.ParseQuery(query)
		if err != nil {
			t.Fatal(err)
		}
		return codec.DecodeParameters(values, corev1.SchemeGroupVersion, into)
	}
	log := &corev1.PodLogOptions{}
	if err := read("container=c&follow=true&previous&sinceSeconds=5&sinceTime=2026-01-02T03:04:05Z&timestamps=1&tailLines=7&limitBytes=9&insecureSkipTLSVerifyBackend=true&stream=Stdout&other=x", log); err != nil {
		t.Fatal(err)
	}
	since := metav1.NewTime(time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC))
	if log.Container != "c" || !log.Follow || !log.Previous || *log.SinceSeconds != 5 || !log.SinceTime.Equal(&since) || !log.Timestamps ||
		*log.TailLines != 7 || *log.LimitBytes != 9 || !log.InsecureSkipTLSVerifyBackend || *log.Stream != "Stdout" {
		t.Errorf("log options %+v", log)
	}
	exec := &corev1.PodExecOptions{}
	if err := read("command=sh&command=-c&command=a%20b&stdin=true&stdout=true&stderr=false&tty=1&container=c", exec); err != nil {
		t.Fatal(err)
	}
	if strings.Join(exec.Command, "|") != "sh|-c|a b" || !exec.Stdin || !exec.Stdout || exec.Stderr || !exec.TTY || exec.Container != "c" {
		t.Errorf("exec options %+v", exec)
	}
	attach := &corev1.PodAttachOptions{}
	if err := read("stdout=true", attach); err != nil || !attach.Stdout || attach.Stdin {
		t.Errorf("attach options %+v, %v", attach, err)
	}
	for _, query := range []string{"tailLines=x", "sinceSeconds=", "sinceTime=yesterday", "limitBytes=99999999999999999999"} {
		if err := read(query, &corev1.PodLogOptions{}); err == nil {
			t.Errorf("%s is accepted", query)
		}
	}
}

func TestValidateLogOptions(t *testing.T) {
	now := metav1.Now()
	n := ptr.To[int64]
	for _, c := range []struct {
		o    corev1.PodLogOptions
		want []string
	}{
		{corev1.PodLogOptions{}, nil},
		{corev1.PodLogOptions{TailLines: n(0), LimitBytes: n(1), SinceSeconds: n(1)}, nil},
		{corev1.PodLogOptions{TailLines: n(-1), LimitBytes: n(0), SinceSeconds: n(0)}, []string{
			"tailLines: Invalid value: -1: must be greater than or equal to 0",
			"limitBytes: Invalid value: 0: must be greater than 0",
			"sinceSeconds: Invalid value: 0: must be greater than 0"}},
		{corev1.PodLogOptions{SinceSeconds: n(1), SinceTime: &now}, []string{"[]: Forbidden: at most one of `sinceTime` or `sinceSeconds` may be specified"}},
		{corev1.PodLogOptions{Stream: ptr.To("All"), TailLines: n(1)}, nil},
		{corev1.PodLogOptions{Stream: ptr.To("Stderr"), TailLines: n(1)}, []string{"[]: Forbidden: `tailLines` and specific `stream` are mutually exclusive for now"}},
		{corev1.PodLogOptions{Stream: ptr.To("x")}, []string{`stream: Unsupported value: "x": supported values: "All", "Stderr", "Stdout"`}},
	} {
		var got []string
		for _, err := range validateLogOptions(&c.o) {
			got = append(got, err.Error())
		}
		if strings.Join(got, "\n") != strings.Join(c.want, "\n") {
			t.Errorf("%+v: got %q, want %q", c.o, got, c.want)
		}
	}
}

func TestLogQuery(t *testing.T) {
	since := metav1.NewTime(time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC))
	for want, o := range map[string]corev1.PodLogOptions{
		"": {},
		"follow=true&limitBytes=1&previous=true&sinceSeconds=2&tailLines=3&timestamps=true": {Follow: true, Previous: true, Timestamps: true,
			LimitBytes: ptr.To[int64](1), SinceSeconds: ptr.To[int64](2), TailLines: ptr.To[int64](3)},
		"sinceTime=2026-01-02T03%3A04%3A05Z&stream=Stderr": {SinceTime: &since, Stream: ptr.To("Stderr")},
	} {
		if got := logQuery(&o).Encode(); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

// readLog reads a pod's log as the API server would.
func (s *server) readLog(ctx context.Context, name string, o *corev1.PodLogOptions) (io.ReadCloser, bool, error) {
	obj, err := s.ByPath["pods/log"].(rest.GetterWithOptions).Get(ctx, name, o)
	if err != nil {
		return nil, false, err
	}
	stream, flush, _, err := obj.(rest.ResourceStreamer).InputStream(ctx, "", "")
	return stream, flush, err
}

func TestLog(t *testing.T) {
	k := newKubelet(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Has("previous") {
			http.Error(w, `previous terminated container "main" in pod "a" not found`, http.StatusBadRequest)
			return
		}
		fmt.Fprint(w, "one\ntwo\n")
	})
	s := newServer(t, k.kubelets(t))
	s.create("a", oneContainer)

	stream, _, err := s.readLog(s.ctx, "a", &corev1.PodLogOptions{})
	if stream != nil || err != nil {
		t.Errorf("log of a pod without a node: %v, %v", stream, err)
	}
	if err := s.bind("a", "node"); err != nil {
		t.Fatal(err)
	}
	stream, flush, err := s.readLog(s.ctx, "a", &corev1.PodLogOptions{TailLines: ptr.To[int64](2)})
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(stream)
	if err != nil || string(text) != "one\ntwo\n" || flush {
		t.Errorf("log %q, flush %v, %v", text, flush, err)
	}
	if asked, peer := k.last(t); asked.String() != "/containerLogs/ns/a/main?tailLines=2" || peer != "api-server" {
		t.Errorf("%s asked for %s", peer, asked)
	}

	_, _, err = s.readLog(s.ctx, "a", &corev1.PodLogOptions{Previous: true})
	wantError(t, err, errors.IsBadRequest, `previous terminated container "main" in pod "a" not found`)
	_, _, err = s.readLog(s.ctx, "a", &corev1.PodLogOptions{TailLines: ptr.To[int64](-1)})
	wantError(t, err, errors.IsInvalid, `PodLogOptions "a" is invalid: tailLines: Invalid value: -1`)
	_, _, err = s.readLog(s.ctx, "a", &corev1.PodLogOptions{Container: "x"})
	wantError(t, err, errors.IsBadRequest, "container x is not valid for pod a")
	_, _, err = s.readLog(s.ctx, "none", &corev1.PodLogOptions{})
	wantError(t, err, errors.IsNotFound, `pods "none" not found`)

	s.create("two", "containers: [{name: x, image: i}, {name: z, image: i}]\ninitContainers: [{name: i, image: i}]")
	_, _, err = s.readLog(s.ctx, "two", &corev1.PodLogOptions{})
	wantError(t, err, errors.IsBadRequest, "a container name must be specified for pod two, choose one of: [i x z]")

	s.create("lost", oneContainer)
	if err := s.bind("lost", "gone"); err != nil {
		t.Fatal(err)
	}
	_, _, err = s.readLog(s.ctx, "lost", &corev1.PodLogOptions{})
	wantError(t, err, errors.IsNotFound, `nodes "gone" not found`)
}

func TestFollowedLogEndsWithTheRequest(t *testing.T) {
	ended := make(chan struct{})
	k := newKubelet(t, func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintln(w, "first")
		w.(http.Flusher).Flush()
		<-r.Context().Done()
		close(ended)
	})
	s := newServer(t, k.kubelets(t))
	s.create("a", oneContainer)
	if err := s.bind("a", "node"); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(s.ctx)
	defer cancel()
	stream, flush, err := s.readLog(ctx, "a", &corev1.PodLogOptions{Follow: true})
	if err != nil || !flush {
		t.Fatalf("flush %v, %v", flush, err)
	}
	line := make([]byte, 6)
	if _, err := io.ReadFull(stream, line); err != nil || string(line) != "first\n" {
		t.Fatalf("%q, %v", line, err)
	}
	cancel()
	select {
	case <-ended:
	case <-time.After(10 * time.Second):
		t.Error("the kubelet's request goes on after the client's has ended")
	}
}

func TestKubeletsAreVerified(t *testing.T) {
	k := newKubelet(t, func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "text") })
	ways := k.kubelets(t)
	ways.TLS = &tls.Config{RootCAs: x509.NewCertPool(), Certificates: ways.TLS.Certificates}
	s := newServer(t, ways)
	s.create("a", oneContainer)
	if err := s.bind("a", "node"); err != nil {
		t.Fatal(err)
	}
	if _, _, err := s.readLog(s.ctx, "a", &corev1.PodLogOptions{}); err == nil || !strings.Contains(err.Error(), "x509:") {
		t.Errorf("a kubelet with a foreign certificate: %v", err)
	}
	stream, _, err := s.readLog(s.ctx, "a", &corev1.PodLogOptions{InsecureSkipTLSVerifyBackend: true})
	if err != nil {
		t.Fatal(err)
	}
	defer stream.Close()
}

func TestRedirectsAreRefused(t *testing.T) {
	k := newKubelet(t, func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/elsewhere", http.StatusFound) })
	s := newServer(t, k.kubelets(t))
	s.create("a", oneContainer)
	if err := s.bind("a", "node"); err != nil {
		t.Fatal(err)
	}
	if _, _, err := s.readLog(s.ctx, "a", &corev1.PodLogOptions{}); err == nil || !strings.Contains(err.Error(), "redirects forbidden") {
		t.Errorf("redirect: %v", err)
	}
}

func TestLogOverWebSocketIsWhole(t *testing.T) {
	k := newKubelet(t, func(w http.ResponseWriter, _ *http.Request) {
		text := "one\ntwo\n"
		w.Header().Set("Content-Length", fmt.Sprint(len(text))) // its end comes with its last bytes
		fmt.Fprint(w, text)
	})
	s := newServer(t, k.kubelets(t))
	s.create("a", oneContainer)
	if err := s.bind("a", "node"); err != nil {
		t.Fatal(err)
	}
	stream, _, err := s.readLog(s.ctx, "a", &corev1.PodLogOptions{})
	if err != nil {
		t.Fatal(err)
	}
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer stream.Close()
		_ = wsstream.NewReader(stream, true, wsstream.NewDefaultReaderProtocols()).Copy(w, r)
	}))
	defer front.Close()
	dialer := websocket.Dialer{Subprotocols: []string{"binary.k8s.io"}}
	ws, _, err := dialer.Dial("ws"+strings.TrimPrefix(front.URL, "http"), http.Header{"Origin": {front.URL}})
	if err != nil {
		t.Fatal(err)
	}
	defer ws.Close()
	var text []byte
	for err == nil {
		var frame []byte
		_, frame, err = ws.ReadMessage()
		text = append(text, frame...)
	}
	if string(text) != "one\ntwo\n" {
		t.Errorf("got %q, %v", text, err)
	}
}
