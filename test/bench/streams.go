package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/portforward"
	"k8s.io/client-go/tools/remotecommand"
)

const (
	// execRounds is how often a command is run.
	execRounds = 20
	// forwarded is the size of what is fetched through a port, in MiB.
	forwarded = 64
)

// measureStreams takes what kubectl does with a running pod.
func measureStreams(ctx context.Context, b *bench) ([]figure, error) {
	f, err := b.newFleet(ctx)
	if err != nil {
		return nil, err
	}
	pod := plainPod("web")
	pod.Spec.Containers[0].Command = []string{"sh", "-c", fmt.Sprintf(
		"mkdir /www && dd if=/dev/zero of=/www/zeroes bs=1M count=%d && exec httpd -f -p 8080 -h /www", forwarded)}
	pod.Spec.Containers[0].ReadinessProbe = &corev1.Probe{PeriodSeconds: 1, ProbeHandler: corev1.ProbeHandler{
		HTTPGet: &corev1.HTTPGetAction{Port: intstr.FromInt32(8080), Path: "/zeroes"}}}
	if _, err := awaitAll(ctx, f.client, []*corev1.Pod{pod}, ready); err != nil {
		return nil, err
	}
	config, err := f.system.Config()
	if err != nil {
		return nil, err
	}
	exec, err := f.measureExec(ctx, config, pod.Name)
	if err != nil {
		return nil, fmt.Errorf("exec: %w", err)
	}
	forward, err := f.measureForward(ctx, config, pod.Name)
	if err != nil {
		return nil, fmt.Errorf("port-forward: %w", err)
	}
	return []figure{exec, forward}, b.remove(f.system)
}

// measureExec runs a command through the API, and through the runtime's exec alone.
func (f *fleet) measureExec(ctx context.Context, config *rest.Config, pod string) (figure, error) {
	url := f.client.CoreV1().RESTClient().Post().Resource("pods").Namespace(namespace).Name(pod).SubResource("exec").
		VersionedParams(&corev1.PodExecOptions{Command: []string{"true"}, Stdout: true, Stderr: true}, scheme.ParameterCodec).URL()
	var times durations
	for range execRounds {
		begin := time.Now()
		executor, err := remotecommand.NewWebSocketExecutor(config, http.MethodGet, url.String())
		if err == nil {
			err = executor.StreamWithContext(ctx, remotecommand.StreamOptions{Stdout: io.Discard, Stderr: io.Discard})
		}
		if err != nil {
			return figure{}, err
		}
		times = append(times, time.Since(begin))
	}
	bare, err := f.bareExec(ctx, execRounds)
	if err != nil {
		return figure{}, err
	}
	out := times.figure("exec round trip through the API", 0)
	out.Note += fmt.Sprintf("; the CRI's exec alone %s ms", number(ms(bare.median())))
	return out, nil
}

// measureForward fetches a file through a forwarded port, and straight from the pod.
func (f *fleet) measureForward(ctx context.Context, config *rest.Config, name string) (figure, error) {
	pod, err := f.client.CoreV1().Pods(namespace).Get(ctx, name, metav1.GetOptions{})
	if err != nil {
		return figure{}, err
	}
	url := f.client.CoreV1().RESTClient().Get().Resource("pods").Namespace(namespace).Name(name).SubResource("portforward").URL()
	dialer, err := portforward.NewSPDYOverWebsocketDialer(url, config)
	if err != nil {
		return figure{}, err
	}
	stop, ready, ended := make(chan struct{}), make(chan struct{}), make(chan error, 1)
	var complaints strings.Builder
	forwarder, err := portforward.NewOnAddresses(dialer, []string{"127.0.0.1"}, []string{"0:8080"}, stop, ready, io.Discard, &complaints)
	if err != nil {
		return figure{}, err
	}
	go func() { ended <- forwarder.ForwardPorts() }()
	select {
	case <-ready:
	case err := <-ended:
		return figure{}, errors.Join(err, errors.New(complaints.String()))
	}
	defer func() { close(stop); <-ended }()
	ports, err := forwarder.GetPorts()
	if err != nil {
		return figure{}, err
	}
	var through, straight durations
	for range 5 {
		for to, times := range map[string]*durations{fmt.Sprintf("127.0.0.1:%d", ports[0].Local): &through, pod.Status.PodIP + ":8080": &straight} {
			d, err := fetch(ctx, "http://"+to+"/zeroes")
			if err != nil {
				return figure{}, err
			}
			*times = append(*times, d)
		}
	}
	speed := func(d durations) float64 { return forwarded / d.median().Seconds() }
	return figure{What: "port-forward throughput", Value: speed(through), Unit: "MiB/s",
		Note: fmt.Sprintf("%d MiB, n=%d; straight from the pod %s MiB/s", forwarded, len(through), number(speed(straight)))}, nil
}

// fetch reads all of a file and returns how long it took.
func fetch(ctx context.Context, url string) (time.Duration, error) {
	begin := time.Now()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return 0, err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return 0, err
	}
	defer response.Body.Close()
	n, err := io.Copy(io.Discard, response.Body)
	if err == nil && n != forwarded<<20 {
		err = fmt.Errorf("%d bytes came, want %d", n, forwarded<<20)
	}
	return time.Since(begin), err
}
