// Package authorization is what the four access reviews of authorization.k8s.io
// share: from a review's spec to the attributes of a request, from a decision to a
// status, and validation. Reviews are answered and never stored.
//
// The reviews live in the packages below it; deciding lives in internal/authz.
package authorization

import (
	"context"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apiserver/pkg/registry/rest"
)

// Review is the storage of one kind of review.
type Review struct {
	// Singular is the name of one, such as "subjectaccessreview".
	Singular   string
	Namespaced bool
	NewObject  func() runtime.Object
	// Decide checks obj, asks, and returns the review with its status. validate
	// is the validating admission, to be called before asking.
	Decide func(ctx context.Context, obj runtime.Object, validate func() error) (runtime.Object, error)
}

var (
	_ rest.Creater              = &Review{}
	_ rest.Scoper               = &Review{}
	_ rest.SingularNameProvider = &Review{}
)

// New implements rest.Storage.
func (r *Review) New() runtime.Object { return r.NewObject() }

// Destroy implements rest.Storage; there is nothing to release.
func (r *Review) Destroy() {}

// NamespaceScoped implements rest.Scoper.
func (r *Review) NamespaceScoped() bool { return r.Namespaced }

// GetSingularName implements rest.SingularNameProvider.
func (r *Review) GetSingularName() string { return r.Singular }

// Create implements rest.Creater: it answers the review.
func (r *Review) Create(ctx context.Context, obj runtime.Object, validate rest.ValidateObjectFunc, _ *metav1.CreateOptions) (runtime.Object, error) {
	return r.Decide(ctx, obj, func() error {
		if validate == nil {
			return nil
		}
		return validate(ctx, obj.DeepCopyObject())
	})
}
