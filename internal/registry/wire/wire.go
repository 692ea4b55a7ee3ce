// Package wire reads the structure of protobuf messages without decoding them, as the
// generated decoders of Kubernetes' types do: what comes before a mistake counts.
//
// What the fields mean is up to who asks: internal/registry/quantity and
// internal/registry/bounds.
package wire

// Magic begins every object that is encoded as protobuf.
var Magic = []byte{'k', '8', 's', 0}

// Wire types of protobuf.
const (
	Varint, fixed64, Bytes, start, end, fixed32 = 0, 1, 2, 3, 4, 5
)

// Fields calls each with the fields of a message in their order: number, wire type, and
// the content of those of type Bytes. It stops at the first error, which it returns,
// and at what makes no sense.
func Fields(data []byte, each func(number, kind int, content []byte) error) error {
	for len(data) > 0 {
		tag, n := varint(data)
		if n == 0 {
			return nil
		}
		data = data[n:]
		number, kind := int(int32(tag>>3)), int(tag&7)
		var content []byte
		if kind == Bytes {
			length, n := varint(data)
			if n == 0 || length > uint64(len(data)-n) {
				return nil
			}
			content = data[n : n+int(length)]
			data = data[n+int(length):]
		} else {
			if n = skip(kind, data); n < 0 {
				return nil
			}
			data = data[n:]
		}
		if err := each(number, kind, content); err != nil {
			return err
		}
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
func skip(kind int, data []byte) int {
	switch kind {
	case Varint:
		if _, n := varint(data); n > 0 {
			return n
		}
	case fixed64:
		return within(8, data)
	case fixed32:
		return within(4, data)
	case start:
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
		switch kind := int(tag & 7); kind {
		case start:
			depth++
		case end:
			depth--
		case Bytes:
			length, n := varint(data[at:])
			if n == 0 || length > uint64(len(data)-at-n) {
				return -1
			}
			at += n + int(length)
		default:
			if n = skip(kind, data[at:]); n < 0 {
				return -1
			}
			at += n
		}
	}
	return at
}
