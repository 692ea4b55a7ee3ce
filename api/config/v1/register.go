package v1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// GroupName is the API group.
const GroupName = "config.openshift.io"

// Name is that of the only Authentication there is.
const Name = "cluster"

// SchemeGroupVersion is the group with its version.
var SchemeGroupVersion = schema.GroupVersion{Group: GroupName, Version: "v1"}

// Authentications is the resource of the kind.
var Authentications = SchemeGroupVersion.WithResource("authentications")

// AddToScheme adds the kinds of the group to s.
func AddToScheme(s *runtime.Scheme) error {
	s.AddKnownTypes(SchemeGroupVersion, &Authentication{}, &AuthenticationList{})
	metav1.AddToGroupVersion(s, SchemeGroupVersion)
	return nil
}
