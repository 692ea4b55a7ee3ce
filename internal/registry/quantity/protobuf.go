package quantity

import (
	"bytes"
	"reflect"
	"strconv"
	"strings"

	"k8s.io/apimachinery/pkg/runtime"
)

// magic begins every object that is encoded as protobuf.
var magic = []byte{'k', '8', 's', 0}

// Wire types of protobuf.
const (
	wireVarint, wireFixed64, wireBytes, wireStart, wireEnd, wireFixed32 = 0, 1, 2, 3, 4, 5
)

func (g *Guard) checkProtobuf(plural string, body []byte) error {
	rest, ok := bytes.CutPrefix(body, magic)
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
// of a map. It goes as far as the generated decoders do, which read what comes before
// a mistake.
func checkMessage(t reflect.Type, data []byte) error {
	for len(data) > 0 {
		tag, n := varint(data)
		if n == 0 {
			return nil
		}
		data = data[n:]
		number, wire := int(int32(tag>>3)), int(tag&7)
		if wire != wireBytes {
			if n = skip(wire, data); n < 0 {
				return nil
			}
			data = data[n:]
			continue
		}
		length, n := varint(data)
		if n == 0 || length > uint64(len(data)-n) {
			return nil
		}
		content := data[n : n+int(length)]
		data = data[n+int(length):]
		if err := checkField(t, number, content); err != nil {
			return err
		}
	}
	return nil
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

// varint reads a number and returns how many bytes it takes, 0 when there is none.
// As in the generated decoders, what does not fit is cut off.
func varint(data []byte) (value uint64, n int) {
	for shift := 0; shift < 64 && n < len(data); shift += 7 {
		b := data[n]
		n++
		value |= uint64(b&0x7f) << shift
		if b < 0x80 {
			return value, n
		}
	}
	return 0, 0
}

// skip returns how many bytes of data belong to a field of a wire type, and -1 when
// they make no sense.
func skip(wire int, data []byte) int {
	switch wire {
	case wireVarint:
		if _, n := varint(data); n > 0 {
			return n
		}
	case wireFixed64:
		return within(8, data)
	case wireFixed32:
		return within(4, data)
	case wireStart:
		return skipGroup(data)
	}
	return -1
}

func within(n int, data []byte) int {
	if n > len(data) {
		return -1
	}
	return n
}

// skipGroup returns the length of a group up to and with its end.
func skipGroup(data []byte) int {
	at := 0
	for depth := 1; depth > 0; {
		tag, n := varint(data[at:])
		if n == 0 {
			return -1
		}
		at += n
		switch wire := int(tag & 7); wire {
		case wireStart:
			depth++
		case wireEnd:
			depth--
		case wireBytes:
			length, n := varint(data[at:])
			if n == 0 || length > uint64(len(data)-at-n) {
				return -1
			}
			at += n + int(length)
		default:
			if n = skip(wire, data[at:]); n < 0 {
				return -1
			}
			at += n
		}
	}
	return at
}
