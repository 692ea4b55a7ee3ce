package probe

import (
	"net"
	"net/http"
	"net/http/httptest"
	"syscall"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

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
