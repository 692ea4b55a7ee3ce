package node

import (
	"context"
	"maps"
	"sync"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	apiruntime "k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/tools/cache"
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
			AddFunc:    func(o any) { a.podChanged(o.(*corev1.Pod)) },
			UpdateFunc: func(old, o any) { a.podReplaced(old.(*corev1.Pod), o.(*corev1.Pod)) },
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
func (a *Agent) podChanged(pod *corev1.Pod) {
	if pod.Spec.NodeName != a.cfg.NodeName {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.adopted {
		a.waiting[pod.UID] = pod
		return
	}
	if w, ok := a.workers[pod.UID]; ok {
		w.update(pod)
		return
	}
	w := newWorker(a, pod, a.seen(""))
	a.admitPod(w)
	a.startWorker(w)
}

// podReplaced notices a pod that was deleted and made anew while the watch was
// interrupted. A container that could not be made from the pod's labels and
// annotations is tried again at once when they change.
func (a *Agent) podReplaced(old, pod *corev1.Pod) {
	if old.UID != pod.UID {
		a.podDeleted(old)
	}
	a.podChanged(pod)
	if maps.Equal(old.Labels, pod.Labels) && maps.Equal(old.Annotations, pod.Annotations) {
		return
	}
	if w := a.worker(pod.UID); w != nil {
		w.poke()
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
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.waiting, pod.UID)
	if w, ok := a.workers[pod.UID]; ok {
		w.remove(pod)
	}
}

// startWorker is called with mu held.
func (a *Agent) startWorker(w *worker) {
	a.workers[w.uid] = w
	a.wg.Go(func() { w.run(a.ctx) })
}

// forget drops a worker whose pod is gone everywhere.
func (a *Agent) forget(uid types.UID) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.workers, uid)
}

// worker returns the worker of a pod, nil when there is none.
func (a *Agent) worker(uid types.UID) *worker {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.workers[uid]
}

// Pods returns the pods that the agent runs, as the API has them, in no order. They
// are shared: read only.
func (a *Agent) Pods() []*corev1.Pod {
	a.mu.Lock()
	defer a.mu.Unlock()
	out := make([]*corev1.Pod, 0, len(a.workers))
	for _, w := range a.workers {
		if pod := w.current(); pod != nil {
			out = append(out, pod)
		}
	}
	return out
}
