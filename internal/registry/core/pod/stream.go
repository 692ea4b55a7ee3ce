package pod

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apiserver/pkg/authorization/authorizer"
	"k8s.io/apiserver/pkg/endpoints/filters"
	"k8s.io/apiserver/pkg/endpoints/request"
	"k8s.io/apiserver/pkg/registry/rest"
	"k8s.io/streaming/pkg/httpstream/wsstream"

	"laterna.dev/laterna/internal/registry/resource"
	"laterna.dev/laterna/internal/upgrade"
)

// streamREST is what exec and attach share: a connection that is upgraded and then
// belongs to the client and the kubelet.
type streamREST struct {
	pods       *resource.Store[*corev1.Pod]
	dial       *dialer
	authorizer authorizer.UnconditionalAuthorizer
}

// Destroy implements rest.Storage.
func (r *streamREST) Destroy() {}

// ConnectMethods implements rest.Connecter. Browsers open WebSockets with GET.
func (r *streamREST) ConnectMethods() []string { return []string{http.MethodGet, http.MethodPost} }

// execREST serves pods/exec.
type execREST struct{ streamREST }

// attachREST serves pods/attach.
type attachREST struct{ streamREST }

var (
	_ rest.Connecter = &execREST{}
	_ rest.Connecter = &attachREST{}
)

// New implements rest.Storage.
func (r *execREST) New() runtime.Object { return &corev1.PodExecOptions{} }

// NewConnectOptions implements rest.Connecter.
func (r *execREST) NewConnectOptions() (runtime.Object, bool, string) {
	return &corev1.PodExecOptions{}, false, ""
}

// Connect implements rest.Connecter.
func (r *execREST) Connect(ctx context.Context, name string, options runtime.Object, responder rest.Responder) (http.Handler, error) {
	o, ok := options.(*corev1.PodExecOptions)
	if !ok {
		return nil, fmt.Errorf("invalid options object: %T", options)
	}
	query := url.Values{}
	for _, part := range o.Command {
		query.Add("command", part)
	}
	s := streams{name: "exec", container: o.Container, query: query,
		stdin: o.Stdin, stdout: o.Stdout, stderr: o.Stderr, tty: o.TTY}
	return r.connect(ctx, name, s, responder)
}

// New implements rest.Storage.
func (r *attachREST) New() runtime.Object { return &corev1.PodAttachOptions{} }

// NewConnectOptions implements rest.Connecter.
func (r *attachREST) NewConnectOptions() (runtime.Object, bool, string) {
	return &corev1.PodAttachOptions{}, false, ""
}

// Connect implements rest.Connecter.
func (r *attachREST) Connect(ctx context.Context, name string, options runtime.Object, responder rest.Responder) (http.Handler, error) {
	o, ok := options.(*corev1.PodAttachOptions)
	if !ok {
		return nil, fmt.Errorf("invalid options object: %T", options)
	}
	s := streams{name: "attach", container: o.Container, query: url.Values{},
		stdin: o.Stdin, stdout: o.Stdout, stderr: o.Stderr, tty: o.TTY}
	return r.connect(ctx, name, s, responder)
}

// streams is what a client asks for: which streams of which container, in which way.
type streams struct {
	stdin, stdout, stderr, tty bool

	name      string
	container string
	query     url.Values
}

// connect returns the handler that joins the client's connection with the
// kubelet's. SPDY and the older WebSocket protocols go through as they are; the
// newest, v5, is translated to SPDY, which every kubelet speaks.
func (r *streamREST) connect(ctx context.Context, podName string, s streams, responder rest.Responder) (http.Handler, error) {
	if err := r.authorize(ctx, podName); err != nil {
		return nil, err
	}
	location, err := r.location(ctx, podName, s)
	if err != nil {
		return nil, err
	}
	backend := r.dial.backend(location)
	through := &upgrade.Handler{Backend: backend, Clock: r.dial.Wall, Fail: func(_ http.ResponseWriter, _ *http.Request, err error) { responder.Error(failure(err)) }}
	translated := &translation{backend: backend, streams: s, clock: r.dial.Wall}
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if wsstream.IsWebSocketRequestWithStreamCloseProtocol(req) {
			translated.ServeHTTP(w, req)
			return
		}
		through.ServeHTTP(w, req)
	}), nil
}

// failure is an error as the answer to a request. Only its text goes on: what a kubelet
// said is not for our log.
func failure(err error) error {
	var known apierrors.APIStatus
	if errors.As(err, &known) {
		return err
	}
	return &apierrors.StatusError{ErrStatus: metav1.Status{Status: metav1.StatusFailure, Code: http.StatusInternalServerError, Message: err.Error()}}
}

func (r *streamREST) location(ctx context.Context, podName string, s streams) (*url.URL, error) {
	p, err := getPod(ctx, r.pods, podName)
	if err != nil {
		return nil, err
	}
	container, err := chooseContainer(p, s.container)
	if err != nil {
		return nil, err
	}
	if p.Spec.NodeName == "" {
		return nil, notScheduled(podName)
	}
	for _, f := range []struct {
		param string
		set   bool
	}{
		{corev1.ExecStdinParam, s.stdin}, {corev1.ExecStdoutParam, s.stdout}, {corev1.ExecStderrParam, s.stderr}, {corev1.ExecTTYParam, s.tty},
	} {
		if f.set {
			s.query.Set(f.param, "1")
		}
	}
	return r.dial.locate(ctx, p.Spec.NodeName, fmt.Sprintf("/%s/%s/%s/%s", s.name, p.Namespace, p.Name, container), s.query)
}

// authorize asks for "create" where the request came as something else.
func (r *streamREST) authorize(ctx context.Context, podName string) error {
	info, ok := request.RequestInfoFrom(ctx)
	if r.authorizer == nil || !ok || info.Verb == "create" {
		return nil
	}
	attributes, err := filters.GetAuthorizerAttributes(ctx)
	if err != nil {
		return err
	}
	decision, reason, err := r.authorizer.Authorize(ctx, asCreate{attributes})
	if decision == authorizer.DecisionAllow {
		return nil
	}
	if err != nil {
		return err
	}
	if reason == "" {
		reason = "create permission is required to open a stream"
	}
	return apierrors.NewForbidden(corev1.Resource("pods/"+info.Subresource), podName, errors.New(reason))
}

// asCreate is a request with its verb replaced.
type asCreate struct{ authorizer.Attributes }

// GetVerb implements authorizer.Attributes.
func (asCreate) GetVerb() string { return "create" }

// notScheduled refuses a connection to a pod that no node runs yet.
func notScheduled(pod string) error {
	return apierrors.NewBadRequest(fmt.Sprintf("pod %s does not have a host assigned", pod))
}
