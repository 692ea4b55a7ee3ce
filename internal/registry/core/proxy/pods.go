package proxy

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"strconv"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	utilnet "k8s.io/apimachinery/pkg/util/net"
	"k8s.io/apiserver/pkg/registry/rest"

	"laterna.dev/laterna/internal/network/backends"
	"laterna.dev/laterna/internal/podfields"
)

// Pods returns what serves pods/proxy.
func Pods(c Config, pods rest.Getter) (rest.Storage, error) {
	r, err := newReach(c)
	if err != nil {
		return nil, err
	}
	return &connecter[corev1.PodProxyOptions]{
		wall:   c.Wall,
		path:   func(o *corev1.PodProxyOptions) string { return o.Path },
		locate: func(ctx context.Context, id string) (target, error) { return r.locatePod(ctx, pods, id) },
	}, nil
}

// locatePod finds a pod by scheme:name:port. A port is a number, by default the first
// that a container of the pod names, else the scheme's.
func (r reach) locatePod(ctx context.Context, pods rest.Getter, id string) (target, error) {
	scheme, name, port, valid := utilnet.SplitSchemeNamePort(id)
	if !valid {
		return target{}, apierrors.NewBadRequest(fmt.Sprintf("invalid pod request %q", id))
	}
	p, err := get[*corev1.Pod](ctx, pods, name)
	if err != nil {
		return target{}, err
	}
	if port == "" {
		port = firstPort(p)
	}
	addr, err := netip.ParseAddr(podIP(p))
	if err != nil {
		return target{}, notAllowed()
	}
	to := target{url: url.URL{Scheme: scheme, Host: addr.String()}}
	if port != "" {
		to.url.Host = net.JoinHostPort(addr.String(), port)
	} else if addr.Is6() {
		to.url.Host = "[" + addr.String() + "]"
	}
	if to.ways, err = r.wayTo(ctx, p, addr, numberOf(port, scheme)); err != nil {
		return target{}, err
	}
	return to, nil
}

// wayTo returns the way to a port of a pod. A pod has an address of this machine only
// where it runs in the machine's network, and is led to the ports only that it says it
// has there: what else listens is not the pod's.
func (r reach) wayTo(ctx context.Context, p *corev1.Pod, addr netip.Addr, port uint16) (*ways, error) {
	host := p.Spec.HostNetwork && names(p, port)
	if r.Guard.Check(ctx, netip.AddrPortFrom(addr, port), host) != nil {
		return nil, notAllowed()
	}
	if host {
		return r.host, nil
	}
	return r.pods, nil
}

func notAllowed() error { return apierrors.NewBadRequest(backends.ErrNotAllowed.Error()) }

// podIP is the first address of a pod.
func podIP(p *corev1.Pod) string {
	if len(p.Status.PodIPs) > 0 {
		return p.Status.PodIPs[0].IP
	}
	return p.Status.PodIP
}

func firstPort(p *corev1.Pod) string {
	for _, c := range p.Spec.Containers {
		if len(c.Ports) > 0 {
			return strconv.Itoa(int(c.Ports[0].ContainerPort))
		}
	}
	return ""
}

// names tells whether a container of a pod names a port.
func names(p *corev1.Pod, port uint16) bool {
	for _, c := range podfields.Containers(&p.Spec) {
		for _, named := range c.Ports {
			if named.ContainerPort == int32(port) {
				return true
			}
		}
	}
	return false
}

// numberOf is the number that a port stands for, 0 where it is none: it is then refused
// where it is dialled.
func numberOf(port, scheme string) uint16 {
	switch {
	case port == "" && scheme == "https":
		return 443
	case port == "":
		return 80
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		return 0
	}
	return uint16(n)
}
