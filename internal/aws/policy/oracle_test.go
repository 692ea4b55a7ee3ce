package policy_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math/big"
	"math/rand/v2"
	"net/netip"
	"strings"
	"testing"
	"time"
	"unicode/utf16"

	"laterna.dev/laterna/internal/aws/policy"
)

// verdict is what the naive evaluator says of a comparison.
type verdict int

const (
	no verdict = iota
	yes
	never  // the request's value has no place in the comparison: not even negated
	broken // the policy's value has none
)

// naive evaluates a document by the rules as they are told, with a map of maps, recursion
// and rationals. It knows whole seconds, and ASCII beside characters beyond U+FFFF.
type naive struct {
	keys      map[string][]string
	multi     map[string]bool
	variables bool
}

func (n naive) decide(text string, r *policy.Request) policy.Outcome {
	var doc struct {
		Version   string
		Statement []map[string]any
	}
	if err := json.Unmarshal([]byte(text), &doc); err != nil {
		panic(err)
	}
	n.variables = doc.Version == "2012-10-17"
	out := policy.ImplicitDeny
	for _, s := range doc.Statement {
		if !n.applies(s, r) {
			continue
		}
		if s["Effect"] == "Deny" {
			return policy.ExplicitDeny
		}
		out = policy.Allowed
	}
	return out
}

func (n naive) applies(s map[string]any, r *policy.Request) bool {
	in := func(element, asked string, fold bool) bool {
		for _, p := range texts(s[element]) {
			if fold {
				p, asked = strings.ToUpper(p), strings.ToUpper(asked)
			} else if filled, ok := n.fill(p, true); ok {
				p = filled
			} else {
				continue
			}
			if like(units(p), units(asked)) {
				return true
			}
		}
		return false
	}
	if s["Action"] != nil && !in("Action", r.Action, true) || s["NotAction"] != nil && in("NotAction", r.Action, true) {
		return false
	}
	if s["Resource"] != nil && !in("Resource", r.Resource, false) || s["NotResource"] != nil && in("NotResource", r.Resource, false) {
		return false
	}
	conditions, _ := s["Condition"].(map[string]any)
	for operator, keys := range conditions {
		for key, values := range keys.(map[string]any) {
			switch n.condition(operator, strings.ToLower(key), texts(values)) {
			case no:
				return false
			case broken:
				if s["Effect"] == "Allow" {
					return false
				}
			}
		}
	}
	return true
}

// condition answers yes, no or broken.
func (n naive) condition(operator, key string, values []string) verdict {
	has, present := n.keys[key]
	set, base, _ := strings.Cut(operator, ":")
	if base == "" {
		set, base = "", set
	}
	base, ifExists := strings.CutSuffix(base, "IfExists")
	truth := map[bool]verdict{true: yes, false: no}
	if base == "Null" {
		for _, v := range values {
			if (strings.ToLower(v) == "true") == !present {
				return yes
			}
		}
		return no
	}
	negated := strings.Contains(base, "Not")
	base = strings.Replace(base, "Not", "", 1)
	if len(values) == 0 {
		return truth[set == "ForAllValues" && len(has) == 0 || set == "" && ifExists && !present]
	}
	if set == "" {
		switch {
		case !present:
			return truth[ifExists || negated]
		case n.multi[key]:
			return truth[negated && len(has) == 0]
		}
		return n.value(base, negated, has[0], values)
	}
	hits := 0
	for _, v := range has {
		switch n.value(base, negated, v, values) {
		case yes:
			hits++
		case broken:
			return broken
		default:
			if set == "ForAllValues" {
				return no
			}
		}
	}
	return truth[set == "ForAllValues" || hits > 0]
}

func (n naive) value(base string, negated bool, has string, values []string) verdict {
	found := no
	for _, v := range values {
		switch n.compare(base, v, has) {
		case yes:
			found = yes
		case never:
			return no
		case broken:
			return broken
		}
		if found == yes {
			break
		}
	}
	if (found == yes) != negated {
		return yes
	}
	return no
}

func (n naive) compare(base, want, has string) verdict {
	ok := func(b bool) verdict {
		if b {
			return yes
		}
		return no
	}
	if strings.HasPrefix(base, "String") || strings.HasPrefix(base, "Arn") {
		if strings.HasPrefix(base, "Arn") && (!strings.HasPrefix(has, "arn:") || strings.Count(has, ":") < 5) {
			return never
		}
		filled, found := n.fill(want, base == "StringLike" || strings.HasPrefix(base, "Arn"))
		switch {
		case !found:
			return no
		case base == "StringEquals":
			return ok(filled == has)
		case base == "StringEqualsIgnoreCase":
			return ok(strings.ToLower(filled) == strings.ToLower(has))
		case base == "StringLike":
			return ok(like(units(filled), units(has)))
		case filled == "*":
			return yes
		case !strings.HasPrefix(filled, "arn:") || strings.Count(filled, ":") < 5:
			return broken
		}
		p, h := strings.SplitN(filled, ":", 6), strings.SplitN(has, ":", 6)
		for i := range p {
			if !like(units(p[i]), units(h[i])) {
				return no
			}
		}
		return yes
	}
	if base == "IpAddress" {
		a, err := netip.ParseAddr(has)
		if err != nil {
			return never
		}
		if !strings.Contains(want, "/") {
			w, err := netip.ParseAddr(want)
			return ok(err == nil && w == a)
		}
		p, err := netip.ParsePrefix(want)
		return ok(err == nil && p.Contains(a))
	}
	if base == "Bool" {
		return ok((strings.ToLower(want) == "true") == (strings.ToLower(has) == "true"))
	}
	if base == "BinaryEquals" {
		w, _ := base64.StdEncoding.DecodeString(want)
		h, err := base64.StdEncoding.DecodeString(has)
		return ok(err == nil && string(w) == string(h))
	}
	kind := "Numeric"
	parse := func(s string) (*big.Rat, bool) { return new(big.Rat).SetString(s) }
	if strings.HasPrefix(base, "Date") {
		kind = "Date"
		parse = func(s string) (*big.Rat, bool) {
			for _, layout := range []string{time.RFC3339, time.DateOnly} {
				if at, err := time.Parse(layout, s); err == nil {
					return new(big.Rat).SetInt64(at.Unix()), true
				}
			}
			if strings.ContainsAny(s, "eE") {
				return nil, false
			}
			return new(big.Rat).SetString(s)
		}
	}
	w, wok := parse(want)
	h, hok := parse(has)
	if !wok || !hok {
		return no
	}
	c := h.Cmp(w)
	return ok(map[string]bool{
		"Equals": c == 0, "LessThan": c < 0, "LessThanEquals": c <= 0, "GreaterThan": c > 0, "GreaterThanEquals": c >= 0,
	}[strings.TrimPrefix(base, kind)])
}

// Wildcards that stand for themselves in a pattern that is filled in.
const (
	plainStar = '\ue000'
	plainMark = '\ue001'
)

// fill puts values in place of variables; the wildcards of values are plain if those of the
// pattern are not.
func (n naive) fill(s string, wild bool) (string, bool) {
	if !n.variables {
		return s, true
	}
	for strings.Contains(s, "${") {
		before, rest, _ := strings.Cut(s, "${")
		key, after, _ := strings.Cut(rest, "}")
		key, fallback, hasDefault := strings.Cut(key, ", ")
		v := strings.Trim(fallback, "'")
		if key == "*" || key == "?" {
			v = key
		} else if has, ok := n.keys[key]; ok {
			if n.multi[key] || len(has) != 1 {
				return "", false
			}
			v = has[0]
		} else if !hasDefault {
			return "", false
		}
		if wild {
			v = strings.NewReplacer("*", string(plainStar), "?", string(plainMark)).Replace(v)
		}
		s = before + v + after
	}
	return s, true
}

func units(s string) []uint16 { return utf16.Encode([]rune(s)) }

// like tries everything that a star can stand for.
func like(p, s []uint16) bool {
	if len(p) == 0 {
		return len(s) == 0
	}
	if p[0] == '*' {
		for i := range len(s) + 1 {
			if like(p[1:], s[i:]) {
				return true
			}
		}
		return false
	}
	if len(s) == 0 {
		return false
	}
	same := p[0] == s[0] || p[0] == '?' || p[0] == plainStar && s[0] == '*' || p[0] == plainMark && s[0] == '?'
	return same && like(p[1:], s[1:])
}

func texts(v any) []string {
	switch v := v.(type) {
	case []any:
		out := []string{}
		for _, t := range v {
			out = append(out, t.(string))
		}
		return out
	case string:
		return []string{v}
	}
	return nil
}

// pools are values by what operators begin with.
var pools = map[string][]string{
	"String":  {"", "a", "A", "ab", "a*", "*", "?", "a?b", "aab", "a\U00010400b", "a??b", "${k1}", "x${k2}", "${k2, 'ab'}", "${*}", "*b*a*"},
	"Numeric": {"1", "01", "+1", "1.0", "1e0", "2", "-3", "0", "-0", "x", "", "10e-1", "0.5", "1e3", "1000"},
	"Date":    {"2030-01-01T00:00:00Z", "2030-01-01", "1893456000", "2030-01-01T01:00:00+01:00", "nope", "", "2029-12-31T23:59:59Z"},
	"Bool":    {"true", "TRUE", "false", "yes", ""},
	"Null":    {"true", "false", "True", "x"},
	"Binary":  {"YQ==", "Yg==", ""},
	"Ip":      {"10.0.0.1", "10.0.0.0/8", "10.0.0.9/24", "::1", "2001:db8::/32", "2001:db8::1", "x", ""},
	"Arn":     {"arn:aws:iam::1:role/a", "arn:aws:iam::*:role/*", "arn:aws:s3:::b", "arn:*:*:*:*:*", "*", "nope", "arn:aws:iam::1:role:x", "${k1}", "arn:aws:iam::1:${k2}"},
}

func pool(operator string) []string {
	_, base, _ := strings.Cut(operator, ":")
	if base == "" {
		base = operator
	}
	base = strings.TrimPrefix(base, "Not")
	for prefix, values := range pools {
		if strings.HasPrefix(base, prefix) {
			return values
		}
	}
	panic(operator)
}

var bases = strings.Fields(`StringEquals StringNotEquals StringEqualsIgnoreCase StringNotEqualsIgnoreCase StringLike StringNotLike
	NumericEquals NumericNotEquals NumericLessThan NumericLessThanEquals NumericGreaterThan NumericGreaterThanEquals
	DateEquals DateNotEquals DateLessThan DateLessThanEquals DateGreaterThan DateGreaterThanEquals
	Bool BinaryEquals IpAddress NotIpAddress ArnEquals ArnLike ArnNotEquals ArnNotLike Null`)

func pick[T any](r *rand.Rand, of []T) T { return of[r.IntN(len(of))] }

func some(r *rand.Rand, of []string, least, most int) []string {
	out := []string{}
	for range least + r.IntN(most-least+1) {
		out = append(out, pick(r, of))
	}
	return out
}

func randomDocument(r *rand.Rand) (text string, operators []string) {
	doc := map[string]any{"Version": pick(r, []string{"2012-10-17", "2012-10-17", "2008-10-17"})}
	var statements []any
	for range 1 + r.IntN(3) {
		s := map[string]any{"Effect": pick(r, []string{"Allow", "Allow", "Deny"})}
		s[pick(r, []string{"Action", "Action", "Action", "NotAction"})] = some(r, []string{"*", "s3:*", "s3:Get*", "S3:GetObject", "s3:?etObject", "iam:GetRole"}, 1, 2)
		s[pick(r, []string{"Resource", "Resource", "Resource", "NotResource"})] = some(r, []string{"*", "arn:aws:s3:::b/*", "arn:aws:s3:::b/${k1}", "arn:aws:s3:::b/a?b", "arn:aws:s3:::c"}, 1, 2)
		conditions := map[string]any{}
		for range r.IntN(3) {
			base := pick(r, bases)
			name := base
			if base != "Null" {
				name = pick(r, []string{"", "", "ForAllValues:", "ForAnyValue:"}) + base + pick(r, []string{"", "", "IfExists"})
			}
			operators = append(operators, name)
			conditions[name] = map[string]any{pick(r, []string{"k1", "K2", "multi", "absent"}): some(r, pool(name), 0, 3)}
		}
		s["Condition"] = conditions
		statements = append(statements, s)
	}
	doc["Statement"] = statements
	b, err := json.Marshal(doc)
	if err != nil {
		panic(err)
	}
	return string(b), operators
}

// rounds is how many documents are compared; a tenth of a millisecond each.
const rounds = 4000

// outcomeOf comes to an outcome from nothing but the parts of a trace.
func outcomeOf(statements []policy.StatementTrace) policy.Outcome {
	out := policy.ImplicitDeny
	for _, s := range statements {
		matched := s.Action.Matched && s.Resource.Matched
		for _, c := range s.Conditions {
			matched = matched && c.Matched
		}
		switch {
		case !matched:
		case s.Effect == policy.Deny:
			return policy.ExplicitDeny
		default:
			out = policy.Allowed
		}
	}
	return out
}

func TestEvaluationAgreesWithANaiveOne(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	r := rand.New(rand.NewPCG(seed, 1))
	seen := map[policy.Outcome]int{}
	for i := range rounds {
		text, operators := randomDocument(r)
		d, err := policy.Parse(policy.Session, text)
		if err != nil {
			t.Fatalf("seed %d: %v\n%s", seed, err, text)
		}
		req := policy.Request{Action: pick(r, []string{"s3:GetObject", "iam:GetRole"}), Resource: pick(r, []string{"arn:aws:s3:::b/aab", "arn:aws:s3:::b/a*", "arn:aws:s3:::b/a\U00010400b", "arn:aws:s3:::c"})}
		n := naive{keys: map[string][]string{}, multi: map[string]bool{}}
		values := func() []string {
			if len(operators) == 0 {
				return pools["String"]
			}
			return pool(pick(r, operators))
		}
		for _, k := range []string{"k1", "k2"} {
			if r.IntN(4) > 0 {
				n.keys[k] = []string{pick(r, values())}
				req.Context.Set(strings.ToUpper(k), n.keys[k][0])
			}
		}
		if r.IntN(4) > 0 {
			n.keys["multi"], n.multi["multi"] = some(r, values(), 0, 3), true
			req.Context.SetAll("Multi", n.keys["multi"])
		}
		// A value that looks like a variable would be filled in again by the naive one.
		if strings.Contains(fmt.Sprint(n.keys), "${") {
			continue
		}
		want := n.decide(text, &req)
		e := d.Evaluate(&req)
		got := e.Outcome
		if got != want {
			t.Fatalf("seed %d, round %d: %s, the naive one says %s\n%s\n%+v\n%s %s", seed, i, got, want, text, n.keys, req.Action, req.Resource)
		}
		if traced := outcomeOf(e.Statements); traced != got {
			t.Fatalf("seed %d, round %d: %s, but the trace comes to %s\n%s", seed, i, got, traced, text)
		}
		seen[got]++
	}
	if len(seen) != 3 {
		t.Errorf("not every outcome was seen: %v", seen)
	}
}
