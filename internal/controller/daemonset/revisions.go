package daemonset

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"laterna.dev/laterna/internal/controller/run"
	"laterna.dev/laterna/internal/controller/workload"
	"laterna.dev/laterna/internal/controller/workload/history"
	"laterna.dev/laterna/internal/registry/core/podspec"
)

// templates is the history of a set's template.
type templates struct {
	current    *appsv1.ControllerRevision
	old        []*appsv1.ControllerRevision // in order
	collisions *int32
}

// hash is the label of pods of the current template.
func (t templates) hash() string { return t.current.Labels[appsv1.ControllerRevisionHashLabelKey] }

// templates makes the revision of the set's template the last one, and the only one of
// that template. It is there already unless the template has changed.
func (c *Controller) templates(ctx context.Context, set *appsv1.DaemonSet, pods []*corev1.Pod, revisions []*appsv1.ControllerRevision) (t templates, err error) {
	history.Sort(revisions)
	t.collisions = set.Status.CollisionCount
	data, err := history.Data(&set.Spec.Template)
	if err != nil {
		return t, err
	}
	var same []*appsv1.ControllerRevision
	for _, r := range revisions {
		if r.Labels[appsv1.ControllerRevisionHashLabelKey] == "" {
			if r, err = c.history.Label(ctx, set, r, appsv1.ControllerRevisionHashLabelKey, r.Name); err != nil {
				return t, err
			}
		}
		if r.DeletionTimestamp == nil && history.Equal(r, data, &set.Spec.Template, podspec.SetDefaults) {
			same = append(same, r)
		} else {
			t.old = append(t.old, r)
		}
	}
	next := history.Next(t.old)
	if len(same) == 0 {
		return c.remember(ctx, set, t, next)
	}
	t.current = same[len(same)-1]
	for _, twin := range same[:len(same)-1] {
		if err := c.unite(ctx, set, pods, twin, t.hash()); err != nil {
			return t, err
		}
	}
	if t.current.Revision < next {
		t.current, err = c.history.Raise(ctx, set, t.current, next)
	}
	return t, err
}

// remember stores the revision of a template that is new.
func (c *Controller) remember(ctx context.Context, set *appsv1.DaemonSet, t templates, number int64) (templates, error) {
	r, err := history.New(set, kind, &set.Spec.Template, number)
	if err != nil {
		return t, err
	}
	before := int32(0)
	if t.collisions != nil {
		before = *t.collisions
	}
	stored, after, err := c.history.Create(ctx, set, r, before, func(r *appsv1.ControllerRevision, collisions int32) {
		count := &collisions
		if collisions == 0 && t.collisions == nil {
			count = nil
		}
		hash := history.HashOfTemplate(&set.Spec.Template, count)
		r.Name = history.Name(set.Name, hash)
		r.Labels[appsv1.ControllerRevisionHashLabelKey] = hash
	})
	if after != before {
		t.collisions = &after
	}
	t.current = stored
	return t, err
}

// unite has the pods of a revision be of another one that holds the same, and deletes it.
func (c *Controller) unite(ctx context.Context, set *appsv1.DaemonSet, pods []*corev1.Pod, twin *appsv1.ControllerRevision, hash string) error {
	for _, pod := range pods {
		if pod.Labels[appsv1.ControllerRevisionHashLabelKey] != twin.Labels[appsv1.ControllerRevisionHashLabelKey] {
			continue
		}
		patch, err := json.Marshal(map[string]any{"metadata": map[string]any{"uid": pod.UID, "labels": map[string]string{appsv1.ControllerRevisionHashLabelKey: hash}}})
		if err != nil {
			return err
		}
		stored, err := c.env.Client.CoreV1().Pods(pod.Namespace).Patch(ctx, pod.Name, types.StrategicMergePatchType, patch, metav1.PatchOptions{})
		switch {
		case run.Overtaken(err):
		case err != nil:
			return fmt.Errorf("labelling pod %s/%s: %w", pod.Namespace, pod.Name, err)
		default:
			c.written.Wrote(set.UID, workload.PodsKind, stored)
		}
	}
	return c.history.Delete(ctx, set, twin)
}

// forget deletes old revisions beyond the set's limit that no pod has. Those that pods have
// count, too.
func (c *Controller) forget(ctx context.Context, set *appsv1.DaemonSet, pods []*corev1.Pod, t templates) error {
	if set.Spec.RevisionHistoryLimit == nil {
		return nil
	}
	used := func(r *appsv1.ControllerRevision) bool {
		return slices.ContainsFunc(pods, func(p *corev1.Pod) bool {
			return p.Labels[appsv1.ControllerRevisionHashLabelKey] == r.Labels[appsv1.ControllerRevisionHashLabelKey]
		})
	}
	limit := int(*set.Spec.RevisionHistoryLimit)
	for _, r := range t.old {
		if used(r) {
			limit--
		}
	}
	var errs []error
	for _, r := range history.Surplus(t.old, max(limit, 0), used) {
		errs = append(errs, c.history.Delete(ctx, set, r))
	}
	return errors.Join(errs...)
}
