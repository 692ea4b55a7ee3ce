package policy

import (
	"net/netip"
	"strings"
)

// condition is one key under one operator.
type condition struct {
	operator
	key      string // small letters
	keyText  string // as written
	texts    []string
	operands []operand
}

// operand is a value of a policy, ready to be compared.
type operand struct {
	pattern pattern      // of strings and ARNs
	number  decimal      // of numbers
	millis  int64        // of dates
	truth   bool         // of Bool and Null
	bytes   string       // of binary
	prefix  netip.Prefix // of addresses
	bad     bool         // it cannot be compared with anything
}

// conditionShape tells whether conditions have the shape that the grammar asks for. An
// operator that does not exist passes as long as it has no keys: IAM looks no further.
func conditionShape(c *value) bool {
	if c.kind != isObject {
		return false
	}
	for i := range c.members {
		keys := &c.members[i].value
		if keys.kind != isObject {
			return false
		}
		if _, ok := parseOperator(c.members[i].name); !ok && len(keys.members) > 0 {
			return false
		}
		for j := range keys.members {
			if _, ok := scalars(&keys.members[j].value); !ok {
				return false
			}
		}
	}
	return true
}

// scalars returns a condition's values. Numbers and booleans may be written without quotes.
func scalars(v *value) ([]string, bool) {
	items := v.list()
	out := make([]string, len(items))
	for i := range items {
		switch items[i].kind {
		case isString, isNumber, isBool:
			out[i] = items[i].text
		default:
			return nil, false
		}
	}
	return out, true
}

// parseConditions reads the conditions of a statement. In documents that are stored each
// value must be usable by its operator.
func parseConditions(kind Kind, c *value, variables bool) ([]condition, *Malformed) {
	syntax, legacy := trustSyntax, trustSyntax
	if kind != Trust {
		syntax, legacy = identitySyntax, identityLegacy
	}
	if !conditionShape(c) {
		if kind == Trust && badPrefix(c) {
			return nil, malformed(trustPrefix)
		}
		return nil, malformed("%s", syntax)
	}
	var out []condition
	for i := range c.members {
		op, ok := parseOperator(c.members[i].name)
		if !ok {
			continue
		}
		for _, m := range c.members[i].value.members {
			texts, _ := scalars(&m.value)
			n := condition{operator: op, key: strings.ToLower(m.name), keyText: m.name, texts: texts, operands: make([]operand, len(texts))}
			for j, t := range texts {
				n.operands[j] = newOperand(op.family, t, variables)
				if n.operands[j].bad && !mayBeBad(kind, op.family) || variables && mayVary(op.family) && badVariables(t) {
					return nil, malformed("%s", legacy)
				}
			}
			out = append(out, n)
		}
	}
	return out, nil
}

// mayBeBad tells whether a value that cannot be used is taken: STS takes all but base64.
func mayBeBad(kind Kind, f family) bool { return kind == Session && f != ofBytes }

// mayVary tells whether variables may stand in values.
func mayVary(f family) bool { return f <= ofARNs }

// badPrefix tells whether an operator has a prefix that there is not: most often a key that
// stands where its operator should.
func badPrefix(c *value) bool {
	for i := range c.members {
		name := c.members[i].name
		if _, ok := parseOperator(name); !ok && strings.Contains(name, ":") {
			return true
		}
	}
	return false
}

func newOperand(f family, text string, variables bool) operand {
	var o operand
	ok := true
	switch f {
	case ofStrings, ofFolded:
		o.pattern = newPattern(text, false, variables)
	case ofLikes:
		o.pattern = compile(text, variables)
	case ofARNs:
		o.pattern = compile(text, variables)
		ok = o.pattern.segments != nil || o.pattern.usableARN()
	case ofNumbers:
		o.number, ok = parseDecimal(text)
	case ofDates:
		o.millis, ok = parseDate(text)
	case ofBools, ofNull:
		o.truth = strings.EqualFold(text, "true")
	case ofBytes:
		o.bytes, ok = parseBase64(text)
	case ofAddresses:
		o.prefix, ok = parsePrefix(text)
	}
	o.bad = !ok
	return o
}
