package apiserver

import (
	"context"
	"fmt"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/client/v3/kubernetes"
	"google.golang.org/grpc/metadata"
	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/storage/etcd3"

	projectionv1alpha1 "laterna.dev/laterna/api/projection/v1alpha1"
)

// busy are the resources that are written, or read as fresh as the store, all the time
// where a system works. Each watches the store on a stream of its own: progress that is
// asked for one resource is reported to all watches of its stream, once all have seen
// everything before it. The others share one, since a stream costs eight goroutines and
// their buffers.
func busy(r schema.GroupResource) bool {
	switch r {
	case corev1.Resource("pods"), corev1.Resource("nodes"), corev1.Resource("configmaps"), corev1.Resource("secrets"),
		corev1.Resource("serviceaccounts"), corev1.Resource("namespaces"), coordinationv1.Resource("leases"),
		discoveryv1.Resource("endpointslices"), appsv1.Resource("replicasets"), batchv1.Resource("jobs"),
		projectionv1alpha1.Resource("podprojections"):
		return true
	}
	return false
}

// directStream is that of watches that no cache begins. The store reports no progress on a
// stream with a watch from a revision that is still to come, as one that begins after the
// last write is: clients begin such watches at any time, so that nobody asks progress of it.
const directStream = "direct"

// streamOf returns the stream on which the cache of a resource watches the store. A custom
// resource has one for each of its versions: they come and go.
func (b *backend) streamOf(resource schema.GroupResource) string {
	_, own := b.codecs[resource.Group]
	switch {
	case !own:
		return fmt.Sprintf("%s %d", resource, b.streams.Add(1))
	case busy(resource):
		return resource.String()
	}
	return "others"
}

// clientOn returns a client that shares the connection and watches on a stream.
func (b *backend) clientOn(stream string) *kubernetes.Client {
	shared := b.client
	c := clientv3.NewCtxClient(shared.Ctx())
	c.Cluster, c.Lease, c.Maintenance = shared.Cluster, shared.Lease, shared.Maintenance
	c.KV = b.damaged.View(etcd3.NewETCDLatencyTracker(shared.KV))
	c.Watcher = b.damaged.ViewWatcher(streamWatcher{shared.Watcher, stream})
	k := &kubernetes.Client{Client: c}
	k.Kubernetes = k
	return k
}

// streamWatcher marks watches so that the client library gives those of a name a stream of
// their own.
type streamWatcher struct {
	clientv3.Watcher
	name string
}

func (w streamWatcher) mark(ctx context.Context) context.Context {
	return metadata.AppendToOutgoingContext(ctx, "laterna-stream", w.name)
}

// Watch implements clientv3.Watcher.
func (w streamWatcher) Watch(ctx context.Context, key string, opts ...clientv3.OpOption) clientv3.WatchChan {
	return w.Watcher.Watch(w.mark(ctx), key, opts...)
}

// RequestProgress implements clientv3.Watcher.
func (w streamWatcher) RequestProgress(ctx context.Context) error {
	return w.Watcher.RequestProgress(w.mark(ctx))
}
