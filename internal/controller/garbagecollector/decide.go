package garbagecollector

import (
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// references are those of an object, by what is known of their owners: solid ones exist,
// dangling ones do not, and waiting ones are deleted once what they own is gone.
type references struct{ solid, dangling, waiting []metav1.OwnerReference }

// verdict is what is to be done with an object that has owners.
type verdict struct {
	// release are owners whose references go; nothing else is done then.
	release []types.UID
	// unblock lets the object's owners go before it, so that a circle ends.
	unblock bool
	// policy is how the object is deleted, "" where it stays.
	policy metav1.DeletionPropagation
}

// decide says what becomes of an object. It stays while it has a solid owner.
func decide(refs references, v view, finalizers []string) verdict {
	switch {
	case len(refs.solid) > 0:
		return verdict{release: uids(append(slices.Clone(refs.dangling), refs.waiting...))}
	case len(refs.waiting) > 0 && v.owns:
		return verdict{unblock: v.circular, policy: metav1.DeletePropagationForeground}
	case slices.Contains(finalizers, metav1.FinalizerOrphanDependents):
		return verdict{policy: metav1.DeletePropagationOrphan}
	case slices.Contains(finalizers, metav1.FinalizerDeleteDependents):
		return verdict{policy: metav1.DeletePropagationForeground}
	}
	return verdict{policy: metav1.DeletePropagationBackground}
}

func uids(refs []metav1.OwnerReference) (all []types.UID) {
	for _, ref := range refs {
		all = append(all, ref.UID)
	}
	return all
}
