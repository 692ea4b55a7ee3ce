package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// SigningKey is a key that service account tokens are signed with, without its private
// half. To create one is to rotate: the server makes a key, names it, publishes it and,
// when everybody can know it, signs with it. To delete one is to withdraw it at once
// with every token that it signed; the key that signs cannot be deleted. Nothing can be
// changed.
type SigningKey struct {
	metav1.TypeMeta `json:",inline"`
	// Standard object's metadata. The server gives the name: the first 16 hexadecimal
	// digits of the digest whose other form is the key ID. Labels and annotations are
	// not kept.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// spec is what is wanted of a new key.
	// +optional
	Spec SigningKeySpec `json:"spec,omitempty"`
	// status is what the key is and does. The server fills it in.
	// +optional
	Status SigningKeyStatus `json:"status,omitempty"`
}

// KeyType is a kind of key with its size.
type KeyType string

// The types of keys. RSA keys sign with RS256, the others with ES256, ES384 and ES512.
const (
	RSA2048   KeyType = "RSA2048"
	RSA3072   KeyType = "RSA3072"
	RSA4096   KeyType = "RSA4096"
	ECDSAP256 KeyType = "ECDSAP256"
	ECDSAP384 KeyType = "ECDSAP384"
	ECDSAP521 KeyType = "ECDSAP521"
)

// Activation says when a new key begins to sign.
type Activation string

const (
	// Scheduled lets the key sign when it has been published for as long as others may
	// keep a copy of the key set, so that nobody meets a key that they do not know.
	Scheduled Activation = "Scheduled"
	// Immediate lets the key sign at once. Relying parties that keep a copy of the key
	// set, and do not look again when they meet an unknown key, refuse its tokens until
	// their copy is an hour old.
	Immediate Activation = "Immediate"
)

// SigningKeySpec is what is wanted of a new key.
type SigningKeySpec struct {
	// type is one of RSA2048, RSA3072, RSA4096, ECDSAP256, ECDSAP384 and ECDSAP521.
	// Defaults to the type of the key that signs.
	// +optional
	Type KeyType `json:"type,omitempty"`
	// activation says when the key signs: Scheduled, the default, when it has been
	// published for an hour, or Immediate.
	// +optional
	Activation Activation `json:"activation,omitempty"`
}

// KeyState is what a key is used for. Keys of all states are published and accepted.
type KeyState string

const (
	// Upcoming is the state of a key that does not sign yet.
	Upcoming KeyState = "Upcoming"
	// Signing is the state of the one key that signs.
	Signing KeyState = "Signing"
	// Retired is the state of a key that does not sign any more. It goes when its last
	// token has expired.
	Retired KeyState = "Retired"
)

// SigningKeyStatus is what a key is and does. Its times are those of the system's clock
// (see laterna clock).
type SigningKeyStatus struct {
	// keyID is the value of the header kid in tokens that the key signed.
	// +optional
	KeyID string `json:"keyID,omitempty"`
	// algorithm of signatures: RS256, ES256, ES384 or ES512.
	// +optional
	Algorithm string `json:"algorithm,omitempty"`
	// state is Upcoming, Signing or Retired.
	// +optional
	State KeyState `json:"state,omitempty"`
	// published is when the key was first published.
	// +optional
	Published *metav1.Time `json:"published,omitempty"`
	// signsFrom is when the key signs, or began to.
	// +optional
	SignsFrom *metav1.Time `json:"signsFrom,omitempty"`
	// retired is when the key ceased to sign.
	// +optional
	Retired *metav1.Time `json:"retired,omitempty"`
	// expires bounds the ends of the tokens that the key signed: none ends later.
	// Absent as long as it signed none. The year 9999 stands for tokens without an
	// end, whose key stays until it is deleted.
	// +optional
	Expires *metav1.Time `json:"expires,omitempty"`
	// publicKey is the public half in PEM form (PKIX).
	// +optional
	PublicKey string `json:"publicKey,omitempty"`
}

// SigningKeyList is a list of signing keys.
type SigningKeyList struct {
	metav1.TypeMeta `json:",inline"`
	// Standard list's metadata.
	// +optional
	metav1.ListMeta `json:"metadata,omitempty"`
	// items are the keys, in the order in which they were made.
	Items []SigningKey `json:"items"`
}
