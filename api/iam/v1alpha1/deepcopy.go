package v1alpha1

import (
	"slices"

	"k8s.io/apimachinery/pkg/runtime"
)

// DeepCopyInto copies p into out.
func (p *OpenIDConnectProvider) DeepCopyInto(out *OpenIDConnectProvider) {
	*out = *p
	p.ObjectMeta.DeepCopyInto(&out.ObjectMeta)
	out.Spec.ClientIDs = slices.Clone(p.Spec.ClientIDs)
	out.Spec.Thumbprints = slices.Clone(p.Spec.Thumbprints)
	out.Spec.Tags = slices.Clone(p.Spec.Tags)
	out.Status.CreateDate = p.Status.CreateDate.DeepCopy()
}

// DeepCopy returns a copy that shares nothing with p.
func (p *OpenIDConnectProvider) DeepCopy() *OpenIDConnectProvider {
	if p == nil {
		return nil
	}
	out := new(OpenIDConnectProvider)
	p.DeepCopyInto(out)
	return out
}

// DeepCopyObject implements runtime.Object.
func (p *OpenIDConnectProvider) DeepCopyObject() runtime.Object {
	if p == nil {
		return nil
	}
	return p.DeepCopy()
}

// DeepCopyInto copies l into out.
func (l *OpenIDConnectProviderList) DeepCopyInto(out *OpenIDConnectProviderList) {
	*out = *l
	l.ListMeta.DeepCopyInto(&out.ListMeta)
	if l.Items == nil {
		return
	}
	out.Items = make([]OpenIDConnectProvider, len(l.Items))
	for i := range l.Items {
		l.Items[i].DeepCopyInto(&out.Items[i])
	}
}

// DeepCopy returns a copy that shares nothing with l.
func (l *OpenIDConnectProviderList) DeepCopy() *OpenIDConnectProviderList {
	if l == nil {
		return nil
	}
	out := new(OpenIDConnectProviderList)
	l.DeepCopyInto(out)
	return out
}

// DeepCopyObject implements runtime.Object.
func (l *OpenIDConnectProviderList) DeepCopyObject() runtime.Object {
	if l == nil {
		return nil
	}
	return l.DeepCopy()
}

// DeepCopyInto copies r into out.
func (r *Role) DeepCopyInto(out *Role) {
	*out = *r
	r.ObjectMeta.DeepCopyInto(&out.ObjectMeta)
	out.Spec.InlinePolicies = slices.Clone(r.Spec.InlinePolicies)
	out.Spec.AttachedPolicies = slices.Clone(r.Spec.AttachedPolicies)
	out.Spec.Tags = slices.Clone(r.Spec.Tags)
	out.Status.Principals = slices.Clone(r.Status.Principals)
}

// DeepCopy returns a copy that shares nothing with r.
func (r *Role) DeepCopy() *Role {
	if r == nil {
		return nil
	}
	out := new(Role)
	r.DeepCopyInto(out)
	return out
}

// DeepCopyObject implements runtime.Object.
func (r *Role) DeepCopyObject() runtime.Object {
	if r == nil {
		return nil
	}
	return r.DeepCopy()
}

// DeepCopyInto copies l into out.
func (l *RoleList) DeepCopyInto(out *RoleList) {
	*out = *l
	l.ListMeta.DeepCopyInto(&out.ListMeta)
	if l.Items == nil {
		return
	}
	out.Items = make([]Role, len(l.Items))
	for i := range l.Items {
		l.Items[i].DeepCopyInto(&out.Items[i])
	}
}

// DeepCopy returns a copy that shares nothing with l.
func (l *RoleList) DeepCopy() *RoleList {
	if l == nil {
		return nil
	}
	out := new(RoleList)
	l.DeepCopyInto(out)
	return out
}

// DeepCopyObject implements runtime.Object.
func (l *RoleList) DeepCopyObject() runtime.Object {
	if l == nil {
		return nil
	}
	return l.DeepCopy()
}

// DeepCopyInto copies p into out.
func (p *Policy) DeepCopyInto(out *Policy) {
	*out = *p
	p.ObjectMeta.DeepCopyInto(&out.ObjectMeta)
	out.Spec.Tags = slices.Clone(p.Spec.Tags)
}

// DeepCopy returns a copy that shares nothing with p.
func (p *Policy) DeepCopy() *Policy {
	if p == nil {
		return nil
	}
	out := new(Policy)
	p.DeepCopyInto(out)
	return out
}

// DeepCopyObject implements runtime.Object.
func (p *Policy) DeepCopyObject() runtime.Object {
	if p == nil {
		return nil
	}
	return p.DeepCopy()
}

// DeepCopyInto copies l into out.
func (l *PolicyList) DeepCopyInto(out *PolicyList) {
	*out = *l
	l.ListMeta.DeepCopyInto(&out.ListMeta)
	if l.Items == nil {
		return
	}
	out.Items = make([]Policy, len(l.Items))
	for i := range l.Items {
		l.Items[i].DeepCopyInto(&out.Items[i])
	}
}

// DeepCopy returns a copy that shares nothing with l.
func (l *PolicyList) DeepCopy() *PolicyList {
	if l == nil {
		return nil
	}
	out := new(PolicyList)
	l.DeepCopyInto(out)
	return out
}

// DeepCopyObject implements runtime.Object.
func (l *PolicyList) DeepCopyObject() runtime.Object {
	if l == nil {
		return nil
	}
	return l.DeepCopy()
}
