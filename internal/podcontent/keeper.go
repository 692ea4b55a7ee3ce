package podcontent

import (
	"context"
	"crypto/rand"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// KeySecret is the Secret of kube-system that has the key of digests, which all servers
// share and a backup has. Without it everything is rolled out once, under a new key.
const (
	KeySecret     = "laterna-content-digests"
	KeySecretType = corev1.SecretType("laterna.dev/content-digest-key")
	keyField      = "key"
)

// Secrets reads and creates Secrets of kube-system.
type Secrets interface {
	Get(ctx context.Context, name string, options metav1.GetOptions) (*corev1.Secret, error)
	Create(ctx context.Context, secret *corev1.Secret, options metav1.CreateOptions) (*corev1.Secret, error)
}

// KeyOf reads the key of digests, and makes it where there is none. A dry run makes one
// that nobody keeps.
func KeyOf(ctx context.Context, secrets Secrets, dryRun bool) (key Key, err error) {
	for range 2 { // another server may be faster
		secret, err := secrets.Get(ctx, KeySecret, metav1.GetOptions{})
		if err == nil {
			return readKey(secret)
		}
		if !apierrors.IsNotFound(err) {
			return key, fmt.Errorf("reading the key of digests: %w", err)
		}
		if _, err := rand.Read(key[:]); err != nil {
			return key, fmt.Errorf("making a key of digests: %w", err)
		}
		if dryRun {
			return key, nil
		}
		_, err = secrets.Create(ctx, &corev1.Secret{
			ObjectMeta: metav1.ObjectMeta{Namespace: metav1.NamespaceSystem, Name: KeySecret},
			Type:       KeySecretType, Data: map[string][]byte{keyField: key[:]}, Immutable: new(true),
		}, metav1.CreateOptions{})
		if err == nil || !apierrors.IsAlreadyExists(err) {
			return key, wrapped(err)
		}
	}
	return key, fmt.Errorf("secret %s/%s comes and goes", metav1.NamespaceSystem, KeySecret)
}

func wrapped(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("keeping the key of digests: %w", err)
}

func readKey(secret *corev1.Secret) (key Key, err error) {
	if got := len(secret.Data[keyField]); got != KeySize {
		return key, fmt.Errorf("secret %s/%s is no key of digests: its field %s has %d bytes instead of %d; delete it to have another made, which rolls out once more what has the annotation laterna.dev/rollout-on-change",
			metav1.NamespaceSystem, KeySecret, keyField, got, KeySize)
	}
	copy(key[:], secret.Data[keyField])
	return key, nil
}
