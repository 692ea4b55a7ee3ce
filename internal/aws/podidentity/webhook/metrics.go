package webhook

import (
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus/collectors"
	"k8s.io/component-base/metrics"

	"laterna.dev/laterna/internal/clock"
)

// counts are the metrics; names, labels and buckets are the webhook's.
type counts struct {
	registry metrics.KubeRegistry
	clock    clock.Wall

	requests  *metrics.CounterVec
	latencies *metrics.HistogramVec
	durations *metrics.SummaryVec
	pods      *metrics.CounterVec
	missing   *metrics.Counter
	used      *metrics.Gauge
	rotations *metrics.Histogram
}

func newCounts(clk clock.Wall) *counts {
	c := &counts{
		registry: metrics.NewKubeRegistry(),
		clock:    clk,
		requests: metrics.NewCounterVec(&metrics.CounterOpts{
			Name: "http_request_count", Help: "Requests by verb, path and response code.",
		}, []string{"verb", "path", "code"}),
		latencies: metrics.NewHistogramVec(&metrics.HistogramOpts{
			Name: "http_request_latencies", Help: "How long requests took, in microseconds, by verb and path.",
			Buckets: metrics.ExponentialBuckets(125000, 2, 7),
		}, []string{"verb", "path"}),
		durations: metrics.NewSummaryVec(&metrics.SummaryOpts{
			Name: "http_request_duration_microseconds", Help: "How long requests took, in microseconds, by verb and path.",
			MaxAge: time.Hour,
		}, []string{"verb", "path"}),
		pods: metrics.NewCounterVec(&metrics.CounterOpts{
			Name: "pod_identity_webhook_pod_count", Help: "Pods that were given credentials, by method.",
		}, []string{"method"}),
		missing: metrics.NewCounter(&metrics.CounterOpts{
			Name: "pod_identity_webhook_missing_sa_count", Help: "Pods whose service account was not found.",
		}),
		used: metrics.NewGauge(&metrics.GaugeOpts{
			Name: "pod_identity_webhook_used", Help: "1 once a service account has a role.",
		}),
		rotations: metrics.NewHistogram(&metrics.HistogramOpts{
			Name: "certificate_manager_server_rotation_seconds", Help: "How long the certificate before was served, in seconds.",
			Buckets: []float64{60, 3600, 14400, 86400, 604800, 2592000, 7776000, 15552000, 31104000, 124416000},
		}),
	}
	c.registry.MustRegister(c.requests, c.latencies, c.durations, c.pods, c.missing, c.used, c.rotations)
	c.registry.RawMustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return c
}

func (c *counts) handler() http.Handler {
	return metrics.HandlerFor(c.registry, metrics.HandlerOpts{})
}

// counted counts the requests of a path.
func (c *counts) counted(path string, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		began := c.clock.Now()
		answer := &answered{ResponseWriter: w, code: http.StatusOK}
		next.ServeHTTP(answer, r)
		took := float64(c.clock.Since(began) / time.Microsecond)
		verb := known(r.Method)
		c.requests.WithLabelValues(verb, path, strconv.Itoa(answer.code)).Inc()
		c.latencies.WithLabelValues(verb, path).Observe(took)
		c.durations.WithLabelValues(verb, path).Observe(took)
	})
}

// known bounds what a client can make a label of.
func known(method string) string {
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions:
		return method
	}
	return "other"
}

// answered remembers the code of an answer.
type answered struct {
	http.ResponseWriter
	code int
}

// WriteHeader implements http.ResponseWriter.
func (a *answered) WriteHeader(code int) {
	a.code = code
	a.ResponseWriter.WriteHeader(code)
}
