package node

import (
	"context"
	"maps"
	"sync"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	apiruntime "k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/tools/cache"

	"laterna.dev/laterna/internal/node/admit"
	"laterna.dev/laterna/internal/node/podworker"
)

// watchAPI follows the pods that are bound to this node, and all services (their
// addresses go into environments). It returns what must have synced before a pod
// may start.
func (a *Agent) watchAPI(ctx context.Context, wg *sync.WaitGroup) []cache.DoneChecker {
	selector := fields.OneTermEqualSelector("spec.nodeName", a.cfg.NodeName).String()
	pods := a.cfg.Client.CoreV1().Pods(metav1.NamespaceAll)
	_, podInformer := cache.NewInformerWithOptions(cache.InformerOptions{
		ListerWatcher: cache.ToListWatcherWithWatchListSemantics(&cache.ListWatch{
			ListWithContextFunc: func(ctx context.Context, o metav1.ListOptions) (apiruntime.Object, error) {
				o.FieldSelector = selector
				return pods.List(ctx, o)
			},
			WatchFuncWithContext: func(ctx context.Context, o metav1.ListOptions) (watch.Interface, error) {
				o.FieldSelector = selector
				return pods.Watch(ctx, o)
			},
		}, a.cfg.Client),
		ObjectType: &corev1.Pod{},
		Handler: cache.ResourceEventHandlerFuncs{
			AddFunc:    func(o any) { a.podChanged(ctx, o.(*corev1.Pod)) },
			UpdateFunc: func(old, o any) { a.podReplaced(ctx, old.(*corev1.Pod), o.(*corev1.Pod)) },
			DeleteFunc: a.podDeleted,
		},
	})
	services := a.cfg.Client.CoreV1().Services(metav1.NamespaceAll)
	store, serviceInformer := cache.NewInformerWithOptions(cache.InformerOptions{
		ListerWatcher: cache.ToListWatcherWithWatchListSemantics(&cache.ListWatch{
			ListWithContextFunc: func(ctx context.Context, o metav1.ListOptions) (apiruntime.Object, error) {
				return services.List(ctx, o)
			},
			WatchFuncWithContext: func(ctx context.Context, o metav1.ListOptions) (watch.Interface, error) {
				return services.Watch(ctx, o)
			},
		}, a.cfg.Client),
		ObjectType: &corev1.Service{},
		Handler:    cache.ResourceEventHandlerFuncs{},
	})
	a.services = store
	wg.Go(func() { podInformer.RunWithContext(ctx) })
	wg.Go(func() { serviceInformer.RunWithContext(ctx) })
	return []cache.DoneChecker{podInformer.HasSyncedChecker(), serviceInformer.HasSyncedChecker()}
}

// podChanged gives a pod to its worker, making one for a new pod.
func (a *Agent) podChanged(ctx context.Context, pod *corev1.Pod) {
	if pod.Spec.NodeName != a.cfg.NodeName {
		return
	}
	a.pods.mu.Lock()
	defer a.pods.mu.Unlock()
	if a.pods.deps == nil {
		a.pods.waiting[pod.UID] = pod
		return
	}
	if w, ok := a.pods.byUID[pod.UID]; ok {
		a.resizes.Consider(pod)
		w.Update(pod)
		return
	}
	a.pods.start(pod, podworker.Origin{Seen: a.seen(""), Refused: a.admit(ctx, pod)})
}

// podReplaced notices a pod that was deleted and made anew while the watch was
// interrupted. A container that could not be made from the pod's labels and
// annotations is tried again at once when they change.
func (a *Agent) podReplaced(ctx context.Context, old, pod *corev1.Pod) {
	if old.UID != pod.UID {
		a.podDeleted(old)
	}
	a.podChanged(ctx, pod)
	if maps.Equal(old.Labels, pod.Labels) && maps.Equal(old.Annotations, pod.Annotations) {
		return
	}
	if w := a.pods.of(pod.UID); w != nil {
		w.Poke()
	}
}

// podDeleted tells the worker that the API has the pod no more.
func (a *Agent) podDeleted(o any) {
	if unknown, ok := o.(cache.DeletedFinalStateUnknown); ok {
		o = unknown.Obj
	}
	pod, ok := o.(*corev1.Pod)
	if !ok {
		return
	}
	a.pods.mu.Lock()
	defer a.pods.mu.Unlock()
	delete(a.pods.waiting, pod.UID)
	if w, ok := a.pods.byUID[pod.UID]; ok {
		w.Remove(pod)
	}
}

// Pods returns the pods that the agent runs, as the API has them, in no order. They
// are shared: read only.
func (a *Agent) Pods() []*corev1.Pod {
	all := a.pods.snapshots()
	out := make([]*corev1.Pod, 0, len(all))
	for _, s := range all {
		out = append(out, s.API)
	}
	return out
}

// evict has a pod ended for good because it took more than its share.
func (a *Agent) evict(pod *corev1.Pod, message string) {
	if admit.Critical(pod) {
		a.cfg.Log.Warn("a critical pod is not evicted", "namespace", pod.Namespace, "pod", pod.Name, "reason", message)
		return
	}
	if w := a.pods.of(pod.UID); w != nil {
		w.Evict(message)
	}
}
