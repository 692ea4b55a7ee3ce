package directory

import (
	"context"
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apiserver/pkg/endpoints/request"

	"laterna.dev/laterna/api/iam/v1alpha1"
	"laterna.dev/laterna/internal/aws/arn"
	"laterna.dev/laterna/internal/aws/iam"
	"laterna.dev/laterna/internal/redacted"
)

// AccessKey implements iam.Directory. A key is a Secret of its own type in kube-system,
// where only who administrates the cluster writes.
func (d *Directory) AccessKey(ctx context.Context, id string) (iam.AccessKey, error) {
	absent := fmt.Errorf("access key: %w", iam.ErrNotFound)
	if iam.AccountOfKey(id) == "" || !strings.HasPrefix(id, iam.LongTermPrefix) {
		return iam.AccessKey{}, absent
	}
	obj, err := d.secrets.Get(request.WithNamespace(ctx, metav1.NamespaceSystem), v1alpha1.AccessKeySecret(id), &metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return iam.AccessKey{}, absent
	}
	s, err := as[*corev1.Secret](obj, err)
	if err != nil {
		return iam.AccessKey{}, fmt.Errorf("access key: %w", err)
	}
	field := func(name string) string { return string(s.Data[name]) }
	k := iam.AccessKey{
		ID: field(v1alpha1.AccessKeyID), Secret: redacted.New(field(v1alpha1.SecretAccessKey)),
		Partition: field(v1alpha1.AccessKeyPartition), Account: field(v1alpha1.AccessKeyAccount),
		UserName: field(v1alpha1.AccessKeyUserName), UserID: field(v1alpha1.AccessKeyUserID), Path: "/",
		Administrator: field(v1alpha1.AccessKeyAdministrator) == "true",
	}
	if s.Type != v1alpha1.AccessKeySecretType || k.ID != id || k.Secret.Reveal() == "" || !arn.ValidAccount(k.Account) {
		return iam.AccessKey{}, absent
	}
	return k, nil
}
