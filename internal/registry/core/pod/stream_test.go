package pod

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/authorization/authorizer"
	"k8s.io/apiserver/pkg/endpoints/request"
	"k8s.io/apiserver/pkg/registry/rest"
	restclient "k8s.io/client-go/rest"
	"k8s.io/client-go/tools/remotecommand"
	"k8s.io/client-go/util/exec"
)

// responder answers with the error, as the API server would.
type responder struct{ w http.ResponseWriter }

func (r responder) Object(code int, _ runtime.Object) { r.w.WriteHeader(code) }
func (r responder) Error(err error)                   { http.Error(r.w, err.Error(), http.StatusInternalServerError) }

// front serves pods/exec and pods/attach of one pod over HTTP.
func (s *server) front(podName string) *httptest.Server {
	codec := runtime.NewParameterCodec(newScheme(s.t))
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		connecter := s.ByPath["pods"+r.URL.Path].(rest.Connecter)
		o, _, _ := connecter.NewConnectOptions()
		if err := codec.DecodeParameters(r.URL.Query(), corev1.SchemeGroupVersion, o); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		ctx := request.WithNamespace(r.Context(), "ns")
		handler, err := connecter.Connect(ctx, podName, o, responder{w})
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		handler.ServeHTTP(w, r)
	}))
	s.t.Cleanup(web.Close)
	return web
}

func TestStreams(t *testing.T) {
	k := newKubelet(t, nil)
	s := newServer(t, k.kubelets(t))
	s.create("a", oneContainer)
	if err := s.bind("a", "node"); err != nil {
		t.Fatal(err)
	}
	web := s.front("a")
	config := &restclient.Config{Host: web.URL}
	for name, make := range map[string]func(u *url.URL) (remotecommand.Executor, error){
		"SPDY": func(u *url.URL) (remotecommand.Executor, error) {
			return remotecommand.NewSPDYExecutor(config, "POST", u)
		},
		"WebSocket": func(u *url.URL) (remotecommand.Executor, error) {
			return remotecommand.NewWebSocketExecutor(config, "GET", u.String())
		},
	} {
		run := func(path string, query url.Values) (stdout, stderr string, err error) {
			u, parseErr := url.Parse(web.URL + path + "?" + query.Encode())
			if parseErr != nil {
				t.Fatal(parseErr)
			}
			client, makeErr := make(u)
			if makeErr != nil {
				t.Fatal(makeErr)
			}
			ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
			defer cancel()
			var out, errOut bytes.Buffer
			err = client.StreamWithContext(ctx, remotecommand.StreamOptions{Stdin: strings.NewReader("hello"), Stdout: &out, Stderr: &errOut})
			return out.String(), errOut.String(), err
		}
		all := url.Values{"stdin": {"true"}, "stdout": {"true"}, "stderr": {"true"}}

		t.Run(name+" exec", func(t *testing.T) {
			query := url.Values{"command": {"cat", "a b"}, "container": {"main"}}
			for p, v := range all {
				query[p] = v
			}
			stdout, stderr, err := run("/exec", query)
			if stdout != "HELLO" || stderr != "cat a b" || err != nil {
				t.Errorf("stdout %q, stderr %q, %v", stdout, stderr, err)
			}
			asked, peer := k.last(t)
			if asked.Path != "/exec/ns/a/main" || asked.RawQuery != "command=cat&command=a+b&error=1&input=1&output=1" || peer != "api-server" {
				t.Errorf("%s asked for %s", peer, asked)
			}
		})
		t.Run(name+" exit code", func(t *testing.T) {
			query := url.Values{"command": {"exit", "3"}}
			for p, v := range all {
				query[p] = v
			}
			_, _, err := run("/exec", query)
			if code, ok := err.(exec.CodeExitError); !ok || code.ExitStatus() != 3 {
				t.Errorf("error %T %v, want exit code 3", err, err)
			}
		})
		t.Run(name+" attach", func(t *testing.T) {
			stdout, _, err := run("/attach", all)
			if stdout != "HELLO" || err != nil {
				t.Errorf("stdout %q, %v", stdout, err)
			}
			if asked, _ := k.last(t); asked.Path != "/attach/ns/a/main" {
				t.Errorf("asked for %s", asked)
			}
		})
	}
}

func TestStreamErrors(t *testing.T) {
	k := newKubelet(t, nil)
	s := newServer(t, k.kubelets(t))
	s.create("a", oneContainer)
	s.create("two", "containers: [{name: x, image: i}, {name: z, image: i}]")
	connect := func(name string, o *corev1.PodExecOptions) error {
		_, err := s.ByPath["pods/exec"].(rest.Connecter).Connect(s.ctx, name, o, nil)
		return err
	}
	wantError(t, connect("a", &corev1.PodExecOptions{}), errors.IsBadRequest, "pod a does not have a host assigned")
	wantError(t, connect("a", &corev1.PodExecOptions{Container: "x"}), errors.IsBadRequest, "container x is not valid for pod a")
	wantError(t, connect("two", &corev1.PodExecOptions{}), errors.IsBadRequest, "a container name must be specified for pod two, choose one of: [x z]")
	wantError(t, connect("none", &corev1.PodExecOptions{}), errors.IsNotFound, `pods "none" not found`)

	if err := s.bind("a", "node"); err != nil {
		t.Fatal(err)
	}
	resp, err := http.Post(s.front("a").URL+"/exec?command=x", "", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode < 400 {
		t.Errorf("a request without an upgrade: %s", resp.Status)
	}
	methods := s.ByPath["pods/exec"].(rest.Connecter).ConnectMethods()
	if fmt.Sprint(methods) != "[GET POST]" {
		t.Errorf("methods %v", methods)
	}
}

// mayGet is an authorizer that allows reading and nothing else.
type mayGet struct{}

func (mayGet) Authorize(_ context.Context, a authorizer.Attributes) (authorizer.Decision, string, error) {
	if a.GetVerb() == "get" {
		return authorizer.DecisionAllow, "", nil
	}
	return authorizer.DecisionNoOpinion, "may only get", nil
}

func TestReadingIsNotEnoughToExec(t *testing.T) {
	k := newKubelet(t, nil)
	ways := k.kubelets(t)
	ways.Authorizer = mayGet{}
	s := newServer(t, ways)
	s.create("a", oneContainer)
	if err := s.bind("a", "node"); err != nil {
		t.Fatal(err)
	}
	as := func(verb string) context.Context {
		ctx := request.WithRequestInfo(s.ctx, &request.RequestInfo{IsResourceRequest: true, Verb: verb, APIVersion: "v1", Namespace: "ns", Resource: "pods", Subresource: "exec", Name: "a"})
		return request.WithUser(ctx, &user.DefaultInfo{Name: "reader"})
	}
	exec := s.ByPath["pods/exec"].(rest.Connecter)
	_, err := exec.Connect(as("get"), "a", &corev1.PodExecOptions{}, nil)
	wantError(t, err, errors.IsForbidden, `pods/exec "a" is forbidden: may only get`)
	if _, err := exec.Connect(as("create"), "a", &corev1.PodExecOptions{}, nil); err != nil {
		t.Errorf("a POST was authorised before: %v", err)
	}
}
