package bounds

import (
	"bytes"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"laterna.dev/laterna/internal/registry/wire"
)

// shapes are the messages that kinds are encoded as, by kind.
type shapes map[string][]*message

// message is a Go struct as protobuf sees it. It does not change once it is made.
type message struct {
	fields map[int]*part
}

// part is a field of a message.
type part struct {
	name string
	// list tells that it may occur many times, and counts. packed tells that many may
	// be in one field.
	list, packed bool
	// entries tells that it is a map.
	entries bool
	// owned tells that it holds a JSON document of fields that a manager owns.
	owned bool
	// of is the message inside, nil for plain values and maps.
	of *message
}

func newShapes(s *runtime.Scheme) shapes {
	all, made := shapes{}, map[reflect.Type]*message{}
	for gvk, t := range s.AllKnownTypes() {
		if gvk.Version == runtime.APIVersionInternal {
			continue
		}
		if m := describe(t, made); !slices.Contains(all[gvk.Kind], m) {
			all[gvk.Kind] = append(all[gvk.Kind], m)
		}
	}
	return all
}

func describe(t reflect.Type, made map[reflect.Type]*message) *message {
	if m, ok := made[t]; ok {
		return m
	}
	m := &message{fields: map[int]*part{}}
	made[t] = m
	for i := range t.NumField() {
		f := t.Field(i)
		tags := strings.Split(f.Tag.Get("protobuf"), ",")
		if len(tags) < 2 {
			continue
		}
		number, err := strconv.Atoi(tags[1])
		if err != nil {
			continue
		}
		p, inner := &part{name: strings.Split(f.Tag.Get("json"), ",")[0]}, f.Type
		for inner.Kind() == reflect.Pointer {
			inner = inner.Elem()
		}
		p.entries = inner.Kind() == reflect.Map
		p.owned = t == reflect.TypeFor[metav1.FieldsV1]()
		if inner.Kind() == reflect.Slice && inner.Elem().Kind() != reflect.Uint8 {
			p.list, inner = true, inner.Elem()
			p.packed = inner.Kind() != reflect.String && inner.Kind() != reflect.Slice
		}
		for inner.Kind() == reflect.Pointer {
			inner = inner.Elem()
		}
		if inner.Kind() == reflect.Struct {
			p.of = describe(inner, made)
		}
		m.fields[number] = p
	}
	return m
}

// count reads an object in its envelope. An object that does not say its kind is
// counted as any.
func (s shapes) count(body []byte) *tally {
	rest, ok := bytes.CutPrefix(body, wire.Magic)
	if !ok {
		return nil
	}
	var envelope runtime.Unknown
	if envelope.Unmarshal(rest) != nil {
		return nil
	}
	kinds := []string{envelope.Kind}
	if envelope.Kind == "" {
		kinds = slices.Sorted(maps.Keys(s))
	}
	var last *tally
	for _, kind := range kinds {
		for _, m := range s[kind] {
			w := &walk{tally: tally{kind: envelope.Kind}}
			w.count(m, envelope.Raw)
			if last = &w.tally; last.fault != "" || last.excess() != nil {
				return last
			}
		}
	}
	return last
}

// walk is the counting of one object.
type walk struct {
	tally
	// within are the fields that are being read, the outermost first.
	within []place
}

// place is a field, and which of its elements where it is a list.
type place struct {
	*part
	index int
}

// amount is what a message has of one of its fields.
type amount struct {
	objects, values int
	// pieces is the content of a message that is not in a list. One that is given
	// several times is put together, and its lists with it.
	pieces []byte
}

// count adds the elements of data, which is an m.
func (w *walk) count(m *message, data []byte) {
	if len(data) == 0 || len(w.within) > MaxDepth {
		return
	}
	counts := map[*part]*amount{}
	var singles []*part
	_ = wire.Fields(data, func(number, kind int, content []byte) error {
		p := m.fields[number]
		if p != nil && p.owned {
			w.owned(content)
		}
		if p == nil || !p.list && !p.entries && p.of == nil {
			return nil
		}
		f := counts[p]
		if f == nil {
			f = &amount{}
			counts[p] = f
		}
		switch {
		case p.of != nil && !p.list:
			if f.objects++; f.objects == 1 {
				singles = append(singles, p)
				f.pieces = content[:len(content):len(content)] // which is copied if more comes
				return nil
			}
			f.pieces = append(f.pieces, content...)
		case p.of != nil:
			w.inside(place{p, f.objects}, content)
			f.objects++
		case p.packed && kind == wire.Bytes:
			f.values += len(content) // a byte each at least
		default:
			f.values++
		}
		return nil
	})
	for _, p := range singles {
		w.inside(place{part: p}, counts[p].pieces)
	}
	for p, f := range counts {
		switch {
		case p.entries:
			w.entries(f.values, func() *field.Path { return w.path(p.name) })
		case p.list:
			w.add(f.objects, f.values, p.name, func() *field.Path { return w.path(p.name) })
		}
	}
}

// inside counts a message in a field of the one that is being read.
func (w *walk) inside(at place, content []byte) {
	w.within = append(w.within, at)
	w.count(at.of, content)
	w.within = w.within[:len(w.within)-1]
}

// owned looks at a JSON document of fields that a manager owns.
func (w *walk) owned(content []byte) {
	s := scanner{body: content, owned: true}
	if s.scan(); w.fault == "" {
		w.fault = s.tally.fault
	}
}

func (w *walk) path(name string) *field.Path {
	var p *field.Path
	for _, at := range w.within {
		p = child(p, at.name)
		if at.list {
			p = p.Index(at.index)
		}
	}
	return child(p, name)
}

func child(path *field.Path, name string) *field.Path {
	if name == "" { // an embedded struct
		return path
	}
	if path == nil {
		return field.NewPath(name)
	}
	return path.Child(name)
}
