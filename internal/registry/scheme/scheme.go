// Package scheme builds what the API server library must know of kinds: their Go
// types, defaults, selectable fields and encodings.
//
// Which kinds there are is the table of internal/registry, what a kind means lives in
// internal/registry/<group>/<resource>, how kinds are stored and served in
// internal/apiserver.
//
// The external types are their own internal version: every kind is registered a
// second time under __internal with the same Go type, so that the API server
// library finds the hub that it converts through and converts nothing.
package scheme

import (
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer"
)

// Group is an API group-version.
type Group struct {
	Version schema.GroupVersion
	// AddToScheme adds its types.
	AddToScheme func(*runtime.Scheme) error
	// Hub adds the types that the external ones are converted through, where a library
	// works on types of its own. Optional.
	Hub func(*runtime.Scheme) error
	// Register adds what its kinds' own packages say about them.
	Register []func(*runtime.Scheme) error
}

// Scheme is everything there is to know about kinds apart from their storage.
// It does not change after New and is safe for concurrent use.
type Scheme struct {
	// Scheme knows every kind, its defaults and its selectable fields.
	*runtime.Scheme
	// Codecs encodes as JSON, YAML and protobuf.
	Codecs serializer.CodecFactory
	// Parameters decodes the query parameters of requests.
	Parameters runtime.ParameterCodec

	groups []Group
	// jsonOnly are the groups with types that have no protobuf form.
	jsonOnly map[string]bool
}

// New builds the scheme of the kinds of groups. A group that has several versions stores
// its objects in the first.
func New(groups []Group) (*Scheme, error) {
	s, err := public(groups)
	if err != nil {
		return nil, err
	}
	jsonOnly, versions := map[string]bool{}, map[string][]schema.GroupVersion{}
	for _, g := range groups {
		if !inProtobuf(s, g.Version) {
			jsonOnly[g.Version.Group] = true
		}
		if err := g.addHub(s); err != nil {
			return nil, err
		}
		versions[g.Version.Group] = append(versions[g.Version.Group], g.Version)
		if err := s.SetVersionPriority(versions[g.Version.Group]...); err != nil {
			return nil, fmt.Errorf("ordering versions of %s: %w", g.Version, err)
		}
		for _, register := range g.Register {
			if err := register(s); err != nil {
				return nil, fmt.Errorf("registering a kind of %s: %w", g.Version, err)
			}
		}
	}
	return &Scheme{
		Scheme:     s,
		Codecs:     newCodecs(s),
		Parameters: runtime.NewParameterCodec(s),
		groups:     groups,
		jsonOnly:   jsonOnly,
	}, nil
}

// Public builds a scheme of the same kinds without hub versions, defaults and
// fields. OpenAPI documents take their names from it.
func (s *Scheme) Public() (*runtime.Scheme, error) { return public(s.groups) }

func public(groups []Group) (*runtime.Scheme, error) {
	s := runtime.NewScheme()
	for _, g := range groups {
		if err := g.AddToScheme(s); err != nil {
			return nil, fmt.Errorf("adding kinds of %s: %w", g.Version, err)
		}
	}
	s.AddUnversionedTypes(schema.GroupVersion{Version: "v1"},
		&metav1.Status{}, &metav1.APIVersions{}, &metav1.APIGroupList{}, &metav1.APIGroup{}, &metav1.APIResourceList{})
	return s, nil
}

// metaTypes is the package of the kinds that every group has.
const metaTypes = "k8s.io/apimachinery/pkg/apis/meta/v1"

// inProtobuf tells whether all kinds of a group-version have a protobuf form. Those of
// Kubernetes do, those that a project adds do not.
func inProtobuf(s *runtime.Scheme, gv schema.GroupVersion) bool {
	type message interface {
		Marshal() ([]byte, error)
		Unmarshal([]byte) error
	}
	for kind, t := range s.KnownTypes(gv) {
		if t.PkgPath() == metaTypes {
			continue
		}
		obj, err := s.New(gv.WithKind(kind))
		if _, ok := obj.(message); err != nil || !ok {
			return false
		}
	}
	return true
}

// addHub registers the kinds of a group-version, but not the meta kinds that every
// group has, under the group's internal version. Of a kind that several versions have the
// first is the hub.
func (g Group) addHub(s *runtime.Scheme) error {
	gv := g.Version
	if g.Hub != nil {
		if err := g.Hub(s); err != nil {
			return fmt.Errorf("adding internal kinds of %s: %w", gv, err)
		}
		return nil
	}
	hub := schema.GroupVersion{Group: gv.Group, Version: runtime.APIVersionInternal}
	for kind, t := range s.KnownTypes(gv) {
		if t.PkgPath() == metaTypes {
			continue
		}
		if s.Recognizes(hub.WithKind(kind)) {
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
func (s *Scheme) GroupVersions() []schema.GroupVersion {
	out := make([]schema.GroupVersion, len(s.groups))
	for i, g := range s.groups {
		out[i] = g.Version
	}
	return out
}
