// Package v1beta1 is an older version of shops, which a webhook converts.
package v1beta1

import (
	"fmt"
	"strconv"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/conversion"

	v1 "laterna.dev/laterna/test/tools/controller/v1"
)

// GroupVersion is what the kind of this package is served in.
var GroupVersion = schema.GroupVersion{Group: v1.GroupVersion.Group, Version: "v1beta1"}

// Shop is a v1.Shop with its number as text and its menu by reference.
type Shop struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	Spec   ShopSpec      `json:"spec,omitempty"`
	Status v1.ShopStatus `json:"status,omitempty"`
}

// ShopSpec is what somebody wants of a shop.
type ShopSpec struct {
	Count    string  `json:"count,omitempty"`
	Greeting string  `json:"greeting,omitempty"`
	MenuRef  MenuRef `json:"menuRef"`
}

// MenuRef names a ConfigMap.
type MenuRef struct {
	Name string `json:"name"`
}

// AddToScheme registers the kind.
func AddToScheme(s *runtime.Scheme) {
	s.AddKnownTypes(GroupVersion, &Shop{})
	metav1.AddToGroupVersion(s, GroupVersion)
}

// ConvertTo implements conversion.Convertible.
func (s *Shop) ConvertTo(hub conversion.Hub) error {
	to := hub.(*v1.Shop)
	to.ObjectMeta, to.Status = s.ObjectMeta, s.Status
	to.Spec = v1.ShopSpec{Greeting: s.Spec.Greeting, Menu: s.Spec.MenuRef.Name}
	if s.Spec.Count != "" {
		n, err := strconv.ParseInt(s.Spec.Count, 10, 32)
		if err != nil {
			return fmt.Errorf("spec.count %q is no number", s.Spec.Count)
		}
		to.Spec.Replicas = new(int32(n))
	}
	return nil
}

// ConvertFrom implements conversion.Convertible.
func (s *Shop) ConvertFrom(hub conversion.Hub) error {
	from := hub.(*v1.Shop)
	s.ObjectMeta, s.Status = from.ObjectMeta, from.Status
	s.Spec = ShopSpec{Greeting: from.Spec.Greeting, MenuRef: MenuRef{from.Spec.Menu}}
	if from.Spec.Replicas != nil {
		s.Spec.Count = strconv.Itoa(int(*from.Spec.Replicas))
	}
	return nil
}

// DeepCopyObject implements runtime.Object.
func (s *Shop) DeepCopyObject() runtime.Object {
	out := *s
	s.ObjectMeta.DeepCopyInto(&out.ObjectMeta)
	out.Status.Conditions = nil
	for _, c := range s.Status.Conditions {
		out.Status.Conditions = append(out.Status.Conditions, *c.DeepCopy())
	}
	return &out
}
