package usage

import (
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/admission"
	quota "k8s.io/apiserver/pkg/quota/v1"
	"k8s.io/apiserver/pkg/quota/v1/generic"
)

// byClass stands between the name of a storage class and what of it is limited.
const byClass = ".storageclass.storage.k8s.io/"

func claims(in func(schema.GroupResource) generic.ListFuncByNamespace) quota.Evaluator {
	r := corev1.Resource("persistentvolumeclaims")
	limited := []corev1.ResourceName{corev1.ResourcePersistentVolumeClaims, corev1.ResourceRequestsStorage}
	return &counted[*corev1.PersistentVolumeClaim]{
		resource: r, list: in(r),
		named: func(n corev1.ResourceName) bool {
			_, of, classed := strings.Cut(string(n), byClass)
			return n == count(r) || slices.Contains(limited, n) || classed && slices.Contains(limited, corev1.ResourceName(of))
		},
		charged: func(a admission.Attributes, claim, old *corev1.PersistentVolumeClaim) bool {
			switch a.GetSubresource() {
			case "":
				return a.GetOperation() == admission.Create || a.GetOperation() == admission.Update
			case "status":
				return old != nil && ClaimChanged(claim, old)
			}
			return false
		},
		uses: claimUses,
		in: func(s corev1.ScopedResourceSelectorRequirement, c *corev1.PersistentVolumeClaim) (bool, error) {
			if s.ScopeName != corev1.ResourceQuotaScopeVolumeAttributesClass {
				return false, nil
			}
			return selects(s, attributeClasses(c)...)
		},
	}
}

func claimUses(c *corev1.PersistentVolumeClaim) corev1.ResourceList {
	used := corev1.ResourceList{count(corev1.Resource("persistentvolumeclaims")): number(1), corev1.ResourcePersistentVolumeClaims: number(1)}
	class := c.Annotations[corev1.BetaStorageClassAnnotation]
	if class == "" && c.Spec.StorageClassName != nil {
		class = *c.Spec.StorageClassName
	}
	storage, asked := storageOf(c)
	if asked {
		used[corev1.ResourceRequestsStorage] = storage
	}
	if class != "" {
		used[corev1.ResourceName(class+byClass)+corev1.ResourcePersistentVolumeClaims] = number(1)
		if asked {
			used[corev1.ResourceName(class+byClass)+corev1.ResourceRequestsStorage] = storage
		}
	}
	return used
}

// storageOf is what a claim asks for, or has been given beyond it, in whole bytes.
func storageOf(c *corev1.PersistentVolumeClaim) (resource.Quantity, bool) {
	asked, ok := c.Spec.Resources.Requests[corev1.ResourceStorage]
	if !ok {
		return asked, false
	}
	if given, ok := c.Status.AllocatedResources[corev1.ResourceStorage]; ok && given.Cmp(asked) > 0 {
		asked = given
	}
	whole := asked.DeepCopy()
	whole.RoundUp(0)
	return whole, true
}

// attributeClasses are those that a claim names, has, or is to have.
func attributeClasses(c *corev1.PersistentVolumeClaim) (all []string) {
	for _, name := range []*string{c.Spec.VolumeAttributesClassName, c.Status.CurrentVolumeAttributesClassName} {
		if name != nil {
			all = append(all, *name)
		}
	}
	if s := c.Status.ModifyVolumeStatus; s != nil {
		all = append(all, s.TargetVolumeAttributesClassName)
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// ClaimChanged tells whether the successor of a claim may use something else.
func ClaimChanged(c, old *corev1.PersistentVolumeClaim) bool {
	a, b := c.Status.AllocatedResources.Storage(), old.Status.AllocatedResources.Storage()
	return a.Cmp(*b) != 0 || !slices.Equal(attributeClasses(c), attributeClasses(old))
}
