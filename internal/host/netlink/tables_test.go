package netlink

import (
	"encoding/binary"
	"slices"
	"testing"

	"golang.org/x/sys/unix"
)

// attribute is one of a netlink message.
func attribute(kind uint16, value []byte) []byte {
	raw := binary.NativeEndian.AppendUint16(nil, uint16(4+len(value)))
	raw = append(binary.NativeEndian.AppendUint16(raw, kind), value...)
	return append(raw, make([]byte, -len(raw)&3)...)
}

// told is a message of the kernel about a table of IPv4.
func told(kind uint16, attributes ...[]byte) []byte {
	data := append([]byte{unix.NFPROTO_IPV4, 0, 0, 0}, slices.Concat(attributes...)...)
	raw := binary.NativeEndian.AppendUint32(nil, uint32(unix.SizeofNlMsghdr+len(data)))
	raw = binary.NativeEndian.AppendUint16(raw, kind)
	return append(append(raw, make([]byte, unix.SizeofNlMsghdr-len(raw))...), data...)
}

// TestAStampIsOfItsTransactionAlone, also when the end of that one was lost.
func TestAStampIsOfItsTransactionAlone(t *testing.T) {
	table := attribute(tableName, []byte("t\x00"))
	key := attribute(elements, attribute(listElement, attribute(elementKey, attribute(dataValue, []byte("ours")))))
	ours := told(newElement, table, attribute(setName, []byte("written\x00")), key)
	another, end := told(newElement, table), told(newGen)
	for name, tt := range map[string]struct {
		do   func(*Tables)
		want bool // that a change is told
	}{
		"ours":              {func(t *Tables) { t.messages(slices.Concat(another, ours, end)) }, false},
		"another's":         {func(t *Tables) { t.messages(slices.Concat(another, end)) }, true},
		"ours, then theirs": {func(t *Tables) { t.messages(slices.Concat(ours, end, another, end)) }, true},
		"ours, lost, then theirs": {func(t *Tables) {
			t.messages(ours)
			t.lost()
			t.messages(slices.Concat(another, end))
		}, true},
	} {
		tables := &Tables{
			table: "t", stamp: "written", ours: func(k []byte) bool { return string(k) == "ours" },
			changed: make(chan struct{}, 1), touched: map[uint8]bool{}, stamped: map[uint8]bool{},
		}
		tt.do(tables)
		if got := tables.Take().Families[unix.NFPROTO_IPV4]; got != tt.want {
			t.Errorf("%s: told of a change: %v, want %v", name, got, tt.want)
		}
	}
}
