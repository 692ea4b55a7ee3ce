package proxy

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/conversion"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apiserver/pkg/endpoints/request"
	"k8s.io/apiserver/pkg/registry/rest"

	"laterna.dev/laterna/internal/clock"
	"laterna.dev/laterna/internal/network/backends"
)

const handshakeTimeout = 10 * time.Second

// Config says what the subresources are made of.
type Config struct {
	// Guard says which addresses are dialled.
	Guard backends.Guard
	// Wall times out connections. Required.
	Wall clock.Wall
}

// methods are those that go on to a backend.
var methods = []string{
	http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions,
}

// reach finds the way to pods.
type reach struct {
	Config
	// pods leads to addresses of other machines, host also to this one's own.
	pods, host *ways
}

func newReach(c Config) (reach, error) {
	if c.Wall == nil {
		return reach{}, errors.New("no clock")
	}
	// Who serves a pod is known by its address: certificates of pods say nothing to the
	// server, and upstream verifies none either.
	blind := &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS12}
	return reach{c, newWays(c.Guard.Dialer(false).DialContext, blind), newWays(c.Guard.Dialer(true).DialContext, blind)}, nil
}

// connecter is what the three subresources share: they are connected to by all methods,
// with a path. T is the type of their options.
type connecter[T any] struct {
	path func(*T) string
	// locate finds whom an id is.
	locate func(ctx context.Context, id string) (target, error)
	wall   clock.Wall
	room   room
}

var _ rest.Connecter = &connecter[corev1.PodProxyOptions]{}

// New implements rest.Storage.
func (c *connecter[T]) New() runtime.Object { return c.options() }

func (c *connecter[T]) options() runtime.Object {
	o, _ := any(new(T)).(runtime.Object) // all three are
	return o
}

// Destroy implements rest.Storage.
func (c *connecter[T]) Destroy() {}

// ConnectMethods implements rest.Connecter.
func (c *connecter[T]) ConnectMethods() []string { return methods }

// NewConnectOptions implements rest.Connecter.
func (c *connecter[T]) NewConnectOptions() (runtime.Object, bool, string) {
	return c.options(), true, "path"
}

// Connect implements rest.Connecter.
func (c *connecter[T]) Connect(ctx context.Context, id string, options runtime.Object, responder rest.Responder) (http.Handler, error) {
	o, ok := any(options).(*T)
	if !ok {
		return nil, fmt.Errorf("invalid options object: %T", options)
	}
	to, err := c.locate(ctx, id)
	if err != nil {
		return nil, err
	}
	forward, err := newForward(ctx, to, c.path(o), responder, c.wall)
	if err != nil {
		return nil, err
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		account := ""
		if u, ok := request.UserFrom(r.Context()); ok {
			account = u.GetName()
		}
		done, err := c.room.open(account)
		if err != nil {
			responder.Error(err)
			return
		}
		defer done()
		forward.ServeHTTP(w, r)
	}), nil
}

// RegisterParameters makes the scheme read the paths of the subresources.
func RegisterParameters(s *runtime.Scheme) error {
	return errors.Join(
		register(s, func(o *corev1.PodProxyOptions, path string) { o.Path = path }),
		register(s, func(o *corev1.ServiceProxyOptions, path string) { o.Path = path }),
		register(s, func(o *corev1.NodeProxyOptions, path string) { o.Path = path }),
	)
}

func register[T any](s *runtime.Scheme, set func(*T, string)) error {
	return s.AddConversionFunc((*url.Values)(nil), (*T)(nil), func(from, to any, _ conversion.Scope) error {
		set(to.(*T), from.(*url.Values).Get("path"))
		return nil
	})
}

// get reads an object of a kind.
func get[T runtime.Object](ctx context.Context, from rest.Getter, name string) (out T, err error) {
	obj, err := from.Get(ctx, name, &metav1.GetOptions{})
	if err != nil {
		return out, err
	}
	out, ok := obj.(T)
	if !ok {
		return out, fmt.Errorf("unexpected object type: %T", obj)
	}
	return out, nil
}
