package hook

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"laterna.dev/laterna/internal/clock"
	"laterna.dev/laterna/internal/runtime/cri"
)

type exec func(ctx context.Context, id string, command []string, timeout time.Duration) (cri.ExecResult, error)

func (e exec) ExecSync(ctx context.Context, id string, command []string, timeout time.Duration) (cri.ExecResult, error) {
	return e(ctx, id, command, timeout)
}

func runner(e exec) *Runner { return New(Config{Exec: e, Version: "1.37", Wall: clock.Real()}) }

var target = Container{
	Pod:  &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "p", Namespace: "n", UID: "u"}},
	Spec: &corev1.Container{Name: "c", Env: []corev1.EnvVar{{Name: "A", Value: "1"}}}, ID: "id", Host: "127.0.0.1",
}

func command(words ...string) *corev1.LifecycleHandler {
	return &corev1.LifecycleHandler{Exec: &corev1.ExecAction{Command: words}}
}

func TestCommands(t *testing.T) {
	var got []string
	r := runner(func(_ context.Context, id string, command []string, timeout time.Duration) (cri.ExecResult, error) {
		got = command
		if id != "id" || timeout < 24*time.Hour {
			t.Errorf("run in %s for %s", id, timeout)
		}
		switch command[0] {
		case "fails":
			return cri.ExecResult{ExitCode: 3, Stdout: []byte("out\xff"), Stderr: []byte("err")}, nil
		case "missing":
			return cri.ExecResult{}, &cri.Error{Op: "running", Message: "no such file"}
		}
		return cri.ExecResult{}, nil
	})
	const failed = `Exec lifecycle hook (%s) for Container "c" in Pod "p_n(u)" failed - error: %s`
	for _, tc := range []struct {
		command []string
		want    string
	}{
		{[]string{"a", "$(A)"}, ""},
		{[]string{"fails", "b"}, fmt.Sprintf(failed, "[fails b]", "command 'fails b' exited with 3: out\uFFFDerr, message: \"out\uFFFDerr\"")},
		{[]string{"missing"}, fmt.Sprintf(failed, "[missing]", `no such file, message: ""`)},
	} {
		_, err := r.Run(t.Context(), target, command(tc.command...))
		if text := fmt.Sprint(err); tc.want == "" && err != nil || tc.want != "" && text != tc.want {
			t.Errorf("%q: %v, want %s", tc.command, err, tc.want)
		}
		if !reflect.DeepEqual(got, tc.command) {
			t.Errorf("%q is run as %q: hooks expand nothing", tc.command, got)
		}
	}
}

func httpHook(addr net.Addr, path string, scheme corev1.URIScheme) *corev1.LifecycleHandler {
	return &corev1.LifecycleHandler{HTTPGet: &corev1.HTTPGetAction{
		Path: path, Port: intstr.FromInt(addr.(*net.TCPAddr).Port), Scheme: scheme,
		HTTPHeaders: []corev1.HTTPHeader{{Name: "Authorization", Value: "secret"}, {Name: "X", Value: "1"}},
	}}
}

func TestHTTP(t *testing.T) {
	var last *http.Request
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		last = r
		w.WriteHeader(http.StatusInternalServerError)
	})
	plain, secure := httptest.NewServer(handler), httptest.NewTLSServer(handler)
	defer plain.Close()
	defer secure.Close()
	r := runner(nil)
	for name, tc := range map[string]struct {
		hook  *corev1.LifecycleHandler
		note  string
		token string
	}{
		"any answer will do": {httpHook(plain.Listener.Addr(), "/a?b", corev1.URISchemeHTTP), "", "secret"},
		"TLS unchecked":      {httpHook(secure.Listener.Addr(), "/a?b", corev1.URISchemeHTTPS), "", "secret"},
		"TLS was not spoken": {
			httpHook(plain.Listener.Addr(), "/a?b", corev1.URISchemeHTTPS),
			"request to HTTPS lifecycle hook " + plain.Listener.Addr().String() + " got HTTP response, retry with HTTP succeeded", "",
		},
	} {
		note, err := r.Run(t.Context(), target, tc.hook)
		if err != nil || note != tc.note {
			t.Errorf("%s: %q, %v", name, note, err)
		}
		if last == nil || last.URL.RequestURI() != "/a?b" || last.UserAgent() != "kube-lifecycle/1.37" || last.Header.Get("X") != "1" || last.Header.Get("Authorization") != tc.token {
			t.Errorf("%s: the request is %+v", name, last)
		}
		last = nil
	}
	plain.Close()
	_, err := r.Run(t.Context(), target, httpHook(plain.Listener.Addr(), "/a", corev1.URISchemeHTTP))
	if err == nil || !strings.HasPrefix(err.Error(), `HTTP lifecycle hook (/a) for Container "c" in Pod "p_n(u)" failed - error: Get "http://`) {
		t.Errorf("nobody listens: %v", err)
	}
}

func TestSleep(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sleep := &corev1.LifecycleHandler{Sleep: &corev1.SleepAction{Seconds: 5}}
		began := time.Now()
		if _, err := runner(nil).Run(t.Context(), target, sleep); err != nil || time.Since(began) != 5*time.Second {
			t.Errorf("%v after %s", err, time.Since(began))
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := runner(nil).Run(ctx, target, sleep); err == nil || !strings.HasSuffix(err.Error(), context.DeadlineExceeded.Error()) {
			t.Errorf("given up: %v", err)
		}
		if _, err := runner(nil).Run(ctx, target, &corev1.LifecycleHandler{TCPSocket: &corev1.TCPSocketAction{}}); err == nil {
			t.Error("a handler that does nothing succeeds")
		}
	})
}

func TestHooksEndWithTheirContext(t *testing.T) {
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	r := runner(func(ctx context.Context, _ string, _ []string, _ time.Duration) (cri.ExecResult, error) {
		<-ctx.Done()
		return cri.ExecResult{}, ctx.Err()
	})
	for name, h := range map[string]*corev1.LifecycleHandler{"command": command("x"), "HTTP": httpHook(silent.Addr(), "/", corev1.URISchemeHTTP)} {
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		if _, err := r.Run(ctx, target, h); err == nil || errors.Is(err, context.Canceled) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestAnnotations(t *testing.T) {
	c := &corev1.Container{
		Ports:     []corev1.ContainerPort{{Name: "web", ContainerPort: 80}},
		Lifecycle: &corev1.Lifecycle{PreStop: &corev1.LifecycleHandler{HTTPGet: &corev1.HTTPGetAction{Path: "/a", Port: intstr.FromString("web")}}},
	}
	got := Annotated(Annotation(c))
	if got == nil || got.HTTPGet == nil || got.HTTPGet.Path != "/a" || got.HTTPGet.Port.IntValue() != 80 {
		t.Errorf("%+v", got)
	}
	c.Lifecycle.PreStop = command(strings.Repeat("x", mostAnnotation))
	for _, text := range []string{Annotation(c), Annotation(&corev1.Container{}), "{", strings.Repeat("x", mostAnnotation+1)} {
		if h := Annotated(text); h != nil {
			t.Errorf("%.20q is %+v", text, h)
		}
	}
}
