package directory

import (
	"context"
	"maps"
	"slices"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"laterna.dev/laterna/api/iam/v1alpha1"
	"laterna.dev/laterna/internal/aws/iam"
)

// Role implements iam.Directory.
func (d *Directory) Role(ctx context.Context, account, name string) (iam.Role, error) {
	return role(d.roles.get(ctx, iam.Key(account, name)))
}

// CreateRole implements iam.Store.
func (d *Directory) CreateRole(ctx context.Context, r iam.Role) (iam.Role, error) {
	key := iam.Key(r.Account, r.Name)
	obj := &v1alpha1.Role{ObjectMeta: metav1.ObjectMeta{Name: key}}
	writeRole(&r, obj)
	return role(d.roles.create(ctx, key, obj))
}

// UpdateRole implements iam.Store.
func (d *Directory) UpdateRole(ctx context.Context, account, name string, change func(*iam.Role) error) (iam.Role, error) {
	return role(d.roles.update(ctx, iam.Key(account, name), func(obj runtime.Object) error {
		o, err := as[*v1alpha1.Role](obj, nil)
		if err != nil {
			return err
		}
		r := readRole(o)
		if err := change(&r); err != nil {
			return err
		}
		writeRole(&r, o)
		return nil
	}))
}

// DeleteRole implements iam.Store.
func (d *Directory) DeleteRole(ctx context.Context, account, name string, may func(*iam.Role) error) error {
	return d.roles.delete(ctx, iam.Key(account, name), func(obj runtime.Object) error {
		r, err := role(obj, nil)
		if err != nil {
			return err
		}
		return may(&r)
	})
}

// Roles implements iam.Store.
func (d *Directory) Roles(ctx context.Context, account string, p iam.Page) ([]iam.Role, error) {
	after := ""
	if p.After != "" {
		after = iam.Key(account, p.After)
	}
	return page(ctx, d.roles, account, after, p.Limit, func(obj runtime.Object) (roles []iam.Role, keys []string, err error) {
		list, err := as[*v1alpha1.RoleList](obj, nil)
		if err != nil {
			return nil, nil, err
		}
		for i := range list.Items {
			roles = append(roles, readRole(&list.Items[i]))
			keys = append(keys, list.Items[i].Name)
		}
		return roles, keys, nil
	})
}

func role(obj runtime.Object, err error) (iam.Role, error) {
	o, err := as[*v1alpha1.Role](obj, err)
	if err != nil {
		return iam.Role{}, err
	}
	return readRole(o), nil
}

func readRole(o *v1alpha1.Role) iam.Role {
	r := iam.Role{
		Partition: o.Spec.Partition, Account: o.Spec.Account, Name: o.Spec.RoleName, Path: o.Spec.Path, ID: o.Status.RoleID,
		Description: o.Spec.Description, TrustPolicy: o.Spec.AssumeRolePolicyDocument,
		MaxSessionDuration:  time.Duration(o.Spec.MaxSessionDuration) * time.Second,
		Attached:            slices.Clone(o.Spec.AttachedPolicies),
		PermissionsBoundary: o.Spec.PermissionsBoundary,
		Tags:                readTags(o.Spec.Tags),
		Created:             o.CreationTimestamp.UTC(), Version: o.ResourceVersion,
	}
	for _, p := range o.Spec.InlinePolicies {
		if r.Inline == nil {
			r.Inline = map[string]string{}
		}
		r.Inline[p.Name] = p.Document
	}
	for _, p := range o.Status.Principals {
		if r.Principals == nil {
			r.Principals = map[string]string{}
		}
		r.Principals[p.ARN] = p.ID
	}
	return r
}

func writeRole(r *iam.Role, o *v1alpha1.Role) {
	o.Spec = v1alpha1.RoleSpec{
		Partition: r.Partition, Account: r.Account, RoleName: r.Name, Path: r.Path,
		Description: r.Description, AssumeRolePolicyDocument: r.TrustPolicy,
		MaxSessionDuration:  int32(r.MaxSessionDuration / time.Second),
		AttachedPolicies:    slices.Clone(r.Attached),
		PermissionsBoundary: r.PermissionsBoundary,
		Tags:                writeTags(r.Tags),
	}
	for _, name := range slices.Sorted(maps.Keys(r.Inline)) {
		o.Spec.InlinePolicies = append(o.Spec.InlinePolicies, v1alpha1.InlinePolicy{Name: name, Document: r.Inline[name]})
	}
}

// readTags returns tags sorted by key, as users of kubectl need not write them.
func readTags(tags []v1alpha1.Tag) []iam.Tag {
	var out []iam.Tag
	for _, t := range tags {
		out = append(out, iam.Tag{Key: t.Key, Value: t.Value})
	}
	iam.SortTags(out)
	return out
}

func writeTags(tags []iam.Tag) []v1alpha1.Tag {
	var out []v1alpha1.Tag
	for _, t := range tags {
		out = append(out, v1alpha1.Tag{Key: t.Key, Value: t.Value})
	}
	return out
}
