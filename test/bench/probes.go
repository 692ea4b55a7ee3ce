package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"laterna.dev/laterna/internal/datadir"
	"laterna.dev/laterna/internal/runtime/cri"
)

const (
	// probePods × probeContainers containers have two probes a second each.
	probePods       = 50
	probeContainers = 5
	// execPods have one exec probe a second each.
	execPods = 10
	// probeTime is how long probes are counted.
	probeTime = 10 * time.Second
)

// measureProbes takes what probes cost the program: HTTP and TCP ones of listeners of this
// process, and exec ones.
func measureProbes(ctx context.Context, b *bench) (figures []figure, err error) {
	f, err := b.newFleet(ctx)
	if err != nil {
		return nil, err
	}
	quiet, err := f.coresWhile(ctx)
	if err != nil {
		return nil, err
	}
	served, err := newListeners()
	if err != nil {
		return nil, err
	}
	defer served.close()
	var pods []*corev1.Pod
	for i := range probePods {
		pods = append(pods, probedPod(fmt.Sprintf("probed-%d", i), served))
	}
	if _, err := awaitAll(ctx, f.client, pods, ready); err != nil {
		return nil, err
	}
	before := served.count()
	cores, err := f.coresWhile(ctx)
	if err != nil {
		return nil, err
	}
	rate := float64(served.count()-before) / (settle + probeTime).Seconds()
	figures = append(figures, figure{What: "500 HTTP and TCP probes a second", Value: cores, Unit: "cores", Budget: 0.25,
		Note: fmt.Sprintf("%s probes a second were seen; without pods %s cores", number(rate), number(quiet))})
	if err := b.remove(f.system); err != nil {
		return figures, err
	}
	exec, err := measureExecProbes(ctx, b)
	return append(figures, exec...), err
}

// measureExecProbes takes what exec probes cost, beside the runtime's own call.
func measureExecProbes(ctx context.Context, b *bench) ([]figure, error) {
	f, err := b.newFleet(ctx)
	if err != nil {
		return nil, err
	}
	var pods []*corev1.Pod
	for i := range execPods {
		pods = append(pods, readinessPod(podName(i)))
	}
	if _, err := awaitAll(ctx, f.client, pods, ready); err != nil {
		return nil, err
	}
	cores, err := f.coresWhile(ctx)
	if err != nil {
		return nil, err
	}
	bare, err := f.bareExec(ctx, 2*execPods)
	if err != nil {
		return nil, err
	}
	return []figure{{What: "10 exec probes a second", Value: cores, Unit: "cores",
		Note: fmt.Sprintf("of laterna alone; the CRI's exec takes %s ms (%s)", number(ms(bare.median())), bare.spread()),
	}}, b.remove(f.system)
}

// coresWhile is how much of the machine's cores the program used in probeTime.
func (f *fleet) coresWhile(ctx context.Context) (float64, error) {
	if err := pause(ctx, settle); err != nil {
		return 0, err
	}
	before, err := cpuTime(f.system.PID())
	if err != nil {
		return 0, err
	}
	if err := pause(ctx, probeTime); err != nil {
		return 0, err
	}
	after, err := cpuTime(f.system.PID())
	return (after - before).Seconds() / probeTime.Seconds(), err
}

// bareExec calls the runtime's exec in a container of the fleet, one call after the other.
func (f *fleet) bareExec(ctx context.Context, n int) (times durations, err error) {
	dir, err := datadir.Locate(f.system.Dir)
	if err != nil {
		return nil, err
	}
	client, err := cri.Dial(dir.Socket("containerd"))
	if err != nil {
		return nil, err
	}
	defer client.Close()
	containers, err := client.ListContainers(ctx, cri.Filter{})
	if err != nil {
		return nil, err
	}
	for _, c := range containers {
		if c.State != cri.ContainerRunning {
			continue
		}
		for range n {
			begin := time.Now()
			if _, err := client.ExecSync(ctx, c.ID, []string{"true"}, time.Second); err != nil {
				return nil, err
			}
			times = append(times, time.Since(begin))
		}
		return times, nil
	}
	return nil, errors.New("no container runs")
}

// listeners answer probes and count them.
type listeners struct {
	http, tcp net.Listener
	seen      atomic.Int64
}

func newListeners() (*listeners, error) {
	l := &listeners{}
	var err error
	if l.http, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
		return nil, err
	}
	if l.tcp, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
		l.http.Close()
		return nil, err
	}
	go http.Serve(l.http, http.HandlerFunc(func(http.ResponseWriter, *http.Request) { l.seen.Add(1) })) // until close
	go func() {
		for {
			c, err := l.tcp.Accept()
			if err != nil {
				return
			}
			l.seen.Add(1)
			c.Close()
		}
	}()
	return l, nil
}

func (l *listeners) count() int64 { return l.seen.Load() }

func (l *listeners) close() {
	l.http.Close()
	l.tcp.Close()
}

// probedPod is a pod of containers with an HTTP and a TCP probe a second.
func probedPod(name string, to *listeners) *corev1.Pod {
	pod := plainPod(name)
	port := func(l net.Listener) intstr.IntOrString { return intstr.FromInt(l.Addr().(*net.TCPAddr).Port) }
	main := pod.Spec.Containers[0]
	main.Command = []string{"sleep", "3600"}
	main.ReadinessProbe = &corev1.Probe{PeriodSeconds: 1, ProbeHandler: corev1.ProbeHandler{
		HTTPGet: &corev1.HTTPGetAction{Host: "127.0.0.1", Port: port(to.http), Path: "/"}}}
	main.LivenessProbe = &corev1.Probe{PeriodSeconds: 1, ProbeHandler: corev1.ProbeHandler{
		TCPSocket: &corev1.TCPSocketAction{Host: "127.0.0.1", Port: port(to.tcp)}}}
	pod.Spec.Containers = nil
	for i := range probeContainers {
		c := *main.DeepCopy()
		c.Name = fmt.Sprintf("c%d", i)
		pod.Spec.Containers = append(pod.Spec.Containers, c)
	}
	return pod
}
