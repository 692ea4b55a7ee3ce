package role

import (
	"context"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apiserver/pkg/endpoints/request"
	"k8s.io/apiserver/pkg/registry/rest"

	"laterna.dev/laterna/internal/aws/iam"
	"laterna.dev/laterna/internal/registry/resource"
)

// NewStorage builds the storage of roles, which looks up in itself which roles trust
// policies mean.
func NewStorage(env resource.Env) (map[string]rest.Storage, error) {
	var store *resource.Store[*object]
	var err error
	store, err = resource.New(Definition(func(ctx context.Context, arn string) string { return idOf(ctx, store, arn) }), env)
	if err != nil {
		return nil, err
	}
	return map[string]rest.Storage{"roles": store}, nil
}

// idOf returns the unique id of the role with an ARN, "" where it is not found.
func idOf(ctx context.Context, roles rest.Getter, arn string) string {
	n, err := iam.ParseName(arn)
	if err != nil {
		return ""
	}
	obj, err := roles.Get(request.WithNamespace(ctx, metav1.NamespaceNone), iam.Key(n.Account, n.Name), &metav1.GetOptions{})
	if err != nil {
		return ""
	}
	if r, ok := obj.(*object); ok && r.Status.ARN == arn {
		return r.Status.RoleID
	}
	return ""
}
