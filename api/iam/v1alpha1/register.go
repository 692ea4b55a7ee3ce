package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// GroupName is the API group.
const GroupName = "iam.laterna.dev"

// The names of the resources.
const (
	Roles                  = "roles"
	Policies               = "policies"
	OpenIDConnectProviders = "openidconnectproviders"
)

// SchemeGroupVersion is the group with its version.
var SchemeGroupVersion = schema.GroupVersion{Group: GroupName, Version: "v1alpha1"}

// Resource returns the group's resource of that name.
func Resource(name string) schema.GroupResource {
	return SchemeGroupVersion.WithResource(name).GroupResource()
}

// AddToScheme adds the kinds of the group to s.
func AddToScheme(s *runtime.Scheme) error {
	s.AddKnownTypes(SchemeGroupVersion,
		&OpenIDConnectProvider{}, &OpenIDConnectProviderList{},
		&Role{}, &RoleList{},
		&Policy{}, &PolicyList{},
	)
	metav1.AddToGroupVersion(s, SchemeGroupVersion)
	return nil
}
