package probe

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"syscall"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"laterna.dev/laterna/internal/clock"
)

// BenchmarkRun reports what one probe costs this process in CPU time, its server
// included.
func BenchmarkRun(b *testing.B) {
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer server.Close()
	port := server.Listener.Addr().(*net.TCPAddr).Port
	for name, p := range map[string]*corev1.Probe{"http": get(port, "/"), "tcp": dial(port)} {
		b.Run(name, func(b *testing.B) {
			a := newAsker(Config{Version: "1.37", Wall: clock.Real()})
			c := Container{Host: "127.0.0.1", Spec: &corev1.Container{Name: "c"}}
			began := cpu(b)
			for b.Loop() {
				if r := a.run(b.Context(), c, Liveness, p); r.Result != Success {
					b.Fatal(r.Output)
				}
			}
			b.ReportMetric(float64((cpu(b)-began).Microseconds())/float64(b.N), "cpu-µs/op")
		})
	}
}

// cpu is the CPU time of this process.
func cpu(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkNode reports how much of a core 250 HTTP and 250 TCP probes a second cost, each
// of a container of its own, their server included.
func BenchmarkNode(b *testing.B) {
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer server.Close()
	port := server.Listener.Addr().(*net.TCPAddr).Port
	p := New(Config{Version: "1.37", Wall: clock.Real()})
	ctx, cancel := context.WithCancel(b.Context())
	done := make(chan struct{})
	go func() { p.Run(ctx); close(done) }()
	defer func() { cancel(); <-done }()
	told := &notes{}
	for i := range 500 {
		probe := get(port, "/")
		if i%2 == 0 {
			probe = dial(port)
		}
		probe.PeriodSeconds, probe.TimeoutSeconds, probe.SuccessThreshold, probe.FailureThreshold = 1, 1, 1, 3
		p.Watch(Container{
			Pod: types.UID(fmt.Sprint(i % 100)), Host: "127.0.0.1", Spec: &corev1.Container{LivenessProbe: probe},
			StartedAt: time.Now(), Before: &State{Started: true},
		}, told)
	}
	time.Sleep(time.Second) // all have begun
	began, at := cpu(b), time.Now()
	for range b.N {
		time.Sleep(time.Second)
	}
	b.ReportMetric(float64(cpu(b)-began)/float64(time.Since(at)), "cores")
	if len(told.runs) > 0 {
		b.Errorf("%d of %d failed: %s", len(told.runs), 500*b.N, told.runs[0])
	}
}
