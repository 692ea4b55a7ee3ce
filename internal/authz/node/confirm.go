package node

import (
	"context"
	"fmt"
	"sync"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
)

// reads are the reads of the store under way, by node.
type reads struct {
	mu     sync.Mutex
	byNode map[string]*read
}

// read is one listing of a node's pods. A caller may share it only if the caller
// came before it started: it then shows every binding that the caller knows of.
type read struct {
	started chan struct{}
	done    chan struct{}
	found   map[reference]bool
	err     error
	// before is the read that must end first: one at a time for each node.
	before *read
}

// confirm reads the pods of a node from the store and reports whether one refers
// to r.
func (a *Authorizer) confirm(ctx context.Context, node string, r reference) (bool, error) {
	p := a.join(ctx, node)
	select {
	case <-p.done:
	case <-ctx.Done():
		return false, fmt.Errorf("waiting for the pods of node %s: %w", node, context.Cause(ctx))
	}
	return p.found[r], p.err
}

// join returns the next read of a node's pods, starting it if nobody has.
func (a *Authorizer) join(ctx context.Context, node string) *read {
	a.reads.mu.Lock()
	defer a.reads.mu.Unlock()
	last := a.reads.byNode[node]
	if last != nil && !closed(last.started) {
		return last
	}
	p := &read{started: make(chan struct{}), done: make(chan struct{}), before: last}
	a.reads.byNode[node] = p
	go a.list(context.WithoutCancel(ctx), node, p)
	return p
}

// list performs p. It belongs to no single caller, so it has a deadline of its own
// in place of its first caller's.
func (a *Authorizer) list(ctx context.Context, node string, p *read) {
	if p.before != nil {
		<-p.before.done
		p.before = nil
	}
	a.reads.mu.Lock()
	close(p.started)
	a.reads.mu.Unlock()
	ctx, cancel := context.WithTimeout(ctx, confirmTimeout)
	defer cancel()
	pods, err := a.config.Client.CoreV1().Pods(metav1.NamespaceAll).List(ctx, metav1.ListOptions{
		FieldSelector: fields.OneTermEqualSelector("spec.nodeName", node).String(),
	})
	if err != nil {
		p.err = fmt.Errorf("listing the pods of node %s: %w", node, err)
	} else {
		p.found = map[reference]bool{}
		for i := range pods.Items {
			for _, r := range referencesOf(&pods.Items[i]) {
				p.found[r] = true
			}
		}
	}
	a.reads.mu.Lock()
	if a.reads.byNode[node] == p {
		delete(a.reads.byNode, node)
	}
	a.reads.mu.Unlock()
	close(p.done)
}

func closed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}
