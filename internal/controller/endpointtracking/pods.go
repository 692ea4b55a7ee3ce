// Package endpointtracking is what the controllers of endpoints share: which services a
// change of a pod concerns (pods.go), and which changes of slices somebody else has made
// (slices.go).
//
// What endpoints say is decided by the controllers, internal/controller/endpoints,
// endpointslice and endpointslicemirroring.
package endpointtracking

import (
	"time"

	corev1 "k8s.io/api/core/v1"
	corelisters "k8s.io/client-go/listers/core/v1"
	"k8s.io/client-go/tools/cache"
	endpointsliceutil "k8s.io/endpointslice/util"

	"laterna.dev/laterna/internal/controller/queue"
	"laterna.dev/laterna/internal/controller/run"
)

// Retries are those of upstream's controllers of endpoints that write slices.
func Retries(last time.Duration) queue.Retries {
	return queue.Retries{First: time.Second, Last: last, Most: 15}
}

// Pods returns what queues the services that select a pod, or did before it changed.
func Pods(services corelisters.ServiceLister, q *queue.Queue) cache.ResourceEventHandler {
	changed := func(old, obj any) {
		keys, err := endpointsliceutil.GetServicesToUpdate(services, endpointsliceutil.GetPodUpdateProjectionKey(old, obj))
		if err != nil {
			return // a lister of a cache does not fail
		}
		for key := range keys {
			q.Add(key)
		}
	}
	return cache.ResourceEventHandlerFuncs{
		AddFunc:    func(obj any) { changed(nil, obj) },
		UpdateFunc: changed,
		DeleteFunc: func(obj any) {
			if pod, ok := run.Last[*corev1.Pod](obj); ok {
				changed(pod, nil)
			}
		},
	}
}
