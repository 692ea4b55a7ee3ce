package netlink

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// Of linux/netfilter/nfnetlink.h and nf_tables.h.
const (
	subsystem  = 10 // NFNL_SUBSYS_NFTABLES
	newElement = subsystem<<8 | 12
	newGen     = subsystem<<8 | 15

	tableName   = 1 // NFTA_*_TABLE
	setName     = 2 // NFTA_SET_ELEM_LIST_SET
	elements    = 3 // NFTA_SET_ELEM_LIST_ELEMENTS
	listElement = 1 // NFTA_LIST_ELEM
	elementKey  = 1 // NFTA_SET_ELEM_KEY
	dataValue   = 1 // NFTA_DATA_VALUE

	kindBits = ^uint16(unix.NLA_F_NESTED | unix.NLA_F_NET_BYTEORDER)

	// manyMessages is room, in bytes, for what one transaction of many services changes.
	manyMessages = 16 << 20
)

// Tables tells which tables of one name somebody has changed. Its methods may be called
// concurrently.
type Tables struct {
	table, stamp string
	ours         func(stamp []byte) bool
	changed      chan struct{}

	mu      sync.Mutex
	changes Changes

	// The transaction that is being told.
	touched map[uint8]bool
	stamped map[uint8]bool
}

// Changes are those since they were last taken.
type Changes struct {
	// Families are those (NFPROTO_…) whose table of that name somebody has changed.
	Families map[uint8]bool
	// Lost tells that there were others, of which nothing is known.
	Lost bool
}

// TableChanges listens for changes of the tables of a name, of all families, until ctx ends.
// A transaction that adds an element to the set stamp of which ours says that it is the
// caller's counts as no change of that family's table.
func TableChanges(ctx context.Context, table, stamp string, ours func(key []byte) bool) (*Tables, error) {
	socket, err := listen("nftables", unix.NETLINK_NETFILTER, groupNFTables)
	if err != nil {
		return nil, err
	}
	conn, err := socket.SyscallConn()
	if err == nil {
		err = conn.Control(func(fd uintptr) {
			// Without the right to it there is less room, and more is lost.
			_ = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, manyMessages)
		})
	}
	if err != nil {
		socket.Close()
		return nil, fmt.Errorf("listening for changes of nftables: %w", err)
	}
	t := &Tables{table: table, stamp: stamp, ours: ours, changed: make(chan struct{}, 1), touched: map[uint8]bool{}, stamped: map[uint8]bool{}}
	stop := context.AfterFunc(ctx, func() { socket.Close() })
	go func() {
		defer stop()
		defer socket.Close()
		t.read(socket)
	}()
	return t, nil
}

// Changed has an element when there are changes to take.
func (t *Tables) Changed() <-chan struct{} { return t.changed }

// Take returns the changes since it was last called.
func (t *Tables) Take() Changes {
	t.mu.Lock()
	defer t.mu.Unlock()
	taken := t.changes
	t.changes = Changes{}
	return taken
}

func (t *Tables) read(socket *os.File) {
	raw := make([]byte, 64<<10)
	for {
		n, err := socket.Read(raw)
		switch {
		case errors.Is(err, unix.ENOBUFS):
			t.lost()
		case err != nil:
			return
		default:
			t.messages(raw[:n])
		}
	}
}

// lost tells that something is not known, which may be the end of a transaction: its stamp
// must not be taken for that of the next.
func (t *Tables) lost() {
	clear(t.touched)
	clear(t.stamped)
	t.tell(func(c *Changes) { c.Lost = true })
}

func (t *Tables) tell(what func(*Changes)) {
	t.mu.Lock()
	if t.changes.Families == nil {
		t.changes.Families = map[uint8]bool{}
	}
	what(&t.changes)
	t.mu.Unlock()
	select {
	case t.changed <- struct{}{}:
	default:
	}
}

// messages looks at what the kernel tells of a transaction, or a part of one. What cannot
// be read is a change as well.
func (t *Tables) messages(raw []byte) {
	all, err := syscall.ParseNetlinkMessage(raw)
	if err != nil {
		t.lost()
	}
	const header = 4 // struct nfgenmsg, which begins with the family
	for _, m := range all {
		switch {
		case len(m.Data) < header:
		case m.Header.Type == newGen:
			t.end()
		case m.Header.Type>>8 == subsystem:
			of := attributes(m.Data[header:])
			if text(of[tableName]) != t.table {
				continue
			}
			family := m.Data[0]
			t.touched[family] = true
			if m.Header.Type == newElement && text(of[setName]) == t.stamp && t.stampedBy(of[elements]) {
				t.stamped[family] = true
			}
		}
	}
}

// end tells of a transaction that is over.
func (t *Tables) end() {
	for family := range t.touched {
		if !t.stamped[family] {
			t.tell(func(c *Changes) { c.Families[family] = true })
		}
	}
	clear(t.touched)
	clear(t.stamped)
}

// stampedBy tells whether the first of the elements is the caller's.
func (t *Tables) stampedBy(raw []byte) bool {
	key := attributes(attributes(attributes(raw)[listElement])[elementKey])[dataValue]
	return len(key) > 0 && t.ours(key)
}

// text reads a string that ends with a zero byte.
func text(raw []byte) string { return unix.ByteSliceToString(raw) }

// attributes are those of a message by kind, the first of each; what is cut off is left out.
func attributes(raw []byte) map[uint16][]byte {
	const headerLen = 4
	all := map[uint16][]byte{}
	for len(raw) >= headerLen {
		n := int(binary.NativeEndian.Uint16(raw))
		if n < headerLen || n > len(raw) {
			break
		}
		kind := binary.NativeEndian.Uint16(raw[2:]) & kindBits
		if _, ok := all[kind]; !ok {
			all[kind] = raw[headerLen:n]
		}
		raw = raw[min((n+3)&^3, len(raw)):]
	}
	return all
}
