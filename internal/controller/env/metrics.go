package env

import (
	"time"

	"k8s.io/component-base/metrics"
)

// Metrics are what is counted of all controllers, under their names. They count once
// they are registered. A nil *Metrics counts nothing. Methods may be called
// concurrently.
type Metrics struct {
	reconciles *metrics.CounterVec
	seconds    *metrics.HistogramVec
	writes     *metrics.CounterVec
}

// Outcomes of a write that a controller has decided on.
const (
	Written   = "written"
	Unchanged = "unchanged"
	Failed    = "failed"
)

// NewMetrics returns metrics that are not registered yet.
func NewMetrics() *Metrics {
	const subsystem = "laterna_controller"
	return &Metrics{
		reconciles: metrics.NewCounterVec(&metrics.CounterOpts{
			Subsystem: subsystem, Name: "reconciles_total", StabilityLevel: metrics.ALPHA,
			Help: "Work of a controller on one key, by result: done, or failed and tried again after a pause",
		}, []string{"controller", "result"}),
		seconds: metrics.NewHistogramVec(&metrics.HistogramOpts{
			Subsystem: subsystem, Name: "reconcile_seconds", StabilityLevel: metrics.ALPHA,
			Help:    "How long the work on one key took",
			Buckets: []float64{.001, .005, .025, .1, .5, 2, 10},
		}, []string{"controller"}),
		writes: metrics.NewCounterVec(&metrics.CounterOpts{
			Subsystem: subsystem, Name: "writes_total", StabilityLevel: metrics.ALPHA,
			Help: "Updates that a controller has decided on, by result: written, unchanged (nothing differed, so nothing was sent) or failed",
		}, []string{"controller", "result"}),
	}
}

// All returns what is to be registered.
func (m *Metrics) All() []metrics.Registerable {
	return []metrics.Registerable{m.reconciles, m.seconds, m.writes}
}

// Reconciled counts the work of a controller on one key.
func (m *Metrics) Reconciled(controller string, took time.Duration, err error) {
	if m == nil {
		return
	}
	result := "done"
	if err != nil {
		result = Failed
	}
	m.reconciles.WithLabelValues(controller, result).Inc()
	m.seconds.WithLabelValues(controller).Observe(took.Seconds())
}

// Wrote counts an update with its outcome.
func (m *Metrics) Wrote(controller, outcome string) {
	if m != nil {
		m.writes.WithLabelValues(controller, outcome).Inc()
	}
}
