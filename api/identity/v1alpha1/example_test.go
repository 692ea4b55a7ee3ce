package v1alpha1_test

import (
	"encoding/json"
	"fmt"
	"log"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"laterna.dev/laterna/api/identity/v1alpha1"
)

// A SigningKey that is created begins a rotation.
func ExampleSigningKey() {
	key := v1alpha1.SigningKey{
		TypeMeta: metav1.TypeMeta{APIVersion: v1alpha1.SchemeGroupVersion.String(), Kind: "SigningKey"},
		Spec:     v1alpha1.SigningKeySpec{Type: "ECDSAP256"},
	}
	raw, err := json.Marshal(key.Spec)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(key.APIVersion, string(raw))
	// Output: identity.laterna.dev/v1alpha1 {"type":"ECDSAP256"}
}
