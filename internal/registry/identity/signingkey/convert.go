package signingkey

import (
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"strconv"
	"time"

	"github.com/google/uuid"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"laterna.dev/laterna/api/identity/v1alpha1"
	"laterna.dev/laterna/internal/tokens/keys"
)

func version64(rev int64) string { return strconv.FormatInt(rev, 10) }

// toObject shows a key as an object. Its UID follows from the key, too.
func toObject(k *keys.Key, rev int64) (*object, error) {
	name, digest, err := nameOf(k.ID)
	if err != nil {
		return nil, err
	}
	der, err := x509.MarshalPKIXPublicKey(k.Public)
	if err != nil {
		return nil, fmt.Errorf("encoding public key %s: %w", name, err)
	}
	obj := &object{
		TypeMeta: metav1.TypeMeta{APIVersion: v1alpha1.SchemeGroupVersion.String(), Kind: v1alpha1.Kind},
		ObjectMeta: metav1.ObjectMeta{
			Name:              name,
			UID:               uidOf(digest),
			ResourceVersion:   version64(rev),
			CreationTimestamp: metav1.NewTime(k.Published),
		},
		Spec: v1alpha1.SigningKeySpec{Type: v1alpha1.KeyType(k.Type), Activation: v1alpha1.Scheduled},
		Status: v1alpha1.SigningKeyStatus{
			KeyID:     k.ID,
			Algorithm: string(k.Algorithm),
			State:     v1alpha1.KeyState(k.State),
			Published: timeOf(k.Published),
			SignsFrom: timeOf(k.SignsFrom),
			Retired:   timeOf(k.RetiredAt),
			Expires:   timeOf(k.LastEnd),
			PublicKey: string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})),
		},
	}
	if k.SignsFrom.Equal(k.Published) {
		obj.Spec.Activation = v1alpha1.Immediate
	}
	return obj, nil
}

// uidOf makes a UUID of version 8 (RFC 9562), of the part of the digest that is not in
// the name.
func uidOf(digest []byte) types.UID {
	var id uuid.UUID
	copy(id[:], digest[16:])
	id[6] = id[6]&0x0f | 0x80
	id[8] = id[8]&0x3f | 0x80
	return types.UID(id.String())
}

func timeOf(t time.Time) *metav1.Time {
	if t.IsZero() {
		return nil
	}
	return &metav1.Time{Time: t}
}
