package policy

import (
	"cmp"
	"net/netip"
)

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
