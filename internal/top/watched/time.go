package watched

import (
	"context"
	"encoding/json"

	"k8s.io/apimachinery/pkg/api/meta"

	"laterna.dev/laterna/internal/top/picture"
	"laterna.dev/laterna/internal/webui/projections"
)

// The ConfigMap that changes when a test moves the clock, see internal/controller/testclock.
const (
	clockNamespace = "kube-system"
	clockName      = "laterna-test-clock"
)

// moved looks at what may be the clock's ConfigMap.
func (w *Watched) moved(ctx context.Context, object any) {
	if m, err := meta.Accessor(object); err == nil && m.GetName() == clockName && m.GetNamespace() == clockNamespace {
		w.askTime(ctx)
	}
	w.notify()
}

// askTime asks for the server's time. A server that does not tell has this machine's.
func (w *Watched) askTime(ctx context.Context) {
	before := w.cfg.Clock.Now()
	raw, err := w.client.Discovery().RESTClient().Get().AbsPath(projections.ClockPath).Do(ctx).Raw()
	var told projections.Time
	if err != nil || json.Unmarshal(raw, &told) != nil || told.System.IsZero() {
		return
	}
	after := w.cfg.Clock.Now()
	middle := before.Add(after.Sub(before) / 2)
	w.mu.Lock()
	w.time = picture.Clock{System: told.System.Sub(middle), Wall: told.Wall.Sub(middle)}
	w.mu.Unlock()
	w.notify()
}

// Time is the server's against this machine's.
func (w *Watched) Time() picture.Clock {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.time
}
