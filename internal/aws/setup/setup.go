package setup

import (
	"context"
	"fmt"
	"slices"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"laterna.dev/laterna/api/iam/v1alpha1"
	"laterna.dev/laterna/internal/aws/iam"
	"laterna.dev/laterna/internal/redacted"
)

// RoleAnnotation names a service account's role for its pods.
const RoleAnnotation = "eks.amazonaws.com/role-arn"

// Config is what is wanted.
type Config struct {
	// Kubernetes and IAM are clients of the cluster's API.
	Kubernetes kubernetes.Interface
	IAM        rest.Interface

	Account string
	// Issuer is the URL of the cluster's issuer, Audience that of the tokens for STS.
	Issuer, Audience string
	// Role is the role to make. Optional.
	Role *Role
}

// Role is a role for a service account.
type Role struct {
	Name string
	// Namespace and ServiceAccount are who may assume it.
	Namespace, ServiceAccount string
	// Policy is the text of a policy that the role is to have. Optional.
	Policy string
	// Replace lets the trust policy of a role be replaced that trusts others.
	Replace bool
	// Annotate writes the role into the service account.
	Annotate bool
}

// Outcome is what was done.
type Outcome string

// The outcomes.
const (
	Created   Outcome = "created"
	Updated   Outcome = "updated"
	Unchanged Outcome = "unchanged"
)

// Item is one thing, by its name and what became of it.
type Item struct {
	Name    string  `json:"name"`
	Outcome Outcome `json:"outcome"`
}

// Result is what there is now.
type Result struct {
	Account  string `json:"account"`
	Provider Item   `json:"provider"`
	Role     *Item  `json:"role,omitempty"`
	Policy   *Item  `json:"policy,omitempty"`
	// ServiceAccount is the one that was annotated.
	ServiceAccount *Item `json:"serviceAccount,omitempty"`
	// Key is the administrator's, by its id.
	Key Item `json:"accessKey"`
	// Secret is that of a key that was just made.
	Secret redacted.Text `json:"-"`
}

// Run prepares an account. What is there already and as it should be is left alone.
func Run(ctx context.Context, c Config) (*Result, error) {
	issuer, err := iam.Issuer(c.Issuer)
	if err != nil {
		return nil, fmt.Errorf("the issuer %s cannot be a provider: its URL %w; another one is chosen with --service-account-issuer", c.Issuer, err)
	}
	r := &Result{Account: c.Account}
	if r.Provider, err = c.provider(ctx, issuer); err != nil {
		return r, err
	}
	if c.Role != nil {
		if err := c.role(ctx, issuer, r); err != nil {
			return r, err
		}
	}
	r.Key, r.Secret, err = c.key(ctx)
	return r, err
}

func (c *Config) provider(ctx context.Context, issuer string) (Item, error) {
	p := &iam.Provider{Account: c.Account, URL: issuer}
	item := Item{Name: p.ARN()}
	object := &v1alpha1.OpenIDConnectProvider{
		TypeMeta:   typeMeta("OpenIDConnectProvider"),
		ObjectMeta: metav1.ObjectMeta{Name: iam.ProviderKey(c.Account, issuer)},
		Spec:       v1alpha1.OpenIDConnectProviderSpec{ClientIDs: []string{c.Audience}},
	}
	err := c.IAM.Post().Resource(v1alpha1.OpenIDConnectProviders).Body(object).Do(ctx).Error()
	if err == nil {
		item.Outcome = Created
		return item, nil
	}
	if !apierrors.IsAlreadyExists(err) {
		return item, fmt.Errorf("registering the issuer: %w", err)
	}
	return item, c.accept(ctx, object.Name, &item)
}

// accept lets a provider that there is accept the audience.
func (c *Config) accept(ctx context.Context, name string, item *Item) error {
	var there v1alpha1.OpenIDConnectProvider
	if err := c.IAM.Get().Resource(v1alpha1.OpenIDConnectProviders).Name(name).Do(ctx).Into(&there); err != nil {
		return fmt.Errorf("reading provider %s: %w", name, err)
	}
	item.Name, item.Outcome = there.Status.ARN, Unchanged
	if slices.Contains(there.Spec.ClientIDs, c.Audience) {
		return nil
	}
	there.TypeMeta = typeMeta("OpenIDConnectProvider")
	there.Spec.ClientIDs = append(there.Spec.ClientIDs, c.Audience)
	if err := c.IAM.Put().Resource(v1alpha1.OpenIDConnectProviders).Name(name).Body(&there).Do(ctx).Error(); err != nil {
		return fmt.Errorf("adding audience %s to provider %s: %w", c.Audience, name, err)
	}
	item.Outcome = Updated
	return nil
}

func typeMeta(kind string) metav1.TypeMeta {
	return metav1.TypeMeta{APIVersion: v1alpha1.SchemeGroupVersion.String(), Kind: kind}
}

// TrustPolicy lets the tokens of one service account assume a role.
func TrustPolicy(provider, issuer, audience, namespace, serviceAccount string) string {
	return strings.NewReplacer("PROVIDER", provider, "ISSUER", issuer, "AUDIENCE", audience, "NAMESPACE", namespace, "NAME", serviceAccount).Replace(
		`{
  "Version": "2012-10-17",
  "Statement": [
    {
      "Effect": "Allow",
      "Principal": {"Federated": "PROVIDER"},
      "Action": "sts:AssumeRoleWithWebIdentity",
      "Condition": {
        "StringEquals": {
          "ISSUER:aud": "AUDIENCE",
          "ISSUER:sub": "system:serviceaccount:NAMESPACE:NAME"
        }
      }
    }
  ]
}`)
}
