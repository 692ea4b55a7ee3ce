package wire_test

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"

	"laterna.dev/laterna/internal/registry/wire"
)

// shown is what Fields finds in a message, a line a field.
func shown(data []byte) (lines []string) {
	_ = wire.Fields(data, func(number, kind int, content []byte) error {
		lines = append(lines, fmt.Sprintf("%d %d %s", number, kind, content))
		return nil
	})
	return lines
}

// message appends fields: numbers are varints, texts bytes, anything else is what the
// library encodes.
func message(fields ...any) (data []byte) {
	for i, f := range fields {
		number := protowire.Number(i + 1)
		switch f := f.(type) {
		case int:
			data = protowire.AppendVarint(protowire.AppendTag(data, number, protowire.VarintType), uint64(f))
		case string:
			data = protowire.AppendString(protowire.AppendTag(data, number, protowire.BytesType), f)
		case float64:
			data = protowire.AppendFixed64(protowire.AppendTag(data, number, protowire.Fixed64Type), math.Float64bits(f))
		case float32:
			data = protowire.AppendFixed32(protowire.AppendTag(data, number, protowire.Fixed32Type), math.Float32bits(f))
		case []byte:
			data = protowire.AppendGroup(protowire.AppendTag(data, number, protowire.StartGroupType), number, f)
		}
	}
	return data
}

func TestFieldsComeInTheirOrder(t *testing.T) {
	inner := message("in a group", 7, []byte{}, float32(1))
	got := shown(message(300, "abc", 1.5, float32(2), inner, "", -1, "last"))
	want := []string{"1 0 ", "2 2 abc", "3 1 ", "4 5 ", "5 3 ", "6 2 ", "7 0 ", "8 2 last"}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestRepeatedFieldsComeEachTime(t *testing.T) {
	data := slices.Concat(message("a"), message("b"))
	if got := shown(data); !slices.Equal(got, []string{"1 2 a", "1 2 b"}) {
		t.Errorf("got %q", got)
	}
}

func TestWhatComesBeforeAMistakeCounts(t *testing.T) {
	ok := message("good")
	tag := func(number int, kind protowire.Type) []byte {
		return protowire.AppendTag(nil, protowire.Number(number), kind)
	}
	for name, bad := range map[string][]byte{
		"half a tag":                   {0x80},
		"a number without end":         append(tag(2, protowire.VarintType), 0xff, 0xff),
		"a number of eleven bytes":     append(tag(2, protowire.VarintType), []byte(strings.Repeat("\xff", 10)+"\x01")...),
		"half a fixed64":               append(tag(2, protowire.Fixed64Type), 1, 2, 3),
		"half a fixed32":               append(tag(2, protowire.Fixed32Type), 1, 2, 3),
		"bytes beyond the end":         append(tag(2, protowire.BytesType), 5, 'a', 'b'),
		"bytes without a length":       tag(2, protowire.BytesType),
		"bytes of the greatest length": append(tag(2, protowire.BytesType), []byte("\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01")...),
		"a group without end":          append(tag(2, protowire.StartGroupType), message("a")...),
		"an end without a group":       tag(2, protowire.EndGroupType),
		"a group with bytes beyond":    append(append(tag(2, protowire.StartGroupType), tag(1, protowire.BytesType)...), 9),
		"a kind that there is not":     {2<<3 | 7, 0},
		"another one in a group":       append(tag(2, protowire.StartGroupType), 1<<3|6),
	} {
		data := slices.Concat(ok, bad, message("after"))
		if strings.Contains(name, "without") || strings.Contains(name, "half") || strings.Contains(name, "beyond") {
			data = slices.Concat(ok, bad) // what follows would complete it
		}
		if got := shown(data); !slices.Equal(got, []string{"1 2 good"}) {
			t.Errorf("%s: got %q", name, got)
		}
	}
}

func TestErrorOfTheCallerEndsTheReading(t *testing.T) {
	full, calls := errors.New("that is enough"), 0
	err := wire.Fields(message("a", "b", "c"), func(number, _ int, _ []byte) error {
		calls++
		if number == 2 {
			return full
		}
		return nil
	})
	if err != full || calls != 2 {
		t.Errorf("error %v after %d fields", err, calls)
	}
}

// TestDeepGroupsAreReadInPlace: a group in a group in a group … must not use up the stack.
func TestDeepGroupsAreReadInPlace(t *testing.T) {
	const depth = 1 << 20
	data := slices.Concat([]byte(strings.Repeat("\x0b", depth)), []byte(strings.Repeat("\x0c", depth)), message("after"))
	if got := shown(data); !slices.Equal(got, []string{"1 3 ", "1 2 after"}) {
		t.Errorf("got %q", got)
	}
}

func FuzzFields(f *testing.F) {
	f.Add(message(300, "abc", 1.5, float32(2), message("in", []byte{}), "last"))
	f.Add([]byte("\x12\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"))
	f.Fuzz(func(t *testing.T, data []byte) {
		got := shown(data)
		// What the library takes as a whole is found, field by field.
		var want []string
		for rest := data; len(rest) > 0; {
			number, kind, n := protowire.ConsumeField(rest)
			if n < 0 {
				return
			}
			var content []byte
			if kind == protowire.BytesType {
				_, _, tag := protowire.ConsumeTag(rest)
				content, _ = protowire.ConsumeBytes(rest[tag:])
			}
			want = append(want, fmt.Sprintf("%d %d %s", number, kind, content))
			rest = rest[n:]
		}
		if !slices.Equal(got, want) {
			t.Errorf("%x: got %q, want %q", data, got, want)
		}
	})
}
