// Package scheme lists the API kinds that the server knows: their Go types,
// defaults, selectable fields and encodings.
//
// It owns the list. What a kind means lives in internal/registry/<group>/<resource>;
// how kinds are stored and served lives in internal/apiserver.
//
// The external types are their own internal version: every kind is registered a
// second time under __internal with the same Go type, so that the API server
// library finds the hub that it converts through and converts nothing.
package scheme

import (
	"fmt"

	authenticationv1 "k8s.io/api/authentication/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/utils/clock"

	configv1 "laterna.dev/laterna/api/config/v1"
	identityv1alpha1 "laterna.dev/laterna/api/identity/v1alpha1"
	operatorv1 "laterna.dev/laterna/api/operator/v1"
	"laterna.dev/laterna/api/projection/v1alpha1"
	"laterna.dev/laterna/internal/registry/core/endpoints"
	"laterna.dev/laterna/internal/registry/core/event"
	"laterna.dev/laterna/internal/registry/core/namespace"
	"laterna.dev/laterna/internal/registry/core/node"
	"laterna.dev/laterna/internal/registry/core/pod"
	"laterna.dev/laterna/internal/registry/core/secret"
	"laterna.dev/laterna/internal/registry/core/service"
	"laterna.dev/laterna/internal/registry/projection/podprojection"
	"laterna.dev/laterna/internal/registry/rbac"
)

// Scheme is everything there is to know about kinds apart from their storage.
// It does not change after New and is safe for concurrent use.
type Scheme struct {
	// Scheme knows every kind, its defaults and its selectable fields.
	*runtime.Scheme
	// Codecs encodes as JSON, YAML and protobuf.
	Codecs serializer.CodecFactory
	// Parameters decodes the query parameters of requests.
	Parameters runtime.ParameterCodec
}

// group is an API group-version and how its types are added to a scheme.
type group struct {
	version schema.GroupVersion
	add     func(*runtime.Scheme) error
}

// groups are all group-versions with served kinds.
var groups = []group{
	{corev1.SchemeGroupVersion, corev1.AddToScheme},
	{authenticationv1.SchemeGroupVersion, authenticationv1.AddToScheme},
	{authorizationv1.SchemeGroupVersion, authorizationv1.AddToScheme},
	{coordinationv1.SchemeGroupVersion, coordinationv1.AddToScheme},
	{policyv1.SchemeGroupVersion, policyv1.AddToScheme},
	{rbacv1.SchemeGroupVersion, rbacv1.AddToScheme},
	{v1alpha1.SchemeGroupVersion, v1alpha1.AddToScheme},
	{configv1.SchemeGroupVersion, configv1.AddToScheme},
	{identityv1alpha1.SchemeGroupVersion, identityv1alpha1.AddToScheme},
	{operatorv1.SchemeGroupVersion, operatorv1.AddToScheme},
}

// ours are the groups that this project adds. Their types have no protobuf form.
var ours = map[string]bool{v1alpha1.GroupName: true, configv1.GroupName: true, identityv1alpha1.GroupName: true, operatorv1.GroupName: true}

// kinds adds what the kinds' own packages say about them.
var kinds = []func(*runtime.Scheme) error{
	endpoints.Definition().Register,
	event.Definition().Register,
	namespace.Definition().Register,
	node.Definition().Register,
	pod.Definition().Register, pod.RegisterParameters,
	secret.Definition().Register,
	service.Definition().Register,
	podprojection.Definition(clock.RealClock{}).Register,
	rbac.ClusterRoleBinding().Register,
	rbac.RoleBinding().Register,
}

// New builds the scheme.
func New() (*Scheme, error) {
	s, err := Public()
	if err != nil {
		return nil, err
	}
	for _, g := range groups {
		if err := addHub(s, g.version); err != nil {
			return nil, err
		}
		if err := s.SetVersionPriority(g.version); err != nil {
			return nil, fmt.Errorf("ordering versions of %s: %w", g.version, err)
		}
	}
	for _, register := range kinds {
		if err := register(s); err != nil {
			return nil, fmt.Errorf("registering a kind: %w", err)
		}
	}
	return &Scheme{
		Scheme:     s,
		Codecs:     newCodecs(s),
		Parameters: runtime.NewParameterCodec(s),
	}, nil
}

// Public builds a scheme of the same kinds without hub versions, defaults and
// fields. OpenAPI documents take their names from it.
func Public() (*runtime.Scheme, error) {
	s := runtime.NewScheme()
	for _, g := range groups {
		if err := g.add(s); err != nil {
			return nil, fmt.Errorf("adding kinds of %s: %w", g.version, err)
		}
	}
	s.AddUnversionedTypes(schema.GroupVersion{Version: "v1"},
		&metav1.Status{}, &metav1.APIVersions{}, &metav1.APIGroupList{}, &metav1.APIGroup{}, &metav1.APIResourceList{})
	return s, nil
}

// addHub registers the kinds of a group-version, but not the meta kinds that every
// group has, under the group's internal version.
func addHub(s *runtime.Scheme, gv schema.GroupVersion) error {
	hub := schema.GroupVersion{Group: gv.Group, Version: runtime.APIVersionInternal}
	for kind, t := range s.KnownTypes(gv) {
		if t.PkgPath() == "k8s.io/apimachinery/pkg/apis/meta/v1" {
			continue
		}
		obj, err := s.New(gv.WithKind(kind))
		if err != nil {
			return fmt.Errorf("making a %s: %w", gv.WithKind(kind), err)
		}
		s.AddKnownTypeWithName(hub.WithKind(kind), obj)
	}
	return nil
}

// GroupVersions lists the group-versions of the scheme.
func GroupVersions() []schema.GroupVersion {
	out := make([]schema.GroupVersion, len(groups))
	for i, g := range groups {
		out[i] = g.version
	}
	return out
}
