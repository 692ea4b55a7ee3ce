package policy

import "strings"

// family is what an operator takes values for.
type family uint8

const (
	ofStrings family = iota
	ofFolded         // strings in which letter case does not count
	ofLikes          // strings with wildcards
	ofARNs
	ofNumbers
	ofDates
	ofBools
	ofBytes
	ofAddresses
	ofNull
)

// order is which order of two values makes a comparison true.
type order uint8

const (
	equal order = iota
	less
	lessEqual
	greater
	greaterEqual
)

func (o order) holds(sign int) bool {
	switch o {
	case less:
		return sign < 0
	case lessEqual:
		return sign <= 0
	case greater:
		return sign > 0
	case greaterEqual:
		return sign >= 0
	}
	return sign == 0
}

// quantifier is how many of a request's values must match.
type quantifier uint8

const (
	one quantifier = iota
	all
	some
)

// operator is one of a policy's conditions.
type operator struct {
	name     string // as written
	family   family
	order    order
	negated  bool
	ifExists bool
	of       quantifier
}

// operators are those of the language, without prefix and suffix.
var operators = map[string]operator{
	"StringEquals":              {family: ofStrings},
	"StringNotEquals":           {family: ofStrings, negated: true},
	"StringEqualsIgnoreCase":    {family: ofFolded},
	"StringNotEqualsIgnoreCase": {family: ofFolded, negated: true},
	"StringLike":                {family: ofLikes},
	"StringNotLike":             {family: ofLikes, negated: true},
	"NumericEquals":             {family: ofNumbers},
	"NumericNotEquals":          {family: ofNumbers, negated: true},
	"NumericLessThan":           {family: ofNumbers, order: less},
	"NumericLessThanEquals":     {family: ofNumbers, order: lessEqual},
	"NumericGreaterThan":        {family: ofNumbers, order: greater},
	"NumericGreaterThanEquals":  {family: ofNumbers, order: greaterEqual},
	"DateEquals":                {family: ofDates},
	"DateNotEquals":             {family: ofDates, negated: true},
	"DateLessThan":              {family: ofDates, order: less},
	"DateLessThanEquals":        {family: ofDates, order: lessEqual},
	"DateGreaterThan":           {family: ofDates, order: greater},
	"DateGreaterThanEquals":     {family: ofDates, order: greaterEqual},
	"Bool":                      {family: ofBools},
	"BinaryEquals":              {family: ofBytes},
	"IpAddress":                 {family: ofAddresses},
	"NotIpAddress":              {family: ofAddresses, negated: true},
	"ArnEquals":                 {family: ofARNs},
	"ArnLike":                   {family: ofARNs},
	"ArnNotEquals":              {family: ofARNs, negated: true},
	"ArnNotLike":                {family: ofARNs, negated: true},
	"Null":                      {family: ofNull},
}

// parseOperator reads the name of an operator with its prefix and suffix.
func parseOperator(name string) (operator, bool) {
	base, of := name, one
	if rest, ok := strings.CutPrefix(name, "ForAllValues:"); ok {
		base, of = rest, all
	} else if rest, ok := strings.CutPrefix(name, "ForAnyValue:"); ok {
		base, of = rest, some
	}
	base, ifExists := strings.CutSuffix(base, "IfExists")
	o, ok := operators[base]
	if !ok || o.family == ofNull && (ifExists || of != one) {
		return operator{}, false
	}
	o.name, o.of, o.ifExists = name, of, ifExists
	return o, true
}
