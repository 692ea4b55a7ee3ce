package registration

import (
	"context"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/resourceversion"
	"k8s.io/apimachinery/pkg/watch"

	"laterna.dev/laterna/internal/follow"
	"laterna.dev/laterna/internal/wait"
)

// foreignEvery is the least time between two looks for what others wrote: two agents of one
// name would write against each other without a pause.
const foreignEvery = 500 * time.Millisecond

// follow keeps up with what others write into the node, so that an extended resource that
// is offered can be used at once, and that what is the agent's own comes back.
func (r *Registrar) follow(ctx context.Context) {
	nodes := r.cfg.Client.CoreV1().Nodes()
	follow.Object[*corev1.Node]{
		Name:  r.cfg.NodeName,
		List:  func(ctx context.Context, o metav1.ListOptions) (runtime.Object, error) { return nodes.List(ctx, o) },
		Watch: func(ctx context.Context, o metav1.ListOptions) (watch.Interface, error) { return nodes.Watch(ctx, o) },
	}.Run(ctx, r.cfg.Wall, follow.Handler[*corev1.Node]{
		Seen: func(ctx context.Context, node *corev1.Node) error {
			if r.observe(node) {
				wait.Pause(ctx, r.cfg.Wall, foreignEvery)
			}
			return nil
		},
		// The next look registers it again.
		Missing: func(context.Context) error { r.forget(); return nil },
		Failed: func(err error) bool {
			r.cfg.Log.Warn("node not followed", "node", r.cfg.NodeName, "error", err)
			return true
		},
	})
}

// observe takes over a node that is newer than what was read last, and tells whether it
// was. Before the first look it does not: what the API shows then was written by an agent
// that ran before.
func (r *Registrar) observe(node *corev1.Node) (newer bool) {
	r.mu.Lock()
	newer = r.node != nil && (r.node.UID != node.UID || after(node.ResourceVersion, r.node.ResourceVersion))
	if newer {
		r.take(node)
	}
	r.mu.Unlock()
	if newer {
		r.Changed()
	}
	return newer
}

// after tells whether a resource version is later than another. Of versions that cannot
// be compared the one that is seen is.
func after(version, than string) bool {
	order, err := resourceversion.CompareResourceVersion(version, than)
	return order > 0 || err != nil && version != than
}
