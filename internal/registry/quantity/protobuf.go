package quantity

import (
	"bytes"
	"reflect"
	"strconv"
	"strings"

	"k8s.io/apimachinery/pkg/runtime"

	"laterna.dev/laterna/internal/registry/wire"
)

func (g *Guard) checkProtobuf(plural string, body []byte) error {
	rest, ok := bytes.CutPrefix(body, wire.Magic)
	if !ok {
		return nil
	}
	var envelope runtime.Unknown
	if envelope.Unmarshal(rest) != nil {
		return nil
	}
	for _, t := range g.candidates(plural, envelope.Kind) {
		if err := checkMessage(t, envelope.Raw); err != nil {
			return err
		}
	}
	return nil
}

// checkMessage reads data as a message of type t: a struct, a quantity, or an entry
// of a map.
func checkMessage(t reflect.Type, data []byte) error {
	return wire.Fields(data, func(number, kind int, content []byte) error {
		if kind != wire.Bytes {
			return nil
		}
		return checkField(t, number, content)
	})
}

func checkField(t reflect.Type, number int, content []byte) error {
	switch {
	case t == quantityType:
		if number == 1 {
			return check(string(content))
		}
		return nil
	case t.Kind() == reflect.Map:
		if number == 2 {
			return checkInside(t.Elem(), content)
		}
		return nil
	}
	for i := range t.NumField() {
		f := t.Field(i)
		if parts := strings.Split(f.Tag.Get("protobuf"), ","); len(parts) > 1 && parts[1] == strconv.Itoa(number) {
			return checkInside(f.Type, content)
		}
	}
	return nil
}

// checkInside reads content as one value of a field of type t.
func checkInside(t reflect.Type, content []byte) error {
	for t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice {
		t = t.Elem()
	}
	if t.Kind() == reflect.Struct || t.Kind() == reflect.Map {
		return checkMessage(t, content)
	}
	return nil
}
