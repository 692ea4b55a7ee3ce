package setup

import (
	"cmp"
	"context"
	"crypto/rand"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"laterna.dev/laterna/api/iam/v1alpha1"
	"laterna.dev/laterna/internal/aws/arn"
	"laterna.dev/laterna/internal/aws/iam"
	"laterna.dev/laterna/internal/redacted"
)

// administrator is the user that an account's first key belongs to.
const administrator = "administrator"

// key makes the administrator's key of an account, unless there is one.
func (c *Config) key(ctx context.Context) (Item, redacted.Text, error) {
	secrets := c.Kubernetes.CoreV1().Secrets(metav1.NamespaceSystem)
	list, err := secrets.List(ctx, metav1.ListOptions{LabelSelector: v1alpha1.AccessKeyAccountLabel + "=" + c.Account})
	if err != nil {
		return Item{}, redacted.Text{}, fmt.Errorf("looking for the account's key: %w", err)
	}
	// The oldest, where several were made at the same time.
	slices.SortFunc(list.Items, func(a, b corev1.Secret) int {
		return cmp.Or(a.CreationTimestamp.Compare(b.CreationTimestamp.Time), cmp.Compare(a.Name, b.Name))
	})
	for i := range list.Items {
		if s := &list.Items[i]; s.Type == v1alpha1.AccessKeySecretType && string(s.Data[v1alpha1.AccessKeyAdministrator]) == "true" {
			return Item{string(s.Data[v1alpha1.AccessKeyID]), Unchanged}, redacted.Text{}, nil
		}
	}
	id, secret := iam.NewKeyID(iam.LongTermPrefix, c.Account), redacted.New((rand.Text() + rand.Text())[:40])
	_, err = secrets.Create(ctx, &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Name: v1alpha1.AccessKeySecret(id), Labels: map[string]string{v1alpha1.AccessKeyAccountLabel: c.Account}},
		Type:       v1alpha1.AccessKeySecretType,
		StringData: map[string]string{
			v1alpha1.AccessKeyID: id, v1alpha1.SecretAccessKey: secret.Reveal(),
			v1alpha1.AccessKeyPartition: arn.DefaultPartition, v1alpha1.AccessKeyAccount: c.Account,
			v1alpha1.AccessKeyUserName: administrator, v1alpha1.AccessKeyUserID: iam.NewID(iam.UserPrefix),
			v1alpha1.AccessKeyAdministrator: "true",
		},
	}, metav1.CreateOptions{})
	if err != nil {
		return Item{}, redacted.Text{}, fmt.Errorf("keeping the account's key: %w", err)
	}
	return Item{id, Created}, secret, nil
}
