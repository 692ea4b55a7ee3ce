package pod

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apiserver/pkg/registry/rest"
	"k8s.io/streaming/pkg/httpstream/wsstream"

	"laterna.dev/laterna/internal/upgrade"
)

// maxForwardPorts bounds the ports that one request names.
const maxForwardPorts = 64

// portForwardREST serves pods/portforward.
type portForwardREST struct{ streamREST }

var _ rest.Connecter = &portForwardREST{}

// New implements rest.Storage.
func (r *portForwardREST) New() runtime.Object { return &corev1.PodPortForwardOptions{} }

// NewConnectOptions implements rest.Connecter.
func (r *portForwardREST) NewConnectOptions() (runtime.Object, bool, string) {
	return &corev1.PodPortForwardOptions{}, false, ""
}

// Connect implements rest.Connecter. SPDY and the older WebSocket protocol go through as
// they are; SPDY inside a WebSocket, which is what kubectl asks for, is taken out of it.
func (r *portForwardREST) Connect(ctx context.Context, name string, options runtime.Object, responder rest.Responder) (http.Handler, error) {
	o, ok := options.(*corev1.PodPortForwardOptions)
	if !ok {
		return nil, fmt.Errorf("invalid options object: %T", options)
	}
	if err := r.authorize(ctx, name); err != nil {
		return nil, err
	}
	location, err := r.forwardLocation(ctx, name, o)
	if err != nil {
		return nil, err
	}
	backend := r.dial.backend(location)
	fail := func(_ http.ResponseWriter, _ *http.Request, err error) { responder.Error(failure(err)) }
	through := &upgrade.Handler{Backend: backend, Clock: r.dial.Wall, Fail: fail}
	tunnelled := &tunnel{backend: backend, clock: r.dial.Wall, fail: fail}
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if wsstream.IsWebSocketRequestWithTunnelingProtocol(req) {
			tunnelled.ServeHTTP(w, req)
			return
		}
		through.ServeHTTP(w, req)
	}), nil
}

func (r *portForwardREST) forwardLocation(ctx context.Context, name string, o *corev1.PodPortForwardOptions) (*url.URL, error) {
	if len(o.Ports) > maxForwardPorts {
		return nil, apierrors.NewBadRequest(fmt.Sprintf("ports: %d ports, but at most %d can be forwarded by one request", len(o.Ports), maxForwardPorts))
	}
	p, err := getPod(ctx, r.pods, name)
	if err != nil {
		return nil, err
	}
	if p.Spec.NodeName == "" {
		return nil, notScheduled(name)
	}
	query := url.Values{}
	if len(o.Ports) > 0 {
		var ports []string
		for _, port := range o.Ports {
			ports = append(ports, strconv.Itoa(int(port)))
		}
		query.Set(corev1.PortHeader, strings.Join(ports, ","))
	}
	return r.dial.locate(ctx, p.Spec.NodeName, fmt.Sprintf("/portForward/%s/%s", p.Namespace, p.Name), query)
}
