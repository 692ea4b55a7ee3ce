package webidentity

import (
	"encoding/json"
	"maps"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"laterna.dev/laterna/internal/aws/query"
)

// Claims of AWS.
const (
	tagsClaim           = "https://aws.amazon.com/tags"
	sourceIdentityClaim = "https://aws.amazon.com/source_identity"
	rolesClaim          = "https://aws.amazon.com/roles"
)

// MaxTags is how many tags a session has at most.
const MaxTags = 50

var (
	tagText            = regexp.MustCompile(`^[\p{L}\p{Z}\p{N}_.:/=+\-@]*$`)
	sourceIdentityText = regexp.MustCompile(`^[\w+=,.@-]{2,64}$`)
)

// readTags reads the tags of the session, nested in one claim or flat in several.
func (t *token) readTags() (tags map[string]string, transitive []string, refused *query.Error) {
	wrong := invalid("principal_tags passed in claim is not in correct format.")
	tags = map[string]string{}
	var keys json.RawMessage
	if t.has(tagsClaim) {
		claim, ok := object(t.claims[tagsClaim])
		if !ok {
			return nil, nil, wrong
		}
		var lists map[string][]string
		if raw, has := claim["principal_tags"]; has && json.Unmarshal(raw, &lists) != nil {
			return nil, nil, wrong
		}
		for key, values := range lists {
			if len(values) != 1 {
				return nil, nil, wrong
			}
			tags[key] = values[0]
		}
		keys = claim["transitive_tag_keys"]
	}
	for name, raw := range t.claims {
		if key, flat := strings.CutPrefix(name, tagsClaim+"/principal_tags/"); flat {
			value, ok := textOf(raw)
			if !ok {
				return nil, nil, wrong
			}
			tags[key] = value
		}
	}
	if raw, has := t.claims[tagsClaim+"/transitive_tag_keys"]; has {
		keys = raw
	}
	if keys != nil && json.Unmarshal(keys, &transitive) != nil {
		return nil, nil, wrong
	}
	if !ValidTags(tags, transitive) {
		return nil, nil, invalid("Unable to validate tags")
	}
	return tags, transitive, nil
}

// ValidTags tells whether tags of a session are within AWS's bounds.
func ValidTags(tags map[string]string, transitive []string) bool {
	if len(tags) > MaxTags || len(transitive) > MaxTags {
		return false
	}
	lower := map[string]bool{}
	for key, value := range tags {
		n := utf8.RuneCountInString(key)
		if n < 1 || n > 128 || utf8.RuneCountInString(value) > 256 || !tagText.MatchString(key) || !tagText.MatchString(value) || strings.HasPrefix(strings.ToLower(key), "aws:") {
			return false
		}
		if lower[strings.ToLower(key)] {
			return false
		}
		lower[strings.ToLower(key)] = true
	}
	return !slices.ContainsFunc(transitive, func(key string) bool { return !lower[strings.ToLower(key)] })
}

func (t *token) readSourceIdentity() (string, *query.Error) {
	if !t.has(sourceIdentityClaim) {
		return "", nil
	}
	s, ok := textOf(t.claims[sourceIdentityClaim])
	if !ok || !sourceIdentityText.MatchString(s) || strings.HasPrefix(strings.ToLower(s), "aws:") {
		return "", invalid("source_identity passed in claim is not in correct format.")
	}
	return s, nil
}

// roles are the ARNs in the claim about roles, and whether it is there.
func (t *token) roles() (arns []string, there bool) {
	if !t.has(rolesClaim) {
		return nil, false
	}
	raw := t.claims[rolesClaim]
	if text, ok := textOf(raw); ok {
		arns = strings.Split(text, ";")
	} else {
		var members []json.RawMessage
		_ = json.Unmarshal(raw, &members) // what is no list names no role
		for _, m := range members {
			if text, ok := textOf(m); ok {
				arns = append(arns, text)
			}
		}
	}
	for i := range arns {
		arns[i] = strings.TrimSpace(arns[i])
	}
	return arns, true
}

// methods are the values of the claim amr.
func (t *token) methods() []string {
	if one, ok := textOf(t.claims["amr"]); ok {
		return []string{one}
	}
	var all []string
	_ = json.Unmarshal(t.claims["amr"], &all) // what is no list of texts is no key
	return all
}

// sorted are the keys of tags, in order.
func sorted(tags map[string]string) []string { return slices.Sorted(maps.Keys(tags)) }
