package jwks_test

import (
	"fmt"
	"log"

	"laterna.dev/laterna/boundtoken/jwks"
)

func ExampleParse() {
	set, err := jwks.Parse([]byte(`{"keys": [
		{"kty": "EC", "kid": "mine", "alg": "ES256", "use": "sig", "crv": "P-256",
		 "x": "MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4", "y": "4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM"},
		{"kty": "OKP", "kid": "of another kind", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}
	]}`))
	if err != nil {
		log.Fatal(err)
	}
	for _, key := range set.Find("") {
		fmt.Println(key.ID, key.Algorithm)
	}
	_, err = jwks.Parse([]byte(`{"keys": [{"kty": "oct", "k": "c2VjcmV0"}]}`))
	fmt.Println(err)
	// Output:
	// mine ES256
	// key set, keys[0]: it is a secret key, which must never be published
}
