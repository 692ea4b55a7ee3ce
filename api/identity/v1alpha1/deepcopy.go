package v1alpha1

import "k8s.io/apimachinery/pkg/runtime"

// DeepCopyInto copies k into out.
func (k *SigningKey) DeepCopyInto(out *SigningKey) {
	*out = *k
	k.ObjectMeta.DeepCopyInto(&out.ObjectMeta)
	k.Status.DeepCopyInto(&out.Status)
}

// DeepCopy returns a copy that shares nothing with k.
func (k *SigningKey) DeepCopy() *SigningKey {
	if k == nil {
		return nil
	}
	out := new(SigningKey)
	k.DeepCopyInto(out)
	return out
}

// DeepCopyObject implements runtime.Object.
func (k *SigningKey) DeepCopyObject() runtime.Object {
	if k == nil {
		return nil
	}
	return k.DeepCopy()
}

// DeepCopyInto copies l into out.
func (l *SigningKeyList) DeepCopyInto(out *SigningKeyList) {
	*out = *l
	l.ListMeta.DeepCopyInto(&out.ListMeta)
	if l.Items == nil {
		return
	}
	out.Items = make([]SigningKey, len(l.Items))
	for i := range l.Items {
		l.Items[i].DeepCopyInto(&out.Items[i])
	}
}

// DeepCopy returns a copy that shares nothing with l.
func (l *SigningKeyList) DeepCopy() *SigningKeyList {
	if l == nil {
		return nil
	}
	out := new(SigningKeyList)
	l.DeepCopyInto(out)
	return out
}

// DeepCopyObject implements runtime.Object.
func (l *SigningKeyList) DeepCopyObject() runtime.Object {
	if l == nil {
		return nil
	}
	return l.DeepCopy()
}

// DeepCopyInto copies s into out.
func (s *SigningKeyStatus) DeepCopyInto(out *SigningKeyStatus) {
	*out = *s
	out.Published = s.Published.DeepCopy()
	out.SignsFrom = s.SignsFrom.DeepCopy()
	out.Retired = s.Retired.DeepCopy()
	out.Expires = s.Expires.DeepCopy()
}

// DeepCopy returns a copy that shares nothing with s.
func (s *SigningKeyStatus) DeepCopy() *SigningKeyStatus {
	if s == nil {
		return nil
	}
	out := new(SigningKeyStatus)
	s.DeepCopyInto(out)
	return out
}
