package v1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// Authentication says how the cluster authenticates. There is one, named cluster.
type Authentication struct {
	metav1.TypeMeta `json:",inline"`
	// Standard object's metadata.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// spec is what operators set.
	// +optional
	Spec AuthenticationSpec `json:"spec,omitempty"`
	// status is kept empty: who issues tokens, and who is still trusted, is in the
	// status of kubeapiservers.operator.openshift.io/cluster.
	// +optional
	Status AuthenticationStatus `json:"status,omitempty"`
}

// AuthenticationSpec is what operators set.
type AuthenticationSpec struct {
	// type is how users log in. This server has no login of its own: only the empty
	// value and "None" are taken.
	// +optional
	Type string `json:"type,omitempty"`
	// serviceAccountIssuer is the issuer of bound service account tokens. When it
	// changes, new tokens carry it at once, the tokens in running pods are replaced at
	// once, and the tokens of the former issuer are accepted for as long as the server
	// is told to (24 hours by default). A value with a colon must be a URL; only https
	// URLs can be discovered by relying parties. Empty means the server's default,
	// https://kubernetes.default.svc unless a flag says otherwise.
	// +optional
	ServiceAccountIssuer string `json:"serviceAccountIssuer,omitempty"`
}

// AuthenticationStatus holds nothing yet.
type AuthenticationStatus struct{}

// AuthenticationList is a list of Authentications.
type AuthenticationList struct {
	metav1.TypeMeta `json:",inline"`
	// Standard list metadata.
	// +optional
	metav1.ListMeta `json:"metadata,omitempty"`
	// items are the Authentications.
	Items []Authentication `json:"items"`
}
