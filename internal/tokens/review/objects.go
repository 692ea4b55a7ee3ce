package review

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"strconv"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/endpoints/request"
	"k8s.io/apiserver/pkg/registry/rest"
)

// Kind is a kind of object that tokens live with.
type Kind uint8

// The kinds that tokens live with.
const (
	KindServiceAccount Kind = iota
	KindPod
	KindSecret
	KindNode
)

// Resource returns the kind's name in the API.
func (k Kind) Resource() schema.GroupResource {
	return corev1.Resource([...]string{"serviceaccounts", "pods", "secrets", "nodes"}[k])
}

// ObjectKey names an object. Namespace is "" for nodes.
type ObjectKey struct {
	Kind            Kind
	Namespace, Name string
}

// Object is what a check needs to know of an object.
type Object struct {
	UID string
	// Deleted is metadata.deletionTimestamp, or zero.
	Deleted time.Time
	// Revision is the store's revision of the object's last change.
	Revision int64
	// Secrets are the names that a service account lists.
	Secrets []string
	// Kept is what a Secret of the type kubernetes.io/service-account-token holds;
	// nil for everything else.
	Kept *KeptToken
}

// KeptToken is what a check needs to know of the token in a Secret.
type KeptToken struct {
	// Digest is the SHA-256 of the token. The token itself is not remembered.
	Digest [sha256.Size]byte
	// LastUsed and InvalidSince are the Secret's labels, "" for none.
	LastUsed, InvalidSince string
}

// Objects reads objects. Implementations are safe for concurrent use.
type Objects interface {
	// Get returns the objects at keys, in their order, each as it was in the
	// store at some time after Get was called; nil stands for one that did
	// not exist. An error means that the store could not tell.
	Get(ctx context.Context, keys ...ObjectKey) ([]*Object, error)
}

// Getters are the stores of the four kinds. Their Get, with empty options, must
// read the store itself and no cache.
type Getters struct {
	ServiceAccounts, Pods, Secrets, Nodes rest.Getter
}

// FromGetters reads every object anew from its store.
func FromGetters(g Getters) Objects {
	return live{g.ServiceAccounts, g.Pods, g.Secrets, g.Nodes}
}

type live [4]rest.Getter

func (l live) Get(ctx context.Context, keys ...ObjectKey) ([]*Object, error) {
	out := make([]*Object, len(keys))
	for i, k := range keys {
		o, err := l.get(ctx, k)
		if err != nil {
			return nil, err
		}
		out[i] = o
	}
	return out, nil
}

func (l live) get(ctx context.Context, k ObjectKey) (*Object, error) {
	obj, err := l[k.Kind].Get(request.WithNamespace(ctx, k.Namespace), k.Name, &metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", k.Kind.Resource(), err)
	}
	m, err := meta.Accessor(obj)
	if err != nil {
		return nil, err
	}
	rev, err := strconv.ParseInt(m.GetResourceVersion(), 10, 64)
	if err != nil {
		return nil, errors.New("object has no resource version")
	}
	o := &Object{UID: string(m.GetUID()), Revision: rev}
	if d := m.GetDeletionTimestamp(); d != nil {
		o.Deleted = d.Time
	}
	switch obj := obj.(type) {
	case *corev1.ServiceAccount:
		for _, s := range obj.Secrets {
			o.Secrets = append(o.Secrets, s.Name)
		}
	case *corev1.Secret:
		o.Kept = keptToken(obj)
	}
	return o, nil
}

func keptToken(s *corev1.Secret) *KeptToken {
	token := s.Data[corev1.ServiceAccountTokenKey]
	if s.Type != corev1.SecretTypeServiceAccountToken || len(token) == 0 {
		return nil
	}
	return &KeptToken{
		Digest:       sha256.Sum256(token),
		LastUsed:     s.Labels[LastUsedLabel],
		InvalidSince: s.Labels[InvalidSinceLabel],
	}
}
