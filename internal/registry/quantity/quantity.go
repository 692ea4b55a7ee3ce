// Package quantity keeps absurd quantities out of the server.
//
// Kubernetes' parser of quantities computes with as many digits as the exponent
// says: "1e-2147483647" takes gigabytes and hours, before any validation sees it.
// This package refuses such numbers in a request's body, before it is decoded, where
// the kind that the body is decoded as has a quantity, and nowhere else: "5e43123" is
// a good label. What a reasonable quantity may be is up to the kinds in
// internal/registry.
package quantity

import (
	"fmt"
	"regexp"
	"strings"

	"k8s.io/apimachinery/pkg/api/resource"
)

// maxExponent is the largest exponent that a quantity may have. The parser itself
// rounds to 10^-9 and caps at 2^63-1, so there is no use for more.
const maxExponent = 100

// exponential is a number with an exponent, as quantities are written.
var exponential = regexp.MustCompile(`^[+-]?[0-9]*\.?[0-9]*[eE]([+-]?)0*([0-9]+)$`)

func check(value string) error {
	found := exponential.FindStringSubmatch(value)
	if found == nil {
		return nil
	}
	if digits := found[2]; len(digits) > 3 || len(digits) == 3 && digits > fmt.Sprint(maxExponent) {
		if len(value) > 40 {
			value = value[:40] + "..."
		}
		return fmt.Errorf("the exponent of %q is out of range: use one between -%d and %d", value, maxExponent, maxExponent)
	}
	return nil
}

// Cap returns q, or the largest quantity that the API stores, 2^63-1, where q has an
// exponent that the parser did not cap and that would be costly to compute with.
func Cap(q resource.Quantity) resource.Quantity {
	mantissa, exponent, ok := strings.Cut(q.String(), "e")
	if !ok || len(strings.TrimPrefix(exponent, "-")) < 2 || exponent <= "18" && len(exponent) == 2 {
		return q
	}
	switch {
	case strings.Trim(mantissa, "-0.") == "":
		return *resource.NewQuantity(0, q.Format)
	case strings.HasPrefix(mantissa, "-"):
		return *resource.NewQuantity(-1<<63+1, resource.DecimalSI)
	}
	return *resource.NewQuantity(1<<63-1, resource.DecimalSI)
}
