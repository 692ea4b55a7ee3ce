package proxy

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/url"
	"slices"
	"strconv"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metainternal "k8s.io/apimachinery/pkg/apis/meta/internalversion"
	"k8s.io/apimachinery/pkg/labels"
	utilnet "k8s.io/apimachinery/pkg/util/net"
	"k8s.io/apiserver/pkg/endpoints/request"
	"k8s.io/apiserver/pkg/registry/rest"

	"laterna.dev/laterna/internal/network/backends"
)

// Services returns what serves services/proxy. Slices are the endpoint slices.
func Services(c Config, services, pods rest.Getter, slices rest.Lister) (rest.Storage, error) {
	r, err := newReach(c)
	if err != nil {
		return nil, err
	}
	return &connecter[corev1.ServiceProxyOptions]{
		wall: c.Wall,
		path: func(o *corev1.ServiceProxyOptions) string { return o.Path },
		locate: func(ctx context.Context, id string) (target, error) {
			return r.locateService(ctx, services, pods, slices, id)
		},
	}, nil
}

// locateService finds an endpoint of a service by scheme:name:port, at random among those
// that are ready. A port is the name or number of one of the service, by default the one
// without a name.
func (r reach) locateService(ctx context.Context, services, pods rest.Getter, slices rest.Lister, id string) (target, error) {
	scheme, name, port, valid := utilnet.SplitSchemeNamePort(id)
	if !valid {
		return target{}, apierrors.NewBadRequest(fmt.Sprintf("invalid service request %q", id))
	}
	s, err := get[*corev1.Service](ctx, services, name)
	if err != nil {
		return target{}, err
	}
	if number, err := strconv.ParseInt(port, 10, 64); err == nil {
		found, err := backends.Port(s, number)
		if err != nil {
			return target{}, err
		}
		port = found.Name
	}
	ready, err := readyEndpoints(ctx, slices, name, port)
	if err != nil {
		return target{}, err
	}
	for _, i := range rand.Perm(len(ready)) {
		if way := r.endpoint(ctx, pods, ready[i]); way != nil {
			return target{url: url.URL{Scheme: scheme, Host: ready[i].AddrPort.String()}, ways: way}, nil
		}
	}
	return target{}, apierrors.NewServiceUnavailable(fmt.Sprintf("no endpoints available for service %q", name))
}

func readyEndpoints(ctx context.Context, slices rest.Lister, service, port string) ([]backends.Endpoint, error) {
	obj, err := slices.List(ctx, &metainternal.ListOptions{
		ResourceVersion: "0", LabelSelector: labels.SelectorFromSet(labels.Set{discoveryv1.LabelServiceName: service}),
	})
	if err != nil {
		return nil, err
	}
	list, ok := obj.(*discoveryv1.EndpointSliceList)
	if !ok {
		return nil, fmt.Errorf("endpoint slices are a %T", obj)
	}
	return backends.Ready(list.Items, port), nil
}

// endpoint returns the way to an endpoint, nil where it is not dialled: an address counts
// only as that of a pod of the service's namespace, which has it.
func (r reach) endpoint(ctx context.Context, pods rest.Getter, e backends.Endpoint) *ways {
	if e.Target == nil || e.Target.Kind != "Pod" || e.Target.Namespace != request.NamespaceValue(ctx) {
		return nil
	}
	p, err := get[*corev1.Pod](ctx, pods, e.Target.Name)
	if err != nil {
		return nil
	}
	if !slices.ContainsFunc(p.Status.PodIPs, func(ip corev1.PodIP) bool { return ip.IP == e.Addr().String() }) {
		return nil
	}
	way, err := r.wayTo(ctx, p, e.Addr(), e.Port())
	if err != nil {
		return nil
	}
	return way
}
