package query

import (
	"math"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// Params reads the parameters of one call, or of one structure in it, and gathers what is
// wrong with them. What a reading returns is of use only once Err has returned nil.
type Params struct {
	values url.Values
	// prefix stands before the names of a structure's members in the form ("Tags.member.1."),
	// path before those in messages ("tags.1.member.").
	prefix, path string
	found        *found
}

// found is what was found wrong so far, shared by a call and the structures in it.
type found struct {
	malformed *Error
	faults    []string
}

// NewParams reads from a form.
func NewParams(form url.Values) *Params { return &Params{values: form, found: &found{}} }

// Err returns what is wrong with all that was read until now, as AWS answers it.
func (p *Params) Err() error {
	switch {
	case p.found.malformed != nil:
		return p.found.malformed
	case len(p.found.faults) > 0:
		return invalid(p.found.faults)
	}
	return nil
}

// Has tells whether a parameter was sent, even an empty one.
func (p *Params) Has(name string) bool { return p.values.Has(p.prefix + name) }

// Text is what a text must be.
type Text struct {
	Required bool
	// Min and Max bound the number of characters; 0 is no bound.
	Min, Max int
	// Pattern must match all of it; nil is none.
	Pattern *Pattern
	// Enum lists all values there are; none is any.
	Enum []string
	// Hidden leaves the value out of messages, as newer actions and secrets want it.
	Hidden bool
}

// Text reads a text, which is empty where it was not sent.
func (p *Params) Text(name string, rule Text) string {
	value := p.values.Get(p.prefix + name)
	p.text(member(name), value, p.Has(name), rule)
	return value
}

func (p *Params) text(at, value string, sent bool, rule Text) {
	if !sent {
		if rule.Required {
			p.broke("null", at, "Member must not be null")
		}
		return
	}
	shown := "'" + value + "'"
	if rule.Hidden {
		shown = ""
	}
	for _, tail := range rule.broken(value) {
		p.broke(shown, at, tail)
	}
}

// broken lists the constraints that a value does not satisfy.
func (t Text) broken(value string) []string {
	var tails []string
	n := utf8.RuneCountInString(value)
	if t.Min > 0 && n < t.Min {
		tails = append(tails, "Member must have length greater than or equal to "+strconv.Itoa(t.Min))
	}
	if t.Max > 0 && n > t.Max {
		tails = append(tails, "Member must have length less than or equal to "+strconv.Itoa(t.Max))
	}
	if t.Pattern != nil && !t.Pattern.Matches(value) {
		tails = append(tails, "Member must satisfy regular expression pattern: "+t.Pattern.shown)
	}
	if len(t.Enum) > 0 && !slices.Contains(t.Enum, value) {
		tails = append(tails, "Member must satisfy enum value set: ["+strings.Join(t.Enum, ", ")+"]")
	}
	return tails
}

// Fault adds a broken constraint in words of one's own.
func (p *Params) Fault(text string) { p.found.faults = append(p.found.faults, text) }

// broke adds that the value of a member does not satisfy a constraint; shown is the value
// as it is printed, empty to leave it out.
func (p *Params) broke(shown, at, tail string) {
	if shown != "" {
		shown += " "
	}
	p.Fault("Value " + shown + "at '" + p.path + at + "' failed to satisfy constraint: " + tail)
}

// Number reads a whole number between least and most; where none was sent it is otherwise.
func (p *Params) Number(name string, least, most, otherwise int) int {
	text, ok := p.values.Get(p.prefix+name), p.Has(name)
	if !ok || text == "" {
		return otherwise
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n > math.MaxInt32 || n < math.MinInt32 {
		p.malformed("STRING_VALUE can not be converted to an Integer")
		return otherwise
	}
	shown := "'" + strconv.Itoa(int(n)) + "'"
	if int(n) < least {
		p.broke(shown, member(name), "Member must have value greater than or equal to "+strconv.Itoa(least))
	}
	if int(n) > most {
		p.broke(shown, member(name), "Member must have value less than or equal to "+strconv.Itoa(most))
	}
	return int(n)
}

// Bool reads true, 1, false, 0; where none was sent it is false.
func (p *Params) Bool(name string) bool {
	switch strings.ToLower(p.values.Get(p.prefix + name)) {
	case "true", "1":
		return true
	case "false", "0", "":
		return false
	}
	p.malformed("STRING_VALUE can not be converted to a Boolean")
	return false
}

// Time reads an ISO 8601 time; where none was sent it is zero.
func (p *Params) Time(name string) time.Time {
	text := p.values.Get(p.prefix + name)
	if text == "" {
		return time.Time{}
	}
	t, err := time.Parse(time.RFC3339, text)
	if err != nil {
		p.malformed("timestamp must follow ISO8601")
	}
	return t
}

func (p *Params) malformed(format string, args ...any) {
	if p.found.malformed == nil {
		p.found.malformed = malformed(format, args...)
	}
}

// member is a parameter's name in messages.
func member(name string) string {
	r, n := utf8.DecodeRuneInString(name)
	return string(unicode.ToLower(r)) + name[n:]
}

// Pattern is a regular expression that all of a text must match, and what AWS prints for
// it.
type Pattern struct {
	shown string
	all   *regexp.Regexp
}

// NewPattern reads an expression as the API models write it. It panics where that is none:
// expressions are constants.
func NewPattern(shown string) *Pattern {
	expr := regexp.MustCompile(`\\u([0-9A-Fa-f]{4})`).ReplaceAllString(shown, `\x{$1}`)
	return &Pattern{shown, regexp.MustCompile(`^(?:` + expr + `)$`)}
}

// Matches tells whether all of a text matches.
func (p *Pattern) Matches(text string) bool {
	return p.all.MatchString(text)
}
