package v1

import (
	"slices"

	"k8s.io/apimachinery/pkg/runtime"
)

// DeepCopyInto copies k into out.
func (k *KubeAPIServer) DeepCopyInto(out *KubeAPIServer) {
	*out = *k
	k.ObjectMeta.DeepCopyInto(&out.ObjectMeta)
	k.Status.DeepCopyInto(&out.Status)
}

// DeepCopy returns a copy that shares nothing with k.
func (k *KubeAPIServer) DeepCopy() *KubeAPIServer {
	if k == nil {
		return nil
	}
	out := new(KubeAPIServer)
	k.DeepCopyInto(out)
	return out
}

// DeepCopyObject implements runtime.Object.
func (k *KubeAPIServer) DeepCopyObject() runtime.Object {
	if k == nil {
		return nil
	}
	return k.DeepCopy()
}

// DeepCopyInto copies s into out.
func (s *KubeAPIServerStatus) DeepCopyInto(out *KubeAPIServerStatus) {
	*out = *s
	out.Conditions = slices.Clone(s.Conditions)
	for i := range out.Conditions {
		out.Conditions[i].LastTransitionTime = *s.Conditions[i].LastTransitionTime.DeepCopy()
	}
	out.NodeStatuses = slices.Clone(s.NodeStatuses)
	out.ServiceAccountIssuers = slices.Clone(s.ServiceAccountIssuers)
	for i := range out.ServiceAccountIssuers {
		out.ServiceAccountIssuers[i].ExpirationTime = s.ServiceAccountIssuers[i].ExpirationTime.DeepCopy()
	}
}

// DeepCopyObject implements runtime.Object.
func (l *KubeAPIServerList) DeepCopyObject() runtime.Object {
	if l == nil {
		return nil
	}
	out := new(KubeAPIServerList)
	*out = *l
	l.ListMeta.DeepCopyInto(&out.ListMeta)
	if l.Items != nil {
		out.Items = make([]KubeAPIServer, len(l.Items))
		for i := range l.Items {
			l.Items[i].DeepCopyInto(&out.Items[i])
		}
	}
	return out
}
