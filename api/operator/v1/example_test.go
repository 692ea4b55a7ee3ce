package v1_test

import (
	"encoding/json"
	"fmt"
	"log"

	"laterna.dev/laterna/api/operator/v1"
)

// Who issues tokens, as `kubectl get kubeapiserver cluster -o json` tells it.
func ExampleKubeAPIServerStatus_ActiveIssuer() {
	var server v1.KubeAPIServer
	if err := json.Unmarshal([]byte(`{"status": {"serviceAccountIssuers": [
		{"name": "https://former.example", "expirationTime": "2030-01-02T03:04:05Z"},
		{"name": "https://tokens.example"}
	]}}`), &server); err != nil {
		log.Fatal(err)
	}
	fmt.Println(server.Status.ActiveIssuer())
	// Output: https://tokens.example
}
