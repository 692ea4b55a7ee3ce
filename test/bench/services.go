package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/utils/ptr"
)

const (
	// manyServices and endpointsEach are what is there while one service is changed.
	manyServices, endpointsEach = 1000, 10
	// connections are those whose set-up is timed, transferred the bytes of a throughput.
	connections, transferred = 500, 512 << 20
	// connectLimit bounds one attempt to reach what is to be reached soon.
	connectLimit = 2 * time.Second
)

// measureServices has pods reach one another by a cluster IP and directly, from within their
// networks, and changes one service among many.
func measureServices(ctx context.Context, b *bench) ([]figure, error) {
	// A range of its own: the machine's own programs reach whichever system has it.
	s, err := b.started("--service-cluster-ip-range", "198.19.0.0/16")
	if err != nil {
		return nil, err
	}
	if err := errors.Join(b.imported(s), awaitNode(ctx, s)); err != nil {
		return nil, err
	}
	all, err := clients(s, 8)
	if err != nil {
		return nil, err
	}
	t := &traffic{client: all[0]}
	if _, err := runAll(ctx, t.client, []*corev1.Pod{plainPod("one"), plainPod("two"), plainPod("caller")}); err != nil {
		return nil, err
	}
	if err := t.open(ctx, s.Dir); err != nil {
		return nil, err
	}
	defer t.close()
	reach, err := t.reach(ctx)
	if err != nil {
		return nil, err
	}
	changes, err := t.change(ctx, all, b.rounds)
	return append(reach, changes...), errors.Join(err, b.remove(s))
}

// traffic is who talks to whom.
type traffic struct {
	client    kubernetes.Interface
	one, two  *echo
	caller    string // network namespace
	listeners sync.WaitGroup
}

// echo is a server in the network of a pod, which says its name, and then sends zeros for as
// long as somebody reads.
type echo struct {
	name string
	at   netip.AddrPort
	net.Listener
}

func (t *traffic) open(ctx context.Context, dir string) error {
	spaces, err := podNetworks(dir)
	if err != nil {
		return err
	}
	t.caller = spaces["caller"]
	for name, to := range map[string]**echo{"one": &t.one, "two": &t.two} {
		pod, err := t.client.CoreV1().Pods(namespace).Get(ctx, name, metav1.GetOptions{})
		if err != nil {
			return err
		}
		e := &echo{name: name}
		if e.at, err = netip.ParseAddrPort(pod.Status.PodIP + ":8080"); err != nil {
			return err
		}
		err = within(spaces[name], func() (err error) {
			e.Listener, err = net.Listen("tcp4", e.at.String())
			return err
		})
		if err != nil {
			return err
		}
		*to = e
		t.listeners.Go(e.serve)
	}
	return nil
}

func (t *traffic) close() {
	t.one.Close()
	t.two.Close()
	t.listeners.Wait()
}

func (e *echo) serve() {
	zeros := make([]byte, 1<<20)
	for {
		c, err := e.Accept()
		if err != nil {
			return
		}
		go func() {
			defer c.Close()
			io.WriteString(c, e.name)
			if _, err := io.ReadFull(c, make([]byte, 1)); err != nil {
				return // nobody wants more
			}
			for err == nil {
				_, err = c.Write(zeros)
			}
		}()
	}
}

// dial connects from the caller's network and returns who has answered.
func (t *traffic) dial(to netip.AddrPort) (c net.Conn, name string, err error) {
	err = within(t.caller, func() (err error) {
		c, err = net.DialTimeout("tcp4", to.String(), connectLimit)
		return err
	})
	if err != nil {
		return nil, "", err
	}
	answer := make([]byte, 3) // both names are as long
	if err := c.SetReadDeadline(time.Now().Add(connectLimit)); err == nil {
		_, err = io.ReadFull(c, answer)
	}
	return c, string(answer), err
}

// setUp times connections up to the first bytes.
func (t *traffic) setUp(to netip.AddrPort) (times durations, err error) {
	for range connections {
		began := time.Now()
		c, _, err := t.dial(to)
		if err != nil {
			return nil, err
		}
		times = append(times, time.Since(began))
		c.Close()
	}
	return times, nil
}

// throughput is in MiB/s.
func (t *traffic) throughput(to netip.AddrPort) (float64, error) {
	c, _, err := t.dial(to)
	if err != nil {
		return 0, err
	}
	defer c.Close()
	began := time.Now()
	if _, err := c.Write([]byte("x")); err != nil {
		return 0, err
	}
	if err := c.SetReadDeadline(time.Now().Add(time.Minute)); err != nil {
		return 0, err
	}
	_, err = io.CopyN(io.Discard, c, transferred)
	return transferred / (1 << 20) / time.Since(began).Seconds(), err
}

// reach compares the way by a service with that without.
func (t *traffic) reach(ctx context.Context) ([]figure, error) {
	ip, err := t.serve(ctx, t.client, "reached", t.one.at)
	if err != nil {
		return nil, err
	}
	if _, err := t.until(ctx, ip, t.one.name, time.Now()); err != nil {
		return nil, err
	}
	direct, err := t.setUp(t.one.at)
	if err != nil {
		return nil, err
	}
	routed, err := t.setUp(ip)
	if err != nil {
		return nil, err
	}
	directly, err := t.throughput(t.one.at)
	if err != nil {
		return nil, err
	}
	byService, err := t.throughput(ip)
	if err != nil {
		return nil, err
	}
	return []figure{
		{What: "connection from pod to pod by a cluster IP, p50", Value: ms(routed.median()), Unit: "ms",
			Note: fmt.Sprintf("%s; directly %s ms, ratio %.2f", routed.spread(), number(ms(direct.median())), float64(routed.median())/float64(direct.median()))},
		{What: "throughput from pod to pod by a cluster IP", Value: byService, Unit: "MiB/s", Note: fmt.Sprintf("directly %s, ratio %.2f", number(directly), byService/directly)},
	}, nil
}

// until dials until the wanted one answers, and returns how long that took.
func (t *traffic) until(ctx context.Context, to netip.AddrPort, want string, began time.Time) (time.Duration, error) {
	for end := time.Now().Add(podLimit); time.Now().Before(end) && ctx.Err() == nil; {
		c, name, err := t.dial(to)
		if err == nil {
			c.Close()
		}
		if err == nil && name == want {
			return time.Since(began), nil
		}
	}
	return 0, errors.Join(fmt.Errorf("%v is not answered by %s", to, want), ctx.Err())
}

// serve makes a service with endpoints, and returns where it is reached.
func (t *traffic) serve(ctx context.Context, client kubernetes.Interface, name string, to ...netip.AddrPort) (netip.AddrPort, error) {
	made, err := client.CoreV1().Services(namespace).Create(ctx, &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: corev1.ServiceSpec{Ports: []corev1.ServicePort{{Port: 80}}},
	}, metav1.CreateOptions{})
	if err != nil {
		return netip.AddrPort{}, err
	}
	if _, err := client.DiscoveryV1().EndpointSlices(namespace).Create(ctx, endpoints(name, to...), metav1.CreateOptions{}); err != nil {
		return netip.AddrPort{}, err
	}
	return netip.ParseAddrPort(made.Spec.ClusterIP + ":80")
}

func endpoints(name string, to ...netip.AddrPort) *discoveryv1.EndpointSlice {
	s := &discoveryv1.EndpointSlice{
		ObjectMeta:  metav1.ObjectMeta{Name: name, Labels: map[string]string{discoveryv1.LabelServiceName: name}},
		AddressType: discoveryv1.AddressTypeIPv4, Ports: []discoveryv1.EndpointPort{{Name: ptr.To(""), Port: ptr.To(int32(to[0].Port()))}},
	}
	for _, a := range to {
		s.Endpoints = append(s.Endpoints, discoveryv1.Endpoint{Addresses: []string{a.Addr().String()}})
	}
	return s
}

// change measures what one change takes among many services.
func (t *traffic) change(ctx context.Context, all []kubernetes.Interface, rounds int) ([]figure, error) {
	began := time.Now()
	if err := t.fill(ctx, all); err != nil {
		return nil, err
	}
	filled := time.Since(began)
	var made, moved durations
	for i := range rounds {
		began := time.Now()
		name := fmt.Sprintf("one-more-%d", i)
		ip, err := t.serve(ctx, t.client, name, t.one.at)
		if err != nil {
			return nil, err
		}
		took, err := t.until(ctx, ip, t.one.name, began)
		if err != nil {
			return nil, err
		}
		made = append(made, took)
		patch, err := json.Marshal(map[string]any{"endpoints": endpoints(name, t.two.at).Endpoints})
		if err != nil {
			return nil, err
		}
		began = time.Now()
		if _, err := t.client.DiscoveryV1().EndpointSlices(namespace).Patch(ctx, name, types.MergePatchType, patch, metav1.PatchOptions{}); err != nil {
			return nil, err
		}
		if took, err = t.until(ctx, ip, t.two.name, began); err != nil {
			return nil, err
		}
		moved = append(moved, took)
	}
	among := fmt.Sprintf(", among %d services with %d endpoints each", manyServices, endpointsEach)
	return []figure{
		{What: "service and endpoint created → connected" + among + ", p50", Value: ms(made.median()), Unit: "ms",
			Note: fmt.Sprintf("%s; the others were created in %s s", made.spread(), number(filled.Seconds()))},
		{What: "endpoint changed → connections go there" + among + ", p50", Value: ms(moved.median()), Unit: "ms", Note: moved.spread()},
	}, nil
}

// fill makes the many services, and waits until the last is reached.
func (t *traffic) fill(ctx context.Context, all []kubernetes.Interface) error {
	var next atomic.Int32
	var group sync.WaitGroup
	errs := make([]error, len(all))
	for i, client := range all {
		group.Go(func() {
			for n := next.Add(1); n < manyServices && errs[i] == nil; n = next.Add(1) {
				var to []netip.AddrPort
				for e := range endpointsEach { // nobody is there
					to = append(to, netip.AddrPortFrom(netip.AddrFrom4([4]byte{198, 18, byte(n / 20), byte(int(n)%20*endpointsEach + e + 1)}), 80))
				}
				_, errs[i] = t.serve(ctx, client, fmt.Sprintf("many-%d", n), to...)
			}
		})
	}
	group.Wait()
	if err := errors.Join(errs...); err != nil {
		return err
	}
	last, err := t.serve(ctx, t.client, "last", t.two.at)
	if err != nil {
		return err
	}
	_, err = t.until(ctx, last, t.two.name, time.Now())
	return err
}
