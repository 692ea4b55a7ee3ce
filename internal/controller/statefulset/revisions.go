package statefulset

import (
	"context"
	"errors"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"

	"laterna.dev/laterna/internal/controller/workload/history"
	"laterna.dev/laterna/internal/registry/core/podspec"
)

// templates are what the pods of a set are made from.
type templates struct {
	// current and update are the revisions of a set's pods before and after an update;
	// the same where there is none.
	current, update *appsv1.ControllerRevision
	collisions      int32
}

// templates makes the revision of the set's template the last one. It is there already
// unless the template has changed.
func (c *Controller) templates(ctx context.Context, set *appsv1.StatefulSet, ordered []*appsv1.ControllerRevision) (templates, error) {
	t := templates{}
	if set.Status.CollisionCount != nil {
		t.collisions = *set.Status.CollisionCount
	}
	wanted, err := history.New(set, kind, &set.Spec.Template, history.Next(ordered))
	if err != nil {
		return t, err
	}
	var equal *appsv1.ControllerRevision
	for _, r := range ordered {
		if r.DeletionTimestamp == nil && history.Equal(r, wanted.Data.Raw, &set.Spec.Template, podspec.SetDefaults) {
			equal = r
		}
		if r.Name == set.Status.CurrentRevision {
			t.current = r
		}
	}
	switch {
	case equal == nil:
		t.update, t.collisions, err = c.history.Create(ctx, set, wanted, t.collisions, func(r *appsv1.ControllerRevision, collisions int32) {
			hash := history.HashOfData(r.Data.Raw, collisions)
			r.Name = history.Name(set.Name, hash)
			r.Labels[history.Label] = hash
		})
	case equal == ordered[len(ordered)-1]:
		t.update = equal
	default:
		t.update, err = c.history.Raise(ctx, set, equal, wanted.Revision)
	}
	if err != nil {
		return t, err
	}
	if t.current == nil || t.current.Name == t.update.Name {
		t.current = t.update
	}
	return t, nil
}

// template is what the pods of a revision are made from. A current revision that holds
// none is as good as gone: what is made is of the update then.
func (t templates) template(set *appsv1.StatefulSet, revision string) *corev1.PodTemplateSpec {
	if revision == t.current.Name && revision != t.update.Name {
		if held, err := history.Template(t.current); err == nil {
			return held
		}
	}
	return &set.Spec.Template
}

// forget deletes revisions that no pod has, beyond the set's limit.
func (c *Controller) forget(ctx context.Context, set *appsv1.StatefulSet, pods []*corev1.Pod, ordered []*appsv1.ControllerRevision, t templates) error {
	if set.DeletionTimestamp != nil || set.Spec.RevisionHistoryLimit == nil {
		return nil
	}
	used := map[string]bool{t.current.Name: true, t.update.Name: true}
	for _, pod := range pods {
		used[revisionOf(pod)] = true
	}
	var errs []error
	for _, r := range history.Surplus(ordered, int(*set.Spec.RevisionHistoryLimit), func(r *appsv1.ControllerRevision) bool { return used[r.Name] }) {
		errs = append(errs, c.history.Delete(ctx, set, r))
	}
	return errors.Join(errs...)
}
