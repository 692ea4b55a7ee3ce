package session

import (
	"context"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	typedcorev1 "k8s.io/client-go/kubernetes/typed/core/v1"
)

// The Secret that keeps the keys, in namespace kube-system. Deleting it ends all sessions.
const (
	SecretName                   = "aws-session-keys"
	SecretType corev1.SecretType = "iam.laterna.dev/session-keys"
	secretKey                    = "keys"
)

// SecretStore keeps the keys in a Secret. It implements Store.
type SecretStore struct {
	// Secrets are those of namespace kube-system.
	Secrets typedcorev1.SecretInterface
}

// Load implements Store.
func (s SecretStore) Load(ctx context.Context) (text []byte, version string, err error) {
	found, err := s.Secrets.Get(ctx, SecretName, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return nil, "", nil
	}
	if err != nil {
		return nil, "", err
	}
	return found.Data[secretKey], found.ResourceVersion, nil
}

// Save implements Store.
func (s SecretStore) Save(ctx context.Context, text []byte, version string) error {
	secret := &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Name: SecretName, Namespace: metav1.NamespaceSystem, ResourceVersion: version},
		Type:       SecretType, Data: map[string][]byte{secretKey: text},
	}
	var err error
	if version == "" {
		_, err = s.Secrets.Create(ctx, secret, metav1.CreateOptions{})
	} else {
		_, err = s.Secrets.Update(ctx, secret, metav1.UpdateOptions{})
	}
	if apierrors.IsAlreadyExists(err) || apierrors.IsConflict(err) || apierrors.IsNotFound(err) {
		return ErrConflict
	}
	return err
}
