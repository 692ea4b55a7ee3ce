package rules

import (
	"encoding/json"
	"errors"
)

// TrustPolicy checks the text of a trust policy.
func TrustPolicy(text string) error { return object(text) }

// IdentityPolicy checks the text of a policy of a role, inline or managed.
func IdentityPolicy(text string) error { return object(text) }

func object(text string) error {
	var o map[string]json.RawMessage
	if json.Unmarshal([]byte(text), &o) != nil || o == nil {
		return errors.New("This policy contains invalid Json")
	}
	return nil
}
