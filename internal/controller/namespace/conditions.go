package namespace

import (
	"errors"
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/discovery"
)

// conditions words findings as upstream does. All five are there as soon as a
// namespace does not go at once.
func conditions(f findings) []corev1.NamespaceCondition {
	objects, finalizers := remaining(f.left)
	discovery := condition(corev1.NamespaceDeletionDiscoveryFailure, "ResourcesDiscovered", "All resources successfully discovered")
	if f.discovery != nil {
		discovery = found(discovery, "DiscoveryFailed", discoveryFailed(f.discovery))
	}
	deletion := condition(corev1.NamespaceDeletionContentFailure, "ContentDeleted", "All content successfully deleted, may be waiting on finalization")
	if len(f.deletion) > 0 {
		deletion = found(deletion, "ContentDeletionFailed", fmt.Sprintf("Failed to delete all resource types, %d remaining: %s", len(f.deletion), list(texts(f.deletion))))
	}
	content := condition(corev1.NamespaceContentRemaining, "ContentRemoved", "All content successfully removed")
	if len(objects) > 0 {
		content = found(content, "SomeResourcesRemain", "Some resources are remaining: "+list(objects))
	}
	waiting := condition(corev1.NamespaceFinalizersRemaining, "ContentHasNoFinalizers", "All content-preserving finalizers finished")
	if len(finalizers) > 0 {
		waiting = found(waiting, "SomeFinalizersRemain", "Some content in the namespace has finalizers remaining: "+list(finalizers))
	}
	parsing := condition(corev1.NamespaceDeletionGVParsingFailure, "ParsedGroupVersions", "All legacy kube types successfully parsed")
	if f.parsing != nil {
		parsing = found(parsing, "GroupVersionParsingFailed", f.parsing.Error())
	}
	return []corev1.NamespaceCondition{discovery, parsing, deletion, content, waiting}
}

func condition(kind corev1.NamespaceConditionType, reason, message string) corev1.NamespaceCondition {
	return corev1.NamespaceCondition{Type: kind, Status: corev1.ConditionFalse, Reason: reason, Message: message}
}

func found(c corev1.NamespaceCondition, reason, message string) corev1.NamespaceCondition {
	c.Status, c.Reason, c.Message = corev1.ConditionTrue, reason, message
	return c
}

func discoveryFailed(err error) string {
	var groups *discovery.ErrGroupDiscoveryFailed
	if errors.As(err, &groups) {
		return fmt.Sprintf("Discovery failed for some groups, %d failing: %v", len(groups.Groups), err)
	}
	return err.Error()
}

// texts are those of errors, in a fixed order, so that the same failures are no change.
func texts(errs []error) (all []string) {
	for _, err := range errs {
		all = append(all, err.Error())
	}
	slices.Sort(all)
	return all
}

// setConditions puts conditions into a status. A condition keeps the time of its last
// transition as long as its status stays.
func setConditions(s *corev1.NamespaceStatus, all []corev1.NamespaceCondition, now time.Time) {
	for _, c := range all {
		c.LastTransitionTime = metav1.NewTime(now)
		at := slices.IndexFunc(s.Conditions, func(old corev1.NamespaceCondition) bool { return old.Type == c.Type })
		if at < 0 {
			s.Conditions = append(s.Conditions, c)
			continue
		}
		if old := s.Conditions[at]; old.Status == c.Status {
			c.LastTransitionTime = old.LastTransitionTime
		}
		s.Conditions[at] = c
	}
}
