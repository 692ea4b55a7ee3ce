// Package signingkey serves the SigningKey kind of identity.laterna.dev/v1alpha1: the
// keys of the server's ring as objects. To create one rotates, to delete one withdraws
// a key.
//
// Nothing is stored as an object here. The types live in api/identity/v1alpha1, the
// life of keys in internal/tokens/keys. Objects never hold anything of a private half.
package signingkey

import (
	"context"
	"encoding/base64"
	"encoding/hex"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/internalversion"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/registry/rest"

	"laterna.dev/laterna/api/identity/v1alpha1"
	"laterna.dev/laterna/internal/clock"
	"laterna.dev/laterna/internal/registry/resource"
	"laterna.dev/laterna/internal/tokens/keys"
)

type object = v1alpha1.SigningKey

var (
	groupResource = v1alpha1.Resource(v1alpha1.Plural)
	groupKind     = schema.GroupKind{Group: v1alpha1.GroupName, Kind: v1alpha1.Kind}
)

// Ring has the keys. *keys.Ring is one.
type Ring interface {
	List(ctx context.Context) ([]keys.Key, int64, error)
	Refresh(ctx context.Context) error
	Rotate(ctx context.Context, want keys.Rotation) (keys.Key, int64, error)
	Withdraw(ctx context.Context, id string, allow func(keys.Key, int64) error) error
	Subscribe() (changed <-chan struct{}, cancel func())
}

// NewStorage returns the storage of signing keys by path. Now is the clock that keys
// live by.
func NewStorage(ring Ring, now clock.API) map[string]rest.Storage {
	return map[string]rest.Storage{v1alpha1.Plural: &storage{
		TableConvertor: resource.NewTableConvertor(columns(now)), ring: ring, clock: now,
	}}
}

type storage struct {
	rest.TableConvertor
	ring  Ring
	clock clock.API
}

var (
	_ rest.Lister               = &storage{}
	_ rest.Getter               = &storage{}
	_ rest.Watcher              = &storage{}
	_ rest.Creater              = &storage{}
	_ rest.GracefulDeleter      = &storage{}
	_ rest.Scoper               = &storage{}
	_ rest.SingularNameProvider = &storage{}
	_ rest.ShortNamesProvider   = &storage{}
)

func (s *storage) New() runtime.Object     { return &object{} }
func (s *storage) NewList() runtime.Object { return &v1alpha1.SigningKeyList{} }
func (s *storage) Destroy()                {}
func (s *storage) NamespaceScoped() bool   { return false }
func (s *storage) GetSingularName() string { return "signingkey" }
func (s *storage) ShortNames() []string    { return []string{"skey"} }

// Get implements rest.Getter.
func (s *storage) Get(ctx context.Context, name string, options *metav1.GetOptions) (runtime.Object, error) {
	all, err := s.read(ctx, options.ResourceVersion)
	if err != nil {
		return nil, err
	}
	for i := range all.Items {
		if all.Items[i].Name == name {
			return &all.Items[i], nil
		}
	}
	return nil, apierrors.NewNotFound(groupResource, name)
}

// List implements rest.Lister. There are never so many keys that they would come in
// parts.
func (s *storage) List(ctx context.Context, options *internalversion.ListOptions) (runtime.Object, error) {
	all, err := s.read(ctx, options.ResourceVersion)
	if err != nil {
		return nil, err
	}
	if options.ResourceVersionMatch == metav1.ResourceVersionMatchExact && options.ResourceVersion != all.ResourceVersion {
		return nil, gone(options.ResourceVersion)
	}
	return only(all, resource.Selects[*object](options)), nil
}

// gone is the answer to those who ask for a state of the past: there is but the present.
func gone(version string) error {
	return apierrors.NewResourceExpired(fmt.Sprintf("the signing keys of resource version %q are not kept", version))
}

// read returns all keys, as the store has them unless any version will do.
func (s *storage) read(ctx context.Context, version string) (*v1alpha1.SigningKeyList, error) {
	if version != "0" {
		if err := s.ring.Refresh(ctx); err != nil {
			return nil, apierrors.NewInternalError(err)
		}
	}
	all, rev, err := s.ring.List(ctx)
	if err != nil {
		return nil, apierrors.NewInternalError(err)
	}
	list := &v1alpha1.SigningKeyList{ListMeta: metav1.ListMeta{ResourceVersion: version64(rev)}, Items: []object{}}
	for i := range all {
		obj, err := toObject(&all[i], rev)
		if err != nil {
			return nil, apierrors.NewInternalError(err)
		}
		list.Items = append(list.Items, *obj)
	}
	return list, nil
}

func only(list *v1alpha1.SigningKeyList, want func(*object) bool) *v1alpha1.SigningKeyList {
	out := &v1alpha1.SigningKeyList{ListMeta: list.ListMeta, Items: []object{}}
	for i := range list.Items {
		if want(&list.Items[i]) {
			out.Items = append(out.Items, list.Items[i])
		}
	}
	return out
}

// nameOf returns the object's name of a key: the beginning of its digest. The key ID
// itself, another form of the digest, is none: it has upper case and may begin with a
// dash.
func nameOf(id string) (string, []byte, error) {
	digest, err := base64.RawURLEncoding.DecodeString(id)
	if err != nil || len(digest) != 32 {
		return "", nil, fmt.Errorf("key ID %q is not that of a signing key", id)
	}
	return hex.EncodeToString(digest[:8]), digest, nil
}
