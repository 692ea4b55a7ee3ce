package policy

import (
	"errors"
	"strings"
	"unicode/utf8"
)

// Bounds of what is read, whoever sent it: IAM takes no longer document, and none that is
// well formed is deeper.
const (
	maxDocument = 131072
	maxDepth    = 8
)

var errJSON = errors.New("not valid JSON")

// kindOf tells values of JSON apart.
type kindOf byte

const (
	isNull kindOf = iota
	isBool
	isNumber
	isString
	isList
	isObject
)

// value is a value of JSON as it was written: numbers keep their text, objects their order.
type value struct {
	kind    kindOf
	text    string // of strings, numbers and booleans
	items   []value
	members []member
}

type member struct {
	name  string
	value value
}

// get returns the member of an object.
func (v *value) get(name string) (*value, bool) {
	for i := range v.members {
		if v.members[i].name == name {
			return &v.members[i].value, true
		}
	}
	return nil, false
}

// has tells whether the object has the member.
func (v *value) has(name string) bool {
	_, ok := v.get(name)
	return ok
}

// list returns the items of a list, and anything else as a list of itself.
func (v *value) list() []value {
	if v.kind == isList {
		return v.items
	}
	return []value{*v}
}

// strings returns a string or a list of strings.
func (v *value) strings() ([]string, bool) {
	if v.kind != isString && v.kind != isList {
		return nil, false
	}
	items := v.list()
	out := make([]string, len(items))
	for i := range items {
		if items[i].kind != isString {
			return nil, false
		}
		out[i] = items[i].text
	}
	return out, true
}

// parseJSON reads a document. It is stricter than encoding/json: members may not repeat,
// since then it would depend on the reader which of them counts.
func parseJSON(text string) (value, error) {
	if len(text) > maxDocument || !utf8.ValidString(text) {
		return value{}, errJSON
	}
	r := reader{text: text}
	v, err := r.value(0)
	if err != nil {
		return value{}, err
	}
	if r.blanks(); r.at != len(text) {
		return value{}, errJSON
	}
	return v, nil
}

type reader struct {
	text string
	at   int
}

func (r *reader) blanks() {
	for r.at < len(r.text) && blank(r.text[r.at]) {
		r.at++
	}
}

func blank(c byte) bool { return c == ' ' || c == '\t' || c == '\n' || c == '\r' }

// next skips blanks and returns the byte that follows, zero at the end.
func (r *reader) next() byte {
	r.blanks()
	if r.at == len(r.text) {
		return 0
	}
	return r.text[r.at]
}

// take skips blanks and takes the byte if it is next.
func (r *reader) take(c byte) bool {
	if r.next() != c {
		return false
	}
	r.at++
	return true
}

func (r *reader) value(depth int) (value, error) {
	if depth > maxDepth {
		return value{}, errJSON
	}
	switch c := r.next(); {
	case c == '{':
		return r.object(depth)
	case c == '[':
		return r.array(depth)
	case c == '"':
		s, err := r.string()
		return value{kind: isString, text: s}, err
	case c == '-' || c >= '0' && c <= '9':
		return r.number()
	}
	return r.word()
}

func (r *reader) word() (value, error) {
	for _, v := range [...]value{{kind: isBool, text: "true"}, {kind: isBool, text: "false"}, {kind: isNull, text: "null"}} {
		if strings.HasPrefix(r.text[r.at:], v.text) {
			r.at += len(v.text)
			return v, nil
		}
	}
	return value{}, errJSON
}

func (r *reader) object(depth int) (value, error) {
	r.at++
	v := value{kind: isObject}
	var seen map[string]bool
	if r.take('}') {
		return v, nil
	}
	for {
		if r.next() != '"' {
			return v, errJSON
		}
		name, err := r.string()
		if err != nil {
			return v, err
		}
		if seen, err = unique(v.members, seen, name); err != nil {
			return v, err
		}
		if !r.take(':') {
			return v, errJSON
		}
		of, err := r.value(depth + 1)
		if err != nil {
			return v, err
		}
		v.members = append(v.members, member{name, of})
		if r.take('}') {
			return v, nil
		}
		if !r.take(',') {
			return v, errJSON
		}
	}
}

// unique refuses a name that a member has. Of many members it keeps a set, so that the time
// does not grow with their square.
func unique(members []member, seen map[string]bool, name string) (map[string]bool, error) {
	const few = 16
	if len(members) == few {
		seen = make(map[string]bool, 2*few)
		for _, m := range members {
			seen[m.name] = true
		}
	}
	if seen != nil {
		if seen[name] {
			return seen, errJSON
		}
		seen[name] = true
		return seen, nil
	}
	for i := range members {
		if members[i].name == name {
			return nil, errJSON
		}
	}
	return nil, nil
}

func (r *reader) array(depth int) (value, error) {
	r.at++
	v := value{kind: isList}
	if r.take(']') {
		return v, nil
	}
	for {
		item, err := r.value(depth + 1)
		if err != nil {
			return v, err
		}
		v.items = append(v.items, item)
		if r.take(']') {
			return v, nil
		}
		if !r.take(',') {
			return v, errJSON
		}
	}
}
