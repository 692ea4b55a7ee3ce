package endpointtracking

import (
	"context"
	"log/slog"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	corelisters "k8s.io/client-go/listers/core/v1"
	"k8s.io/client-go/tools/cache"
	endpointsliceutil "k8s.io/endpointslice/util"
	"k8s.io/utils/clock"

	"laterna.dev/laterna/internal/controller/queue"
)

// queued returns what handlers add to a queue within a second and a bit.
func queued(t *testing.T, use func(*queue.Queue)) (keys []string) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		q := queue.New(clock.RealClock{})
		done := make(chan struct{})
		go func() {
			defer close(done)
			q.Run(ctx, 1, slog.New(slog.DiscardHandler), func(_ context.Context, key string) error {
				keys = append(keys, key)
				return nil
			})
		}()
		use(q)
		time.Sleep(settle + time.Millisecond)
		cancel()
		<-done
	})
	slices.Sort(keys)
	return keys
}

func TestServicesOfAPod(t *testing.T) {
	indexer := cache.NewIndexer(cache.MetaNamespaceKeyFunc, cache.Indexers{cache.NamespaceIndex: cache.MetaNamespaceIndexFunc})
	for name, selector := range map[string]map[string]string{"a": {"app": "a"}, "b": {"app": "b"}, "all": {}, "none": nil} {
		if err := indexer.Add(&corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: name}, Spec: corev1.ServiceSpec{Selector: selector}}); err != nil {
			t.Fatal(err)
		}
	}
	services := corelisters.NewServiceLister(indexer)
	pod := func(app, version, ip string) *corev1.Pod {
		p := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "p", Labels: map[string]string{"app": app}, ResourceVersion: version}}
		if ip != "" {
			p.Status.PodIPs = []corev1.PodIP{{IP: ip}}
		}
		return p
	}
	for name, tc := range map[string]struct {
		use  func(cache.ResourceEventHandler)
		want []string
	}{
		"new":               {func(h cache.ResourceEventHandler) { h.OnAdd(pod("a", "1", ""), false) }, []string{"ns/a", "ns/all"}},
		"gone":              {func(h cache.ResourceEventHandler) { h.OnDelete(cache.DeletedFinalStateUnknown{Obj: pod("b", "1", "")}) }, []string{"ns/all", "ns/b"}},
		"has an address":    {func(h cache.ResourceEventHandler) { h.OnUpdate(pod("a", "1", ""), pod("a", "2", "10.0.0.1")) }, []string{"ns/a", "ns/all"}},
		"another's":         {func(h cache.ResourceEventHandler) { h.OnUpdate(pod("a", "1", ""), pod("b", "2", "")) }, []string{"ns/a", "ns/b"}},
		"of no consequence": {func(h cache.ResourceEventHandler) { h.OnUpdate(pod("a", "1", ""), pod("a", "2", "")) }, nil},
		"nothing":           {func(h cache.ResourceEventHandler) { h.OnDelete(cache.DeletedFinalStateUnknown{}) }, nil},
	} {
		t.Run(name, func(t *testing.T) {
			if got := queued(t, func(q *queue.Queue) { tc.use(Pods(services, q)) }); !slices.Equal(got, tc.want) {
				t.Errorf("queued %q, want %q", got, tc.want)
			}
		})
	}
}

func TestSlicesThatOthersChange(t *testing.T) {
	slice := func(manager, service string, generation int64) *discoveryv1.EndpointSlice {
		return &discoveryv1.EndpointSlice{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "s", UID: "u", Generation: generation,
			Labels: map[string]string{discoveryv1.LabelManagedBy: manager, discoveryv1.LabelServiceName: service}}}
	}
	written := slice("me", "a", 2)
	for name, tc := range map[string]struct {
		use  func(cache.ResourceEventHandler, *endpointsliceutil.EndpointSliceTracker)
		want []string
	}{
		"what is written itself": {func(h cache.ResourceEventHandler, _ *endpointsliceutil.EndpointSliceTracker) { h.OnAdd(written, false) }, nil},
		"changed by another": {func(h cache.ResourceEventHandler, _ *endpointsliceutil.EndpointSliceTracker) {
			h.OnUpdate(written, slice("me", "a", 3))
		}, []string{"ns/a"}},
		"of another": {func(h cache.ResourceEventHandler, _ *endpointsliceutil.EndpointSliceTracker) {
			h.OnAdd(slice("other", "a", 9), false)
		}, nil},
		"taken away": {func(h cache.ResourceEventHandler, _ *endpointsliceutil.EndpointSliceTracker) {
			h.OnUpdate(written, slice("other", "a", 2))
		}, []string{"ns/a"}},
		"of another service": {func(h cache.ResourceEventHandler, _ *endpointsliceutil.EndpointSliceTracker) {
			h.OnUpdate(written, slice("me", "b", 2))
		}, []string{"ns/a", "ns/b"}},
		"deleted by another": {func(h cache.ResourceEventHandler, _ *endpointsliceutil.EndpointSliceTracker) { h.OnDelete(written) }, []string{"ns/a"}},
		"deleted itself": {func(h cache.ResourceEventHandler, tracker *endpointsliceutil.EndpointSliceTracker) {
			tracker.ExpectDeletion(written)
			h.OnDelete(cache.DeletedFinalStateUnknown{Obj: written})
		}, nil},
		"of no service": {func(h cache.ResourceEventHandler, _ *endpointsliceutil.EndpointSliceTracker) {
			h.OnAdd(slice("me", "", 9), false)
		}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			tracker := endpointsliceutil.NewEndpointSliceTracker()
			tracker.Update(written)
			if got := queued(t, func(q *queue.Queue) { tc.use(Slices("me", tracker, q), tracker) }); !slices.Equal(got, tc.want) {
				t.Errorf("queued %q, want %q", got, tc.want)
			}
		})
	}
}
