package v1alpha1_test

import (
	"fmt"

	"laterna.dev/laterna/api/iam/v1alpha1"
)

// Objects are named after what identifies them, so that a look-up is one read.
func ExampleProviderName() {
	fmt.Println(v1alpha1.ProviderName("111122223333", "https://issuer.example/id/A1"))
	fmt.Println(v1alpha1.RoleName("111122223333", "Deployer"))
	// Output:
	// 111122223333:issuer.example~1id~1A1
	// 111122223333:deployer
}
