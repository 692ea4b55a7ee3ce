package probe

import (
	"maps"
	"net/http"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/component-base/metrics"
)

// counters are what is counted of probes, by the kubelet's names and labels. Their series
// are those of the containers of pods that the node has. They are safe for concurrent use.
type counters struct {
	registry metrics.KubeRegistry
	total    *metrics.CounterVec
	duration *metrics.HistogramVec

	mu sync.Mutex
	// pods have the series of each pod.
	pods map[types.UID]*series
}

// series are those of one pod.
type series struct {
	namespace, name string
	// counted are those of one result each, timed those without result: a later pod of the
	// same name has them, too.
	counted, timed map[counted]bool
}

// counted tells the series of a pod apart.
type counted struct{ kind, container, result string }

// The results by their names.
const (
	countedSuccess = "successful"
	countedFailure = "failed"
	countedUnknown = "unknown"
)

func newCounters() *counters {
	c := &counters{registry: metrics.NewKubeRegistry(), pods: map[types.UID]*series{}}
	c.total = metrics.NewCounterVec(&metrics.CounterOpts{
		Subsystem: "prober", Name: "probe_total", StabilityLevel: metrics.BETA,
		Help: "Cumulative number of a liveness, readiness or startup probe for a container by result.",
	}, []string{"probe_type", "result", "container", "pod", "namespace", "pod_uid"})
	c.duration = metrics.NewHistogramVec(&metrics.HistogramOpts{
		Subsystem: "prober", Name: "probe_duration_seconds", StabilityLevel: metrics.ALPHA,
		Help: "Duration in seconds for a probe response.",
	}, []string{"probe_type", "container", "pod", "namespace"})
	c.registry.MustRegister(c.total, c.duration)
	return c
}

// Metrics serves what is counted of probes, in the form of Prometheus.
func (p *Prober) Metrics() http.Handler {
	return metrics.HandlerFor(p.counters.registry, metrics.HandlerOpts{})
}

// Forget drops what was counted of a pod that is gone. Its probes must have been stopped.
func (p *Prober) Forget(pod types.UID) { p.counters.forget(pod) }

// count counts a run. Like the kubelet it does not time those that failed.
func (c *counters) count(of Container, r Run, took time.Duration) {
	result := countedSuccess
	switch r.Result {
	case Failed:
		result = countedFailure
	case Unknown:
		result = countedUnknown
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.pods[of.Pod]
	if s == nil {
		s = &series{namespace: of.Namespace, name: of.PodName, counted: map[counted]bool{}, timed: map[counted]bool{}}
		c.pods[of.Pod] = s
	}
	k := counted{kind: r.Kind.String(), container: of.Spec.Name, result: result}
	s.counted[k] = true
	c.total.With(s.totalOf(of.Pod, k)).Inc()
	if result != countedFailure {
		k.result = ""
		s.timed[k] = true
		c.duration.With(s.durationOf(k)).Observe(took.Seconds())
	}
}

func (c *counters) forget(pod types.UID) {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.pods[pod]
	if s == nil {
		return
	}
	delete(c.pods, pod)
	for k := range s.counted {
		c.total.Delete(s.totalOf(pod, k))
	}
	for _, other := range c.pods {
		if other.namespace == s.namespace && other.name == s.name {
			maps.Copy(other.timed, s.timed)
			return
		}
	}
	for k := range s.timed {
		c.duration.Delete(s.durationOf(k))
	}
}

func (s *series) totalOf(pod types.UID, k counted) map[string]string {
	labels := s.durationOf(k)
	labels["result"], labels["pod_uid"] = k.result, string(pod)
	return labels
}

func (s *series) durationOf(k counted) map[string]string {
	return map[string]string{"probe_type": k.kind, "container": k.container, "pod": s.name, "namespace": s.namespace}
}
