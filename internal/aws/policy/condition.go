package policy

import (
	"cmp"
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

// match evaluates the condition. It says in addition whether a pattern of an ARN could not
// be used before one matched: then an Allow does not apply and a Deny does.
func (c *condition) match(ctx Context) (matched, unusable bool) {
	k, present := ctx.keys[c.key]
	switch {
	case c.family == ofNull:
		return c.matchNull(present), false
	case len(c.operands) == 0:
		return c.matchNothing(k, present), false
	case c.of == one:
		switch {
		case !present:
			return c.negated || c.ifExists, false
		case k.Multivalued && len(k.Values) > 0, len(k.Values) > 1:
			return false, false
		case len(k.Values) == 0:
			return c.negated, false
		}
		return c.matchValue(k.Values[0], ctx)
	}
	matched = c.of == all
	for _, v := range k.Values {
		m, unusable := c.matchValue(v, ctx)
		if unusable {
			return false, true
		}
		if c.of == all && !m {
			return false, false
		}
		matched = matched || m
	}
	return matched, false
}

// matchNull is true if a value says of the key what it is: "true", that it is absent.
func (c *condition) matchNull(present bool) bool {
	for _, o := range c.operands {
		if o.truth == !present {
			return true
		}
	}
	return false
}

// matchNothing is for a list without values: it matches nothing that a request has, not
// even negated.
func (c *condition) matchNothing(k Key, present bool) bool {
	switch c.of {
	case all:
		return len(k.Values) == 0
	case some:
		return false
	}
	return c.ifExists && !present
}

// matchValue compares one value of a request with those of the policy: one of them, or in
// negated operators none of them, must match.
func (c *condition) matchValue(text string, ctx Context) (matched, unusable bool) {
	r := operandOf(c.family, text)
	if r.bad {
		return c.negated && (c.family == ofNumbers || c.family == ofDates), false
	}
	for i := range c.operands {
		m, unusable := c.compare(&c.operands[i], &r, text, ctx)
		if unusable {
			return false, true
		}
		if m {
			return !c.negated, false
		}
	}
	return c.negated, false
}

// operandOf is the value of a request.
func operandOf(f family, text string) operand {
	switch f {
	case ofStrings, ofLikes:
		return operand{}
	case ofFolded:
		return operand{bytes: lower(text)}
	case ofARNs:
		return operand{bad: !isARN(text)}
	case ofAddresses:
		a, ok := parseAddress(text)
		return operand{prefix: netip.PrefixFrom(a, 0), bad: !ok}
	}
	return newOperand(f, text, false)
}

func (c *condition) compare(o, r *operand, text string, ctx Context) (matched, unusable bool) {
	if mayVary(c.family) {
		return c.comparePattern(o, r, text, ctx)
	}
	if o.bad {
		return false, false
	}
	switch c.family {
	case ofNumbers:
		return c.order.holds(r.number.compare(o.number)), false
	case ofDates:
		return c.order.holds(cmp.Compare(r.millis, o.millis)), false
	case ofBools:
		return r.truth == o.truth, false
	case ofBytes:
		return r.bytes == o.bytes, false
	}
	return o.prefix.Contains(r.prefix.Addr()), false
}

func (c *condition) comparePattern(o, r *operand, text string, ctx Context) (matched, unusable bool) {
	p, ok := o.pattern.resolve(ctx)
	switch {
	case !ok:
		return false, false
	case c.family == ofFolded:
		return lower(p.text) == r.bytes, false
	case c.family != ofARNs:
		return p.match(text), false
	case !p.usableARN():
		return false, true
	}
	return p.matchARN(text), false
}
