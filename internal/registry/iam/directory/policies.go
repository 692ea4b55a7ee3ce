package directory

import (
	"context"
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"laterna.dev/laterna/api/iam/v1alpha1"
	"laterna.dev/laterna/internal/aws/iam"
)

// policyKey returns the key of the policy that an ARN may be of.
func policyKey(arn string) (string, error) {
	n, err := iam.ParseName(arn)
	if err != nil || n.Kind != "policy" {
		return "", fmt.Errorf("policy %s: %w", arn, iam.ErrNotFound)
	}
	return iam.Key(n.Account, n.Name), nil
}

// Policy implements iam.Directory.
func (d *Directory) Policy(ctx context.Context, arn string) (iam.Policy, error) {
	key, err := policyKey(arn)
	if err != nil {
		return iam.Policy{}, err
	}
	p, err := policy(d.policies.get(ctx, key))
	if err == nil {
		err = isPolicy(&p, arn)
	}
	return p, err
}

// isPolicy tells of a policy of another path or spelling.
func isPolicy(p *iam.Policy, arn string) error {
	if p.ARN() != arn {
		return fmt.Errorf("policy %s: %w", arn, iam.ErrNotFound)
	}
	return nil
}

// CreatePolicy implements iam.Store.
func (d *Directory) CreatePolicy(ctx context.Context, p iam.Policy) (iam.Policy, error) {
	key := iam.Key(p.Account, p.Name)
	obj := &v1alpha1.Policy{ObjectMeta: metav1.ObjectMeta{Name: key}}
	writePolicy(&p, obj)
	return policy(d.policies.create(ctx, key, obj))
}

// UpdatePolicy implements iam.Store.
func (d *Directory) UpdatePolicy(ctx context.Context, arn string, change func(*iam.Policy) error) (iam.Policy, error) {
	key, err := policyKey(arn)
	if err != nil {
		return iam.Policy{}, err
	}
	return policy(d.policies.update(ctx, key, func(obj runtime.Object) error {
		o, err := as[*v1alpha1.Policy](obj, nil)
		if err != nil {
			return err
		}
		p := readPolicy(o)
		if err := isPolicy(&p, arn); err != nil {
			return err
		}
		if err := change(&p); err != nil {
			return err
		}
		writePolicy(&p, o)
		return nil
	}))
}

// DeletePolicy implements iam.Store.
func (d *Directory) DeletePolicy(ctx context.Context, arn string) error {
	key, err := policyKey(arn)
	if err != nil {
		return err
	}
	return d.policies.delete(ctx, key, func(obj runtime.Object) error {
		p, err := policy(obj, nil)
		if err != nil {
			return err
		}
		return isPolicy(&p, arn)
	})
}

// Policies implements iam.Store.
func (d *Directory) Policies(ctx context.Context, account string, p iam.Page) ([]iam.Policy, error) {
	after := ""
	if p.After != "" {
		after = iam.Key(account, p.After)
	}
	return page(ctx, d.policies, account, after, p.Limit, func(obj runtime.Object) (policies []iam.Policy, keys []string, err error) {
		list, err := as[*v1alpha1.PolicyList](obj, nil)
		if err != nil {
			return nil, nil, err
		}
		for i := range list.Items {
			policies = append(policies, readPolicy(&list.Items[i]))
			keys = append(keys, list.Items[i].Name)
		}
		return policies, keys, nil
	})
}

func policy(obj runtime.Object, err error) (iam.Policy, error) {
	o, err := as[*v1alpha1.Policy](obj, err)
	if err != nil {
		return iam.Policy{}, err
	}
	return readPolicy(o), nil
}

func readPolicy(o *v1alpha1.Policy) iam.Policy {
	return iam.Policy{
		Partition: o.Spec.Partition, Account: o.Spec.Account, Name: o.Spec.PolicyName, Path: o.Spec.Path, ID: o.Status.PolicyID,
		Description: o.Spec.Description, Document: o.Spec.Document, Tags: readTags(o.Spec.Tags),
		Created: o.CreationTimestamp.UTC(), Version: o.ResourceVersion,
	}
}

func writePolicy(p *iam.Policy, o *v1alpha1.Policy) {
	o.Spec = v1alpha1.PolicySpec{
		Partition: p.Partition, Account: p.Account, PolicyName: p.Name, Path: p.Path,
		Description: p.Description, Document: p.Document, Tags: writeTags(p.Tags),
	}
}
