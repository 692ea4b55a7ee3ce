package hint

import (
	"fmt"
	"slices"
	"strings"

	"laterna.dev/laterna/internal/aws/policy"
)

// condition says why a condition does not match.
func condition(d *policy.Decision, c *policy.ConditionTrace) Hint {
	base := baseOf(c.Operator)
	switch {
	case c.Unusable:
		return Hint{Code: UnusableARN, Text: fmt.Sprintf("%s compares ARNs, and one of %s is none once its variables are filled in.", c.Operator, list(c.Policy))}
	case base == "Null":
		return null(c)
	case !c.Present:
		return absent(d, c)
	case c.Multivalued && !strings.HasPrefix(c.Operator, "For"):
		return Hint{Code: KeyMultivalued, Text: fmt.Sprintf("Key %s can have several values, which %s never matches: write ForAnyValue:%s or ForAllValues:%s.", quote(c.Key), c.Operator, c.Operator, c.Operator)}
	}
	if name, ok := missingVariable(d, c); ok {
		return Hint{Code: VariableAbsent, Text: fmt.Sprintf("The policy's value holds ${%s}, which this call does not have, so that nothing matches: give it a default as ${%s, 'value'}.", name, name)}
	}
	if strings.Contains(base, "Not") {
		return Hint{Code: ValueExcluded, Text: fmt.Sprintf("%s excludes %s, and the call has %s.", c.Operator, list(c.Policy), list(c.Request))}
	}
	if strings.HasPrefix(base, "String") {
		for _, want := range c.Policy {
			for _, has := range c.Request {
				if h, ok := value(d, c, want, has); ok {
					return h
				}
			}
		}
	}
	return Hint{Code: ValueDiffers, Text: fmt.Sprintf("The policy asks %s of %s to be %s; in this call it is %s.", c.Operator, quote(c.Key), list(c.Policy), list(c.Request))}
}

// baseOf leaves prefix and suffix of an operator out.
func baseOf(operator string) string {
	if _, after, ok := strings.Cut(operator, ":"); ok {
		operator = after
	}
	return strings.TrimSuffix(operator, "IfExists")
}

func null(c *policy.ConditionTrace) Hint {
	if c.Present {
		return Hint{Code: ValueExcluded, Text: fmt.Sprintf("The policy asks that %s be absent; the call has %s.", quote(c.Key), list(c.Request))}
	}
	return Hint{Code: KeyAbsent, Text: fmt.Sprintf("The policy asks that %s be present, which this call does not have.", quote(c.Key))}
}

// absent says of a key that the call does not have which one was meant.
func absent(d *policy.Decision, c *policy.ConditionTrace) Hint {
	never := fmt.Sprintf("Key %s is not present", quote(c.Key))
	issuer, claim, ofIssuer := cutClaim(c.Key)
	if !ofIssuer {
		for _, k := range d.Keys {
			if _, has, ok := cutClaim(k.Name); ok && strings.EqualFold(has, c.Key) {
				return Hint{Code: KeyBare, Text: fmt.Sprintf("%s: a claim's key begins with its issuer, as %s.", never, quote(k.Name))}
			}
		}
		return Hint{Code: KeyAbsent, Text: never + have(d)}
	}
	for _, k := range d.Keys {
		has, hasClaim, ok := cutClaim(k.Name)
		if !ok || strings.HasPrefix(k.Name, "aws:") || strings.HasPrefix(k.Name, "sts:") {
			continue
		}
		if strings.EqualFold(issuer, has) {
			return Hint{Code: KeyClaim, Text: never + ": of a token's claims only sub, aud, oaud, amr and email become keys, and some more of a few public issuers" + have(d)}
		}
		if h, ok := nearKey(never, issuer, claim, has, hasClaim, k.Name); ok {
			return h
		}
	}
	return Hint{Code: KeyAbsent, Text: never + have(d)}
}

// nearKey compares a key that is absent with one of the token's.
func nearKey(never, issuer, claim, has, hasClaim, name string) (Hint, bool) {
	if !strings.EqualFold(claim, hasClaim) {
		return Hint{}, false
	}
	_, after, inARN := strings.Cut(issuer, "oidc-provider/")
	switch {
	case inARN && strings.EqualFold(after, has):
		return Hint{Code: KeyARN, Text: fmt.Sprintf("%s: a key begins with the issuer, not with the provider's ARN: write %s.", never, quote(name))}, true
	case strings.EqualFold(strings.TrimPrefix(issuer, "https://"), has):
		return Hint{Code: KeyScheme, Text: fmt.Sprintf("%s: a key has no https://: write %s.", never, quote(name))}, true
	case strings.EqualFold(strings.TrimSuffix(issuer, "/"), strings.TrimSuffix(has, "/")):
		return Hint{Code: KeySlash, Text: fmt.Sprintf("%s: only a trailing slash of the issuer differs: write %s.", never, quote(name))}, true
	case strings.EqualFold(host(issuer), host(has)):
		return Hint{Code: KeyPath, Text: fmt.Sprintf("%s: the issuer's path belongs to the key: write %s.", never, quote(name))}, true
	}
	return Hint{Code: KeyIssuer, Text: fmt.Sprintf("%s: it is of another issuer than the token, whose key is %s. A cluster that is built again has another issuer.", never, quote(name))}, true
}

func host(issuer string) string {
	issuer = strings.TrimPrefix(issuer, "https://")
	h, _, _ := strings.Cut(issuer, "/")
	return h
}

// cutClaim parts a key of a token into issuer and claim. Keys of AWS have a service in the
// issuer's place.
func cutClaim(key string) (issuer, claim string, ok bool) {
	i := strings.LastIndexByte(key, ':')
	if i < 0 || !strings.Contains(key[:i], ".") {
		return "", key, false
	}
	return key[:i], key[i+1:], true
}

// have names the keys that there are, those of the token first.
func have(d *policy.Decision) string {
	var mine, others []string
	for _, k := range d.Keys {
		if _, _, ok := cutClaim(k.Name); ok {
			mine = append(mine, k.Name)
		} else {
			others = append(others, k.Name)
		}
	}
	names := slices.Concat(mine, others)
	if len(names) == 0 {
		return "; the call has none."
	}
	return "; the call has " + strings.Join(names, ", ") + "."
}

// missingVariable returns a variable of the policy's values that the call has not.
func missingVariable(d *policy.Decision, c *policy.ConditionTrace) (string, bool) {
	for _, p := range c.Policy {
		for rest := p; ; {
			_, after, ok := strings.Cut(rest, "${")
			if !ok {
				break
			}
			name, more, _ := strings.Cut(after, "}")
			rest = more
			if strings.Contains(name, ",") || name == "*" || name == "?" || name == "$" {
				continue
			}
			if !slices.ContainsFunc(d.Keys, func(k policy.Key) bool { return strings.EqualFold(k.Name, name) }) {
				return name, true
			}
		}
	}
	return "", false
}
