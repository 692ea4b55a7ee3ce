package apiserver

import (
	"fmt"
	"io"
	"net/http"

	"github.com/prometheus/client_golang/prometheus"
	genericserver "k8s.io/apiserver/pkg/server"
	"k8s.io/component-base/metrics"
	"k8s.io/component-base/metrics/legacyregistry"
)

const metricsPath = "/metrics"

// serveMetrics serves at /metrics what this server counts, besides what the libraries count
// for the whole process, in which other servers may run.
func serveMetrics(s *genericserver.GenericAPIServer, own []metrics.Registerable) error {
	registry := metrics.NewKubeRegistry()
	for _, m := range own {
		if err := registry.Register(m); err != nil {
			return fmt.Errorf("counting for /metrics: %w", err)
		}
	}
	both := prometheus.Gatherers{legacyregistry.DefaultGatherer, registry}
	show := metrics.HandlerFor(both, metrics.HandlerOpts{ProcessStartTime: legacyregistry.GetProcessStart()})
	mux := s.Handler.NonGoRestfulMux
	mux.Unregister(metricsPath) // the library's, which does not know them
	mux.HandleFunc(metricsPath, func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodDelete {
			show.ServeHTTP(w, r)
			return
		}
		legacyregistry.Reset()
		registry.Reset()
		io.WriteString(w, "metrics reset\n")
	})
	return nil
}
