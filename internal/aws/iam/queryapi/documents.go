package queryapi

import (
	"errors"
	"strings"

	"laterna.dev/laterna/internal/aws/arn"
	"laterna.dev/laterna/internal/aws/iam"
)

// encode is how documents stand in answers: percent-encoded as RFC 3986 has it.
func encode(document string) string {
	const digits = "0123456789ABCDEF"
	var b strings.Builder
	for i := range len(document) {
		c := document[i]
		if 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || strings.IndexByte("-_.~", c) >= 0 {
			b.WriteByte(c)
			continue
		}
		b.Write([]byte{'%', digits[c>>4], digits[c&15]})
	}
	return b.String()
}

// idOf returns the unique id of the role that has an ARN now, "" if none has.
func (r *request) idOf(name string) (string, error) {
	n, err := arn.ParseRole(name)
	if err != nil {
		return "", nil // no role has it
	}
	role, err := r.store().Role(r.ctx, n.Account, n.Name)
	if errors.Is(err, iam.ErrNotFound) || err == nil && role.ARN() != name {
		return "", nil
	}
	return role.ID, err
}

// shown returns the trust policy of a role as it is shown.
func (r *request) shown(role *iam.Role) (string, error) {
	ids := map[string]string{}
	for name := range role.Principals {
		id, err := r.idOf(name)
		if err != nil {
			return "", err
		}
		ids[name] = id
	}
	return encode(role.Shown(func(arn string) string { return ids[arn] })), nil
}
