package tokencache

import (
	"fmt"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"laterna.dev/laterna/boundtoken"
)

// Request names a token: equal requests share one.
type Request struct {
	Namespace, ServiceAccount string
	// ServiceAccountUID, unless empty, refuses a service account that was re-created.
	ServiceAccountUID types.UID
	// Audience is empty for the API server's own.
	Audience string
	// ExpirationSeconds is the life asked for; the server may give less.
	ExpirationSeconds int64
	// The pod that the token is bound to.
	PodName string
	PodUID  types.UID
}

// String tells requests apart in logs and errors. It holds nothing secret.
func (r Request) String() string {
	return fmt.Sprintf("%q/%q/%q/%d/pod %q (%s)", r.ServiceAccount, r.Namespace, r.Audience, r.ExpirationSeconds, r.PodName, r.PodUID)
}

func (r Request) object() *authenticationv1.TokenRequest {
	t := &authenticationv1.TokenRequest{
		ObjectMeta: metav1.ObjectMeta{UID: r.ServiceAccountUID},
		Spec: authenticationv1.TokenRequestSpec{
			Audiences:         []string{},
			ExpirationSeconds: &r.ExpirationSeconds,
			BoundObjectRef:    &authenticationv1.BoundObjectReference{APIVersion: "v1", Kind: "Pod", Name: r.PodName, UID: r.PodUID},
		},
	}
	if r.Audience != "" {
		t.Spec.Audiences = []string{r.Audience}
	}
	return t
}

// Token is a token and its times. It prints as [redacted].
type Token struct {
	boundtoken.Token
	// Issued and Expires are the token's own times; Refresh is when it is replaced,
	// the zero time for never.
	Issued, Expires, Refresh time.Time

	serial uint64
	// received is when it came, by the cache's clock.
	received time.Time
}

// Serial orders the tokens of a cache by when they were asked for: one with a serial
// above an earlier result of Cache.Serial was asked for after that.
func (t Token) Serial() uint64 { return t.serial }

// Bytes returns the token itself, in a fresh slice.
func (t Token) Bytes() []byte { return []byte(t.Reveal()) }
