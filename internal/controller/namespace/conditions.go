package namespace

import (
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// conditions words findings as upstream does. All five are there as soon as a
// namespace does not go at once.
func conditions(f findings) []corev1.NamespaceCondition {
	objects, finalizers := remaining(f.left)
	discovery := condition(corev1.NamespaceDeletionDiscoveryFailure, "ResourcesDiscovered", "All resources successfully discovered")
	if f.discovery != nil {
		discovery = found(discovery, "DiscoveryFailed", fmt.Sprintf("Discovery failed for some groups, %d failing: %v", failing(f.discovery), f.discovery))
	}
	deletion := condition(corev1.NamespaceDeletionContentFailure, "ContentDeleted", "All content successfully deleted, may be waiting on finalization")
	if f.deletion != nil {
		deletion = found(deletion, "ContentDeletionFailed", fmt.Sprintf("Failed to delete all resource types, %d remaining: %v", failing(f.deletion), f.deletion))
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
	return []corev1.NamespaceCondition{discovery, parsing, deletion, content, waiting}
}

func condition(kind corev1.NamespaceConditionType, reason, message string) corev1.NamespaceCondition {
	return corev1.NamespaceCondition{Type: kind, Status: corev1.ConditionFalse, Reason: reason, Message: message}
}

func found(c corev1.NamespaceCondition, reason, message string) corev1.NamespaceCondition {
	c.Status, c.Reason, c.Message = corev1.ConditionTrue, reason, message
	return c
}

// failing counts the errors that were joined into err.
func failing(err error) int {
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		return len(joined.Unwrap())
	}
	return 1
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
