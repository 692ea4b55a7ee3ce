package resource

import (
	"context"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apiserver/pkg/registry/rest"
)

// Question describes a kind that is answered and never stored, such as a review: to
// create an object returns it with the answer.
type Question[T runtime.Object] struct {
	Plural, Singular string
	Namespaced       bool
	New              func() T
	// Check returns why a question is refused, before validating admission is asked;
	// nil accepts all.
	Check func(ctx context.Context, q T) error
	// Answer returns the question with its answer. It may change q.
	Answer func(ctx context.Context, q T) (T, error)
}

// Storages returns what answers, by path.
func (q Question[T]) Storages() map[string]rest.Storage {
	return map[string]rest.Storage{q.Plural: &questions[T]{q}}
}

// questions serves a kind that is never stored.
type questions[T runtime.Object] struct{ kind Question[T] }

var (
	_ rest.Creater              = &questions[runtime.Object]{}
	_ rest.Scoper               = &questions[runtime.Object]{}
	_ rest.SingularNameProvider = &questions[runtime.Object]{}
)

// New implements rest.Storage.
func (s *questions[T]) New() runtime.Object { return s.kind.New() }

// Destroy implements rest.Storage; there is nothing to release.
func (s *questions[T]) Destroy() {}

// NamespaceScoped implements rest.Scoper.
func (s *questions[T]) NamespaceScoped() bool { return s.kind.Namespaced }

// GetSingularName implements rest.SingularNameProvider.
func (s *questions[T]) GetSingularName() string { return s.kind.Singular }

// Create implements rest.Creater: it answers.
func (s *questions[T]) Create(ctx context.Context, obj runtime.Object, validate rest.ValidateObjectFunc, _ *metav1.CreateOptions) (runtime.Object, error) {
	q, ok := obj.(T)
	if !ok {
		return nil, apierrors.NewBadRequest(fmt.Sprintf("not a %s: %T", kindOf(s.kind.New()), obj))
	}
	if s.kind.Check != nil {
		if err := s.kind.Check(ctx, q); err != nil {
			return nil, err
		}
	}
	if validate != nil {
		if err := validate(ctx, obj.DeepCopyObject()); err != nil {
			return nil, err
		}
	}
	answered, err := s.kind.Answer(ctx, q)
	if err != nil {
		return nil, err
	}
	return answered, nil
}
