package v1_test

import (
	"encoding/json"
	"fmt"
	"log"

	"laterna.dev/laterna/api/config/v1"
)

// A merge patch of the issuer, for a dynamic or REST client.
func ExampleAuthentication() {
	var patch v1.Authentication
	patch.Spec.ServiceAccountIssuer = "https://tokens.example"
	raw, err := json.Marshal(map[string]any{"spec": patch.Spec})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(v1.Authentications, v1.Name)
	fmt.Println(string(raw))
	// Output:
	// config.openshift.io/v1, Resource=authentications cluster
	// {"spec":{"serviceAccountIssuer":"https://tokens.example"}}
}
