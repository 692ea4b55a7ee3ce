package v1

import "k8s.io/apimachinery/pkg/runtime"

// DeepCopyInto copies a into out.
func (a *Authentication) DeepCopyInto(out *Authentication) {
	*out = *a
	a.ObjectMeta.DeepCopyInto(&out.ObjectMeta)
}

// DeepCopy returns a copy that shares nothing with a.
func (a *Authentication) DeepCopy() *Authentication {
	if a == nil {
		return nil
	}
	out := new(Authentication)
	a.DeepCopyInto(out)
	return out
}

// DeepCopyObject implements runtime.Object.
func (a *Authentication) DeepCopyObject() runtime.Object {
	if a == nil {
		return nil
	}
	return a.DeepCopy()
}

// DeepCopyObject implements runtime.Object.
func (l *AuthenticationList) DeepCopyObject() runtime.Object {
	if l == nil {
		return nil
	}
	out := new(AuthenticationList)
	*out = *l
	l.ListMeta.DeepCopyInto(&out.ListMeta)
	if l.Items != nil {
		out.Items = make([]Authentication, len(l.Items))
		for i := range l.Items {
			l.Items[i].DeepCopyInto(&out.Items[i])
		}
	}
	return out
}
