package statefulset

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"laterna.dev/laterna/internal/controller/run"
	"laterna.dev/laterna/internal/controller/workload"
	"laterna.dev/laterna/internal/controller/workload/history"
)

// reconcile does what is to be done for a set now, tells its status, and returns when it
// is to be looked at again.
func (c *Controller) reconcile(ctx context.Context, set *appsv1.StatefulSet, pods []*corev1.Pod, revisions []*appsv1.ControllerRevision) (again time.Duration, err error) {
	history.Sort(revisions)
	t, err := c.templates(ctx, set, revisions)
	if err != nil {
		return 0, err
	}
	v := view{set: set, pods: pods, current: t.current.Name, update: t.update.Name, claim: c.claim(set.Namespace), now: c.env.Wall.Now()}
	p := v.decide()
	w := work{Controller: c, set: set, templates: t}
	err = w.do(ctx, p)
	after := set.DeepCopy()
	after.Status = v.status(w.removed, t.collisions)
	stored, failed := c.commit(ctx, set, after)
	if failed == nil && stored.ResourceVersion != set.ResourceVersion {
		c.written.Wrote(set.UID, setsKind, stored)
	}
	if failed != nil && !apierrors.IsNotFound(failed) {
		err = errors.Join(err, fmt.Errorf("writing the status: %w", failed))
	}
	return p.again, errors.Join(err, c.forget(ctx, set, pods, revisions, t))
}

// claim returns what reads claims of a namespace.
func (c *Controller) claim(namespace string) func(string) *corev1.PersistentVolumeClaim {
	return func(name string) *corev1.PersistentVolumeClaim {
		claim, err := c.claims.PersistentVolumeClaims(namespace).Get(name)
		if err != nil {
			return nil
		}
		return claim
	}
}

// work carries out a plan.
type work struct {
	*Controller
	set       *appsv1.StatefulSet
	templates templates
	mu        sync.Mutex
	removed   []*corev1.Pod
}

func (w *work) do(ctx context.Context, p plan) error {
	for _, steps := range p.phases {
		if p.atOnce {
			if _, err := workload.SlowStart(ctx, len(steps), func(ctx context.Context, i int) error { return w.step(ctx, steps[i]) }); err != nil {
				return err
			}
			continue
		}
		for _, s := range steps {
			if err := w.step(ctx, s); err != nil {
				return err
			}
		}
	}
	return nil
}

func (w *work) step(ctx context.Context, s step) error {
	switch s.do {
	case create:
		return w.create(ctx, s)
	case remove:
		return w.remove(ctx, s)
	case repair:
		return w.repair(ctx, s)
	default:
		return w.settle(ctx, s.pod, s.ordinal)
	}
}

func (w *work) create(ctx context.Context, s step) error {
	pod := newPod(w.set, w.templates.template(w.set, s.revision), s.ordinal, s.revision)
	waits, err := w.claimsOf(ctx, pod, s.ordinal)
	if waits {
		return nil // its claim goes first, which a watch tells
	}
	if err != nil {
		w.record("create", pod, err)
		return err
	}
	made, err := w.env.Client.CoreV1().Pods(pod.Namespace).Create(ctx, pod, metav1.CreateOptions{})
	switch {
	case apierrors.HasStatusCause(err, corev1.NamespaceTerminatingCause):
		return nil
	case apierrors.IsAlreadyExists(err):
		return fmt.Errorf("creating pod %s/%s: %w", pod.Namespace, pod.Name, err)
	}
	w.record("create", pod, err)
	if err != nil {
		return fmt.Errorf("creating pod %s/%s: %w", pod.Namespace, pod.Name, err)
	}
	w.written.Wrote(w.set.UID, workload.PodsKind, made)
	return nil
}

func (w *work) remove(ctx context.Context, s step) error {
	err := run.DeletePod(ctx, w.env, s.pod, nil)
	if run.Overtaken(err) {
		err = nil
	} else {
		w.record("delete", s.pod, err)
	}
	if err != nil {
		return fmt.Errorf("deleting pod %s/%s: %w", s.pod.Namespace, s.pod.Name, err)
	}
	w.written.Deleted(w.set.UID, workload.PodsKind, s.pod)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.removed = append(w.removed, s.pod)
	return nil
}

// repair labels a pod anew. Of one that lacks its claims nothing else can be changed; the
// server says so.
func (w *work) repair(ctx context.Context, s step) error {
	pod := itself(w.set, s.pod, s.ordinal)
	stored, err := w.env.Client.CoreV1().Pods(pod.Namespace).Update(ctx, pod, metav1.UpdateOptions{})
	if run.Overtaken(err) {
		return nil
	}
	w.record("update", pod, err)
	if err != nil {
		return fmt.Errorf("updating pod %s/%s: %w", pod.Namespace, pod.Name, err)
	}
	w.written.Wrote(w.set.UID, workload.PodsKind, stored)
	return nil
}

var titles = map[string]string{"create": "Create", "delete": "Delete", "update": "Update"}

// record records what was done with a pod, or why it was not.
func (w *work) record(verb string, pod *corev1.Pod, err error) {
	what := fmt.Sprintf("%s Pod %s in StatefulSet %s", verb, pod.Name, w.set.Name)
	if err != nil {
		w.loop.Events().Eventf(w.set, corev1.EventTypeWarning, "Failed"+titles[verb], "%s failed error: %v", what, err)
		return
	}
	w.loop.Events().Eventf(w.set, corev1.EventTypeNormal, "Successful"+titles[verb], "%s successful", what)
}
