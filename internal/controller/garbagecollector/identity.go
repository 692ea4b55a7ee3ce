package garbagecollector

import (
	"cmp"
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// identity is how an object is found, and which one of its name it is. Objects that are
// only known from references to them are assumed to be in the namespace of who refers.
type identity struct {
	apiVersion, kind, namespace, name string
	uid                               types.UID
}

// String is how upstream writes an object in events.
func (i identity) String() string {
	return fmt.Sprintf("[%s/%s, namespace: %s, name: %s, uid: %s]", i.apiVersion, i.kind, i.namespace, i.name, i.uid)
}

// referred is the identity of the owner that a reference of an object of a namespace
// means.
func referred(ref metav1.OwnerReference, namespace string) identity {
	return identity{apiVersion: ref.APIVersion, kind: ref.Kind, namespace: namespace, name: ref.Name, uid: ref.UID}
}

// meant tells whether a reference says the same of its owner as i, wherever that is.
func (i identity) meant(ref metav1.OwnerReference) bool { return referred(ref, i.namespace) == i }

// agree splits objects by whether their references to the owner of i's UID mean i. One
// with several references may be among both.
func agree(dependents []*node, i identity) (yes, no []*node) {
	for _, d := range dependents {
		same, other := false, false
		for _, ref := range d.owners {
			switch {
			case ref.UID != i.uid:
			case i.meant(ref) && (i.namespace == "" || i.namespace == d.namespace):
				same = true
			default:
				other = true
			}
		}
		if same {
			yes = append(yes, d)
		}
		if other {
			no = append(no, d)
		}
	}
	return yes, no
}

// alternative returns the next identity by which objects refer to the owner whose absent
// identity is known, in a fixed order that begins anew at its end. ok is false where there
// is none.
func alternative(dependents []*node, absent identity) (next identity, ok bool) {
	var first, following *identity
	for _, d := range dependents {
		for _, ref := range d.owners {
			other := referred(ref, d.namespace)
			if absent.namespace == "" && other.apiVersion == absent.apiVersion && other.kind == absent.kind {
				other.namespace = "" // the kind is known to have none
			}
			if ref.UID != absent.uid || other == absent {
				continue
			}
			if first == nil || compare(other, *first) < 0 {
				first = &other
			}
			if compare(absent, other) < 0 && (following == nil || compare(other, *following) < 0) {
				following = &other
			}
		}
	}
	switch {
	case following != nil:
		return *following, true
	case first != nil:
		return *first, true
	}
	return identity{}, false
}

func compare(a, b identity) int {
	return cmp.Or(cmp.Compare(a.kind, b.kind), cmp.Compare(a.apiVersion, b.apiVersion),
		cmp.Compare(a.namespace, b.namespace), cmp.Compare(a.name, b.name), cmp.Compare(a.uid, b.uid))
}
