package setup

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"laterna.dev/laterna/api/iam/v1alpha1"
	"laterna.dev/laterna/internal/aws/iam"
)

// inlineName is what the policy of a role is called that was made here.
const inlineName = "laterna-aws-init"

// ErrTrustsOthers says that a role has a trust policy of somebody else's.
var ErrTrustsOthers = errors.New("it exists already and its trust policy is another")

// role makes the role, and annotates the service account.
func (c *Config) role(ctx context.Context, issuer string, r *Result) error {
	want := c.Role
	trust := TrustPolicy(r.Provider.Name, issuer, c.Audience, want.Namespace, want.ServiceAccount)
	object := &v1alpha1.Role{
		TypeMeta:   typeMeta("Role"),
		ObjectMeta: metav1.ObjectMeta{Name: iam.Key(c.Account, want.Name)},
		Spec:       v1alpha1.RoleSpec{RoleName: want.Name, AssumeRolePolicyDocument: trust},
	}
	if want.Policy != "" {
		r.Policy = &Item{inlineName, Created}
		object.Spec.InlinePolicies = []v1alpha1.InlinePolicy{{Name: inlineName, Document: want.Policy}}
	}
	made := &v1alpha1.Role{}
	err := c.IAM.Post().Resource(v1alpha1.Roles).Body(object).Do(ctx).Into(made)
	r.Role = &Item{made.Status.ARN, Created}
	if apierrors.IsAlreadyExists(err) {
		made, err = c.update(ctx, object.Name, trust, r)
	}
	if err != nil {
		return fmt.Errorf("making role %s: %w", want.Name, err)
	}
	if want.Annotate {
		return c.annotate(ctx, made.Status.ARN, r)
	}
	return nil
}

// update brings a role that there is to what is wanted.
func (c *Config) update(ctx context.Context, name, trust string, r *Result) (*v1alpha1.Role, error) {
	there := &v1alpha1.Role{}
	if err := c.IAM.Get().Resource(v1alpha1.Roles).Name(name).Do(ctx).Into(there); err != nil {
		return nil, err
	}
	r.Role = &Item{there.Status.ARN, Unchanged}
	if !sameJSON(there.Spec.AssumeRolePolicyDocument, trust) {
		if !c.Role.Replace {
			return nil, ErrTrustsOthers
		}
		there.Spec.AssumeRolePolicyDocument, r.Role.Outcome = trust, Updated
	}
	if c.Role.Policy != "" {
		r.Policy.Outcome = putInline(there, c.Role.Policy)
	}
	if r.Role.Outcome == Unchanged && (r.Policy == nil || r.Policy.Outcome == Unchanged) {
		return there, nil
	}
	there.TypeMeta = typeMeta("Role")
	return there, c.IAM.Put().Resource(v1alpha1.Roles).Name(name).Body(there).Do(ctx).Error()
}

// putInline sets the policy of a role.
func putInline(r *v1alpha1.Role, document string) Outcome {
	for i := range r.Spec.InlinePolicies {
		p := &r.Spec.InlinePolicies[i]
		switch {
		case !strings.EqualFold(p.Name, inlineName):
		case p.Document == document:
			return Unchanged
		default:
			p.Document = document
			return Updated
		}
	}
	r.Spec.InlinePolicies = append(r.Spec.InlinePolicies, v1alpha1.InlinePolicy{Name: inlineName, Document: document})
	return Created
}

// sameJSON tells whether two texts are the same JSON, blanks and order of members apart.
func sameJSON(a, b string) bool {
	var x, y any
	if json.Unmarshal([]byte(a), &x) != nil || json.Unmarshal([]byte(b), &y) != nil {
		return a == b
	}
	p, err := json.Marshal(x)
	q, err2 := json.Marshal(y)
	return err == nil && err2 == nil && string(p) == string(q)
}

// annotate writes the role into the service account.
func (c *Config) annotate(ctx context.Context, arn string, r *Result) error {
	accounts := c.Kubernetes.CoreV1().ServiceAccounts(c.Role.Namespace)
	name := c.Role.Namespace + "/" + c.Role.ServiceAccount
	there, err := accounts.Get(ctx, c.Role.ServiceAccount, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return fmt.Errorf("annotating service account %s: it does not exist; make it with: kubectl -n %s create serviceaccount %s", name, c.Role.Namespace, c.Role.ServiceAccount)
	}
	if err != nil {
		return fmt.Errorf("annotating service account %s: %w", name, err)
	}
	r.ServiceAccount = &Item{name, Unchanged}
	if there.Annotations[RoleAnnotation] == arn {
		return nil
	}
	patch, err := json.Marshal(map[string]any{"metadata": map[string]any{"annotations": map[string]string{RoleAnnotation: arn}}})
	if err != nil {
		return err
	}
	if _, err := accounts.Patch(ctx, c.Role.ServiceAccount, types.MergePatchType, patch, metav1.PatchOptions{}); err != nil {
		return fmt.Errorf("annotating service account %s: %w", name, err)
	}
	r.ServiceAccount.Outcome = Updated
	return nil
}
