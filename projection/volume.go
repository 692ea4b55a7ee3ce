package projection

import (
	"errors"
	"fmt"
	"reflect"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/sets"
)

// DefaultMode is the mode of files when a volume gives none, as the API server's
// defaults do.
const DefaultMode int32 = 0o644

// ErrUnsupported is wrapped by the error for a volume or source of another kind.
var ErrUnsupported = errors.New("not supported")

// Sources gives a volume the things it refers to. A nil function is the same as one
// that finds nothing to be supported. Objects are only read.
type Sources struct {
	// Secret and ConfigMap return an object of the pod's namespace. For a missing one
	// the error must satisfy apierrors.IsNotFound, which an optional source forgives.
	Secret    func(name string) (*corev1.Secret, error)
	ConfigMap func(name string) (*corev1.ConfigMap, error)
	// Token returns a token of the pod's service account, bound to the pod.
	Token func(TokenRef) ([]byte, error)
	// Allocatable is what the node offers: the value of limits that are not set.
	Allocatable corev1.ResourceList
}

func (p *projector) volume(v *corev1.Volume) error {
	switch {
	case v.Secret != nil:
		p.mode, p.user = mode(v.Secret.DefaultMode, DefaultMode), v.Secret.DefaultUser
		return p.secret(v.Secret.SecretName, v.Secret.Items, v.Secret.Optional)
	case v.ConfigMap != nil:
		p.mode, p.user = mode(v.ConfigMap.DefaultMode, DefaultMode), v.ConfigMap.DefaultUser
		return p.configMap(v.ConfigMap.Name, v.ConfigMap.Items, v.ConfigMap.Optional)
	case v.DownwardAPI != nil:
		p.mode, p.user = mode(v.DownwardAPI.DefaultMode, DefaultMode), v.DownwardAPI.DefaultUser
		return p.downward(v.DownwardAPI.Items)
	case v.Projected != nil:
		p.mode, p.user = mode(v.Projected.DefaultMode, DefaultMode), v.Projected.DefaultUser
		return p.projected(v.Projected.Sources)
	}
	return fmt.Errorf("volume of kind %q is %w", Kind(v), ErrUnsupported)
}

// Projected tells whether Volume can make the files of v.
func Projected(v *corev1.Volume) bool {
	return v.Secret != nil || v.ConfigMap != nil || v.DownwardAPI != nil || v.Projected != nil
}

// Kind returns the name of the field that says what kind of volume v is ("secret",
// "hostPath" …), or "" when none is set.
func Kind(v *corev1.Volume) string { return setField(reflect.ValueOf(v.VolumeSource)) }

// UnsupportedSource returns the name of the field that makes s a source that Volume
// cannot show, or "".
func UnsupportedSource(s *corev1.VolumeProjection) string {
	if s.Secret != nil || s.ConfigMap != nil || s.DownwardAPI != nil || s.ServiceAccountToken != nil {
		return ""
	}
	return setField(reflect.ValueOf(*s))
}

// setField returns the JSON name of the first pointer field that is set.
func setField(s reflect.Value) string {
	for i := range s.NumField() {
		if f := s.Field(i); f.Kind() == reflect.Pointer && !f.IsNil() {
			name, _, _ := strings.Cut(s.Type().Field(i).Tag.Get("json"), ",")
			return name
		}
	}
	return ""
}

// ObjectKind is a kind of objects that volumes refer to, as the text of a NotFound error
// calls it.
type ObjectKind string

// The kinds of objects that volumes refer to.
const (
	Secret    ObjectKind = "secret"
	ConfigMap ObjectKind = "configmap"
)

// APIKind returns the kind as the API spells it, "" for a kind that is none of these.
func (k ObjectKind) APIKind() string {
	switch k {
	case Secret:
		return "Secret"
	case ConfigMap:
		return "ConfigMap"
	}
	return ""
}

// Ref names an object that a volume needs, in the pod's namespace.
type Ref struct {
	Kind ObjectKind
	Name string
}

// Refs returns the objects that v refers to, each once, in the pod's namespace.
func Refs(v *corev1.Volume) []Ref {
	var refs []Ref
	seen := sets.New[Ref]()
	add := func(kind ObjectKind, name string) {
		if r := (Ref{kind, name}); !seen.Has(r) {
			seen.Insert(r)
			refs = append(refs, r)
		}
	}
	switch {
	case v.Secret != nil:
		add(Secret, v.Secret.SecretName)
	case v.ConfigMap != nil:
		add(ConfigMap, v.ConfigMap.Name)
	case v.Projected != nil:
		for _, s := range v.Projected.Sources {
			if s.Secret != nil {
				add(Secret, s.Secret.Name)
			}
			if s.ConfigMap != nil {
				add(ConfigMap, s.ConfigMap.Name)
			}
		}
	}
	return refs
}

// TokenRef is what a serviceAccountToken source asks for.
type TokenRef struct {
	// Audience of the token; empty is the API server's own.
	Audience string
	// ExpirationSeconds is the life asked for.
	ExpirationSeconds int64
}

// defaultExpiration is the API server's default of expirationSeconds.
const defaultExpiration = 3600

// Tokens returns the tokens that v asks for, each once.
func Tokens(v *corev1.Volume) []TokenRef {
	if v.Projected == nil {
		return nil
	}
	var refs []TokenRef
	seen := sets.New[TokenRef]()
	for _, s := range v.Projected.Sources {
		if s.ServiceAccountToken == nil {
			continue
		}
		if r := tokenRef(s.ServiceAccountToken); !seen.Has(r) {
			seen.Insert(r)
			refs = append(refs, r)
		}
	}
	return refs
}

func tokenRef(t *corev1.ServiceAccountTokenProjection) TokenRef {
	r := TokenRef{Audience: t.Audience, ExpirationSeconds: defaultExpiration}
	if t.ExpirationSeconds != nil {
		r.ExpirationSeconds = *t.ExpirationSeconds
	}
	return r
}

// ReadsPod tells whether the files of v depend on the pod itself, so that a change
// of its metadata or resources may change them.
func ReadsPod(v *corev1.Volume) bool {
	if v.Projected != nil {
		for _, s := range v.Projected.Sources {
			if s.DownwardAPI != nil {
				return true
			}
		}
	}
	return v.DownwardAPI != nil
}

func mode(m *int32, otherwise int32) int32 {
	if m == nil {
		return otherwise
	}
	return *m
}
