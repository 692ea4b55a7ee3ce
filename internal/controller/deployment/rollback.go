package deployment

import (
	"fmt"
	"maps"
	"slices"
	"strconv"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
)

// rollbackTo is the revision to which a deployment is to go back by its annotation, 0 for
// the one before. ok is false where it is not to.
func rollbackTo(d *appsv1.Deployment) (revision int64, ok bool) {
	n, err := strconv.ParseInt(d.Annotations[appsv1.DeprecatedRollbackTo], 10, 64)
	return n, err == nil
}

// outcome is what is recorded of a rollback, as an event.
type outcome struct{ kind, reason, message string }

// rollback gives the deployment the template and the annotations of a former revision, and
// takes the wish for it away, whether it can be fulfilled or not. The revision's number is
// raised when it is rolled out.
func (r *rollout) rollback(to int64) outcome {
	d := r.deployment
	delete(d.Annotations, appsv1.DeprecatedRollbackTo)
	const missing = "DeploymentRollbackRevisionNotFound"
	if to == 0 {
		if to = r.last(); to == 0 {
			return outcome{corev1.EventTypeWarning, missing, "Unable to find last revision."}
		}
	}
	for _, s := range r.all() {
		if revision(s) != to {
			continue
		}
		if sameTemplate(&s.Spec.Template, &d.Spec.Template) {
			return outcome{corev1.EventTypeWarning, "DeploymentRollbackTemplateUnchanged", fmt.Sprintf("The rollback revision contains the same template as current deployment %q", d.Name)}
		}
		d.Spec.Template = *s.Spec.Template.DeepCopy()
		d.Spec.Template.Labels = without(d.Spec.Template.Labels)
		d.Annotations = annotationsOf(d, s)
		return outcome{corev1.EventTypeNormal, "DeploymentRollback", fmt.Sprintf("Rolled back deployment %q to revision %d", d.Name, to)}
	}
	return outcome{corev1.EventTypeWarning, missing, "Unable to find the revision to rollback to."}
}

// annotationsOf are those that a deployment has alone, and those of a set that it shares.
func annotationsOf(d *appsv1.Deployment, s *appsv1.ReplicaSet) map[string]string {
	all := maps.Clone(d.Annotations)
	maps.DeleteFunc(all, func(k, _ string) bool { return !slices.Contains(own, k) })
	for k, v := range s.Annotations {
		if !slices.Contains(own, k) {
			if all == nil {
				all = map[string]string{}
			}
			all[k] = v
		}
	}
	return all
}
