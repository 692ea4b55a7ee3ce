package resource

import (
	"fmt"

	apivalidation "k8s.io/apimachinery/pkg/api/validation"
)

// Only accepts one name: that of the only object of a kind.
func Only(the string) apivalidation.ValidateNameFunc {
	return func(name string, _ bool) []string {
		if name == the {
			return nil
		}
		return []string{fmt.Sprintf("must be %q: there is only one", the)}
	}
}
