package bounds

import (
	"bytes"
	"encoding/json"
	"fmt"

	"k8s.io/apimachinery/pkg/util/validation/field"
)

// scanner counts the elements of the lists of a JSON document. It reads the structure
// only: what is no JSON ends it, and the decoder says what is wrong. A list that is
// given twice counts twice.
type scanner struct {
	body  []byte
	at    int
	open  []frame
	tally tally
	// owned tells that all of the document is what a manager owns.
	owned bool
}

// frame is an object or list that has not ended.
type frame struct {
	list            bool
	key             []byte // of the member that is being read, as written
	objects, values int
	// owned tells that the members are fields that a manager owns (fieldsV1).
	owned bool
}

func (s *scanner) scan() {
	for s.at < len(s.body) {
		c := s.body[s.at]
		switch c {
		case '{', '[':
			if len(s.open) >= MaxDepth {
				s.tally.fault = fmt.Sprintf("the body is nested more than %d levels deep", MaxDepth)
				return
			}
			s.element(true)
			s.open = append(s.open, frame{list: c == '[', owned: s.owned || s.inOwned()})
			s.at++
		case '}', ']':
			if len(s.open) == 0 {
				return
			}
			s.end()
			s.at++
		case '"':
			if !s.text() {
				return
			}
		case ' ', '\t', '\r', '\n', ',', ':':
			s.at++
		default:
			s.element(c == 'n')
			s.word()
		}
	}
}

// inOwned tells whether an object that begins here is in what a manager owns.
func (s *scanner) inOwned() bool {
	if len(s.open) == 0 {
		return false
	}
	f := &s.open[len(s.open)-1]
	return f.owned || string(f.key) == `"fieldsV1"`
}

// element counts one more in the list that is being read, if it is one.
func (s *scanner) element(object bool) {
	if len(s.open) == 0 {
		return
	}
	f := &s.open[len(s.open)-1]
	switch {
	case !f.list:
	case object:
		f.objects++
	default:
		f.values++
	}
}

// end closes the innermost object or list.
func (s *scanner) end() {
	f := s.open[len(s.open)-1]
	s.open = s.open[:len(s.open)-1]
	if f.list {
		s.tally.add(f.objects, f.values, s.name(), s.path)
	} else {
		s.tally.entries(f.values, s.path)
	}
}

// text reads a string: a value, or the name of a member.
func (s *scanner) text() bool {
	begin := s.at
	for s.at++; s.at < len(s.body); s.at++ {
		switch s.body[s.at] {
		case '\\':
			s.at++
		case '"':
			s.at++
			s.named(s.body[begin:s.at])
			return true
		}
	}
	return false
}

// named takes a string in its quotes.
func (s *scanner) named(quoted []byte) {
	if len(s.open) == 0 {
		return
	}
	f := &s.open[len(s.open)-1]
	if f.list {
		f.values++
		return
	}
	// In an object names and values take turns; a name has a colon behind it.
	at := s.at
	for at < len(s.body) && (s.body[at] == ' ' || s.body[at] == '\n' || s.body[at] == '\t' || s.body[at] == '\r') {
		at++
	}
	switch {
	case at < len(s.body) && s.body[at] == ':':
		f.values++
		if f.owned && f.values > MaxMembers && bytes.Compare(f.key, quoted) > 0 {
			s.tally.fault = "metadata.managedFields: fields of more than " + fmt.Sprint(MaxMembers) + " must be in order, as the server writes them"
		}
		f.key = quoted
	case len(s.open) == 1 && string(f.key) == `"kind"`:
		s.tally.kind = unquote(quoted)
	}
}

// word skips a number, true, false or null.
func (s *scanner) word() {
	for s.at++; s.at < len(s.body); s.at++ {
		switch s.body[s.at] {
		case ',', ':', ']', '}', '{', '[', '"', ' ', '\t', '\r', '\n':
			return
		}
	}
}

// name is that of the member that is being read.
func (s *scanner) name() string {
	if len(s.open) == 0 {
		return ""
	}
	return unquote(s.open[len(s.open)-1].key)
}

// path is where in the document the scanner is.
func (s *scanner) path() *field.Path {
	var p *field.Path
	for i := range s.open {
		f := &s.open[i]
		switch {
		case f.list && p != nil:
			p = p.Index(f.objects - 1)
		case !f.list && p == nil:
			p = field.NewPath(unquote(f.key))
		case !f.list:
			p = p.Child(unquote(f.key))
		}
	}
	return p
}

// nameLimit is how much of a name is shown, in bytes.
const nameLimit = 253

func unquote(quoted []byte) string {
	var name string
	if len(quoted) > nameLimit || json.Unmarshal(quoted, &name) != nil {
		return "…"
	}
	return name
}
