package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
)

// each copies a list element by element. A nil list stays nil.
func each[T any](in []T, copyInto func(in, out *T)) []T {
	if in == nil {
		return nil
	}
	out := make([]T, len(in))
	for i := range in {
		copyInto(&in[i], &out[i])
	}
	return out
}

// DeepCopyInto copies p into out.
func (p *PodProjection) DeepCopyInto(out *PodProjection) {
	*out = *p
	p.ObjectMeta.DeepCopyInto(&out.ObjectMeta)
	p.Status.DeepCopyInto(&out.Status)
}

// DeepCopy returns a copy that shares nothing with p.
func (p *PodProjection) DeepCopy() *PodProjection {
	if p == nil {
		return nil
	}
	out := new(PodProjection)
	p.DeepCopyInto(out)
	return out
}

// DeepCopyObject implements runtime.Object.
func (p *PodProjection) DeepCopyObject() runtime.Object {
	if p == nil {
		return nil
	}
	return p.DeepCopy()
}

// DeepCopyInto copies l into out.
func (l *PodProjectionList) DeepCopyInto(out *PodProjectionList) {
	*out = *l
	l.ListMeta.DeepCopyInto(&out.ListMeta)
	out.Items = each(l.Items, (*PodProjection).DeepCopyInto)
}

// DeepCopy returns a copy that shares nothing with l.
func (l *PodProjectionList) DeepCopy() *PodProjectionList {
	if l == nil {
		return nil
	}
	out := new(PodProjectionList)
	l.DeepCopyInto(out)
	return out
}

// DeepCopyObject implements runtime.Object.
func (l *PodProjectionList) DeepCopyObject() runtime.Object {
	if l == nil {
		return nil
	}
	return l.DeepCopy()
}

// DeepCopyInto copies s into out.
func (s *PodProjectionStatus) DeepCopyInto(out *PodProjectionStatus) {
	*out = *s
	out.Conditions = each(s.Conditions, (*metav1.Condition).DeepCopyInto)
	out.Volumes = each(s.Volumes, (*VolumeStatus).DeepCopyInto)
}

// DeepCopy returns a copy that shares nothing with s.
func (s *PodProjectionStatus) DeepCopy() *PodProjectionStatus {
	if s == nil {
		return nil
	}
	out := new(PodProjectionStatus)
	s.DeepCopyInto(out)
	return out
}

// DeepCopyInto copies v into out.
func (v *VolumeStatus) DeepCopyInto(out *VolumeStatus) {
	*out = *v
	out.PublishedTime = v.PublishedTime.DeepCopy()
	out.Sources = each(v.Sources, func(in, out *SourceStatus) { *out = *in })
	out.Tokens = each(v.Tokens, (*TokenStatus).DeepCopyInto)
	out.Checks = each(v.Checks, (*OutcomeStatus).DeepCopyInto)
	out.Actions = each(v.Actions, (*OutcomeStatus).DeepCopyInto)
}

// DeepCopyInto copies t into out.
func (t *TokenStatus) DeepCopyInto(out *TokenStatus) {
	*out = *t
	out.IssuedTime = t.IssuedTime.DeepCopy()
	out.ExpirationTime = t.ExpirationTime.DeepCopy()
	out.RotationTime = t.RotationTime.DeepCopy()
}

// DeepCopyInto copies o into out.
func (o *OutcomeStatus) DeepCopyInto(out *OutcomeStatus) {
	*out = *o
	out.Time = *o.Time.DeepCopy()
}
