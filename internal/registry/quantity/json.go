package quantity

import (
	"bytes"
	"encoding/json"
	"errors"
	"reflect"
	"strings"
)

// maxDepth is how deep the decoder follows a document.
const maxDepth = 10000

// kindsOf returns what a document calls its kind, every time that it does.
func kindsOf(body []byte) []string {
	var kinds []string
	d := newReader(body)
	if token, err := d.Token(); err != nil || token != json.Delim('{') {
		return nil
	}
	for d.More() {
		key, err := d.Token()
		if err != nil {
			return kinds
		}
		var value json.RawMessage
		if err := d.Decode(&value); err != nil {
			return kinds
		}
		var kind string
		if name, _ := key.(string); strings.EqualFold(name, "kind") && json.Unmarshal(value, &kind) == nil {
			kinds = append(kinds, kind)
		}
	}
	return kinds
}

// checkJSON reads body as a t.
func checkJSON(t reflect.Type, body []byte) error {
	err := newReader(body).value(t, 0)
	if errors.Is(err, errMalformed) {
		return nil // the decoder says what is wrong
	}
	return err
}

// errMalformed ends the reading of what is no JSON.
var errMalformed = errors.New("malformed")

// reader reads a document token by token: what is said twice is decoded twice.
type reader struct{ *json.Decoder }

func newReader(body []byte) reader {
	d := json.NewDecoder(bytes.NewReader(body))
	d.UseNumber()
	return reader{d}
}

// value reads a value of type t, nil when that is not known.
func (r reader) value(t reflect.Type, depth int) error {
	token, err := r.Token()
	if err != nil || depth > maxDepth {
		return errMalformed
	}
	for t != nil && t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	switch token := token.(type) {
	case json.Delim:
		return r.members(t, token == '{', depth)
	case string:
		if t == quantityType {
			return check(token)
		}
	case json.Number:
		if t == quantityType {
			return check(token.String())
		}
	}
	return nil
}

// members reads what is in an object or array, and its end.
func (r reader) members(t reflect.Type, object bool, depth int) error {
	for r.More() {
		member := ""
		if object {
			key, err := r.Token()
			if err != nil {
				return errMalformed
			}
			member, _ = key.(string)
		}
		if err := r.value(child(t, member, object), depth+1); err != nil {
			return err
		}
	}
	if _, err := r.Token(); err != nil {
		return errMalformed
	}
	return nil
}

// child returns the type of a member of an object, or of the elements of an array.
func child(t reflect.Type, member string, object bool) reflect.Type {
	switch {
	case t == nil:
		return nil
	case object && t.Kind() == reflect.Map, !object && t.Kind() == reflect.Slice:
		return t.Elem()
	case object && t.Kind() == reflect.Struct && t != quantityType:
		return field(t, member)
	}
	return nil
}

// field returns the type of the field of a struct that JSON calls name.
func field(t reflect.Type, name string) reflect.Type {
	for i := range t.NumField() {
		f := t.Field(i)
		tag, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		switch {
		case tag != "" && strings.EqualFold(tag, name):
			return f.Type
		case tag == "" && f.Anonymous && f.Type.Kind() == reflect.Struct:
			if found := field(f.Type, name); found != nil {
				return found
			}
		}
	}
	return nil
}

// operation is one step of a JSON patch.
type operation map[string]json.RawMessage

// operationsOf returns the steps of a patch, none when it is no patch.
func operationsOf(body []byte) []operation {
	var all []operation
	if json.Unmarshal(body, &all) != nil {
		return nil
	}
	return all
}

// changesKind tells whether the step may give the object another kind.
func (o operation) changesKind() bool {
	path := text(o["path"])
	return !strings.HasPrefix(path, "/") || strings.EqualFold(path, "/kind")
}

// check looks at a step of a patch of a t. What is copied or moved has been looked at
// where it was written, if a quantity was expected there.
func (o operation) check(t reflect.Type) error {
	at := resolve(t, o["path"])
	switch text(o["op"]) {
	case "copy", "move":
		if at != nil && holds(at, nil) && at != resolve(t, o["from"]) {
			return errors.New("a patch cannot make a quantity of something else: give the value")
		}
		return nil
	}
	return checkJSON(at, o["value"])
}

func text(raw json.RawMessage) string {
	var s string
	if json.Unmarshal(raw, &s) != nil {
		return ""
	}
	return s
}

var unescape = strings.NewReplacer("~1", "/", "~0", "~")

// resolve returns the type of what a JSON pointer into a t leads to.
func resolve(t reflect.Type, pointer json.RawMessage) reflect.Type {
	steps := strings.Split(text(pointer), "/")
	for _, step := range steps[1:] {
		for t != nil && t.Kind() == reflect.Pointer {
			t = t.Elem()
		}
		if t == nil {
			return nil
		}
		t = child(t, unescape.Replace(step), t.Kind() != reflect.Slice)
	}
	return t
}
