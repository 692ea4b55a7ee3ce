// Package quantity keeps absurd quantities out of the server.
//
// Kubernetes' parser of quantities computes with as many digits as the exponent
// says: "1e-2147483647" takes gigabytes and hours, before any validation sees it.
// This package refuses such numbers in a request's body, before it is decoded. What
// a reasonable quantity may be is up to the kinds in internal/registry.
package quantity

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"regexp"
	"strings"

	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/util/yaml"
)

// maxExponent is the largest exponent that a quantity may have. The parser itself
// rounds to 10^-9 and caps at 2^63-1, so there is no use for more.
const maxExponent = 100

// exponential is a number with an exponent, as quantities are written.
var exponential = regexp.MustCompile(`^[+-]?[0-9]*\.?[0-9]*[eE]([+-]?)0*([0-9]+)$`)

// CheckBody returns an error when a request's body holds a value that, read as a
// quantity, would have an exponent beyond any use. mediaType is that of the body; a
// body that does not parse is left to the decoder.
func CheckBody(mediaType string, body []byte) error {
	switch {
	case strings.Contains(mediaType, "protobuf"):
		return checkProtobuf(body)
	case strings.Contains(mediaType, "yaml"):
		text, err := yaml.ToJSON(body)
		if err != nil {
			return nil
		}
		return checkJSON(text)
	}
	return checkJSON(body)
}

func checkJSON(body []byte) error {
	tokens := json.NewDecoder(bytes.NewReader(body))
	tokens.UseNumber()
	for {
		token, err := tokens.Token()
		if err != nil {
			if err != io.EOF && bytes.ContainsAny(body, "eE") {
				return checkYAML(body)
			}
			return nil
		}
		switch value := token.(type) {
		case string:
			err = check(value)
		case json.Number:
			err = check(value.String())
		}
		if err != nil {
			return err
		}
	}
}

// checkYAML is for bodies that claim to be JSON and are not: decoders guess.
func checkYAML(body []byte) error {
	text, err := yaml.ToJSON(body)
	if err != nil || bytes.Equal(text, body) || !json.Valid(text) {
		return nil
	}
	return checkJSON(text)
}

// checkProtobuf looks for messages of the form of Quantity: one field, number 1, a
// string.
func checkProtobuf(body []byte) error {
	const fieldOne = 0x0a
	for i := 0; i+1 < len(body); i++ {
		length := int(body[i+1])
		if body[i] != fieldOne || length > len(body)-i-2 || length >= 0x80 {
			continue
		}
		if err := check(string(body[i+2 : i+2+length])); err != nil {
			return err
		}
	}
	return nil
}

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
