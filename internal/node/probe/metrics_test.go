package probe

import (
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
)

func TestCountsAreThoseOfTheKubeletAndGoWithThePod(t *testing.T) {
	p := New(Config{})
	page := func() string {
		w := httptest.NewRecorder()
		p.Metrics().ServeHTTP(w, httptest.NewRequest("GET", "/metrics/probes", nil))
		return w.Body.String()
	}
	of := func(uid string) Container {
		return Container{Pod: types.UID("uid-" + uid), Namespace: "ns", PodName: "p", Spec: &corev1.Container{Name: "c"}}
	}
	p.counters.count(of("1"), Run{Kind: Liveness, Result: Success}, time.Second)
	p.counters.count(of("1"), Run{Kind: Liveness, Result: Warning}, time.Second)
	p.counters.count(of("1"), Run{Kind: Liveness, Result: Failed}, time.Second)
	p.counters.count(of("1"), Run{Kind: Readiness, Result: Unknown}, time.Second)
	got := page()
	for _, want := range []string{
		`prober_probe_total{container="c",namespace="ns",pod="p",pod_uid="uid-1",probe_type="Liveness",result="successful"} 2`,
		`prober_probe_total{container="c",namespace="ns",pod="p",pod_uid="uid-1",probe_type="Liveness",result="failed"} 1`,
		`prober_probe_total{container="c",namespace="ns",pod="p",pod_uid="uid-1",probe_type="Readiness",result="unknown"} 1`,
		`prober_probe_duration_seconds_sum{container="c",namespace="ns",pod="p",probe_type="Liveness"} 2`,
		`prober_probe_duration_seconds_count{container="c",namespace="ns",pod="p",probe_type="Readiness"} 1`,
	} {
		if !strings.Contains(got, want) {
			t.Errorf("lacks %s:\n%s", want, got)
		}
	}
	p.counters.count(of("2"), Run{Kind: Liveness, Result: Success}, time.Second) // a new pod of the same name
	p.Forget("uid-1")
	if got = page(); strings.Contains(got, "uid-1") || !strings.Contains(got, `prober_probe_duration_seconds_count{container="c",namespace="ns",pod="p",probe_type="Liveness"} 3`) {
		t.Errorf("after the first pod:\n%s", got)
	}
	p.Forget("uid-2")
	if got = page(); strings.Contains(got, `pod="p"`) {
		t.Errorf("after the second pod:\n%s", got)
	}
}
