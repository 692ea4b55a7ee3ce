package upgrade

import (
	"bufio"
	"encoding/binary"
	"errors"
	"net"
)

const (
	// narrowData is the largest frame of data that Narrow lets through, in bytes.
	narrowData = 16 << 10
	// narrowControl is the largest control frame; it holds a few names and numbers.
	narrowControl = 64 << 10
	spdyFin       = 1
	// The types of the control frames that open a stream and reset one, and the size of
	// the stream's number, with which both begin.
	spdyOpen, spdyReset = 1, 3
	spdyID              = 4
)

var errControl = errors.New("a control frame of more than 64 KiB")

// Narrow returns a SPDY/3.1 connection on which no frame that is read is large: the
// libraries above read each into memory at its full length, up to 16 MiB, and hold
// hundreds. Longer ones come as several.
func Narrow(c net.Conn) net.Conn {
	return &narrow{Conn: c, in: bufio.NewReaderSize(c, bufferSize)}
}

// Watcher is told of the streams of a SPDY/3.1 connection before the library above reads
// of it, which shows neither how many there are nor how they end.
type Watcher interface {
	// Opened tells that the peer opens a stream; an error ends the connection.
	Opened(stream uint32) error
	// Finished tells that the peer has sent all, and Reset that it wants no more.
	Finished(stream uint32)
	Reset(stream uint32)
}

// Watch is Narrow with a watcher, which is called by whoever reads.
func Watch(c net.Conn, w Watcher) net.Conn {
	return &narrow{Conn: c, in: bufio.NewReaderSize(c, bufferSize), watcher: w}
}

type narrow struct {
	net.Conn
	in      *bufio.Reader
	watcher Watcher // may be nil
	// head is what of a frame's head is still to be read above.
	head []byte
	// part is what of the frame's payload follows head, and left what follows part in
	// frames of their own, of the stream and with the flags at the end.
	part, left int64
	stream     [4]byte
	flags      byte
}

// NetConn returns the connection below, as tls.Conn does.
func (n *narrow) NetConn() net.Conn { return n.Conn }

// Read implements net.Conn.
func (n *narrow) Read(p []byte) (int, error) {
	if len(n.head) == 0 && n.part == 0 {
		if err := n.next(); err != nil {
			return 0, err
		}
	}
	if len(n.head) > 0 {
		k := copy(p, n.head)
		n.head = n.head[k:]
		return k, nil
	}
	k, err := n.in.Read(p[:min(int64(len(p)), n.part)])
	n.part -= int64(k)
	return k, err
}

// next begins a frame, or the next part of one.
func (n *narrow) next() error {
	if n.left == 0 {
		f, err := spdyFraming{}.next(n.in)
		if err != nil {
			return err
		}
		n.head = append([]byte(nil), f.head...)
		if _, err := n.in.Discard(spdyHead); err != nil {
			return err
		}
		if n.head[0]&spdyControl != 0 {
			if n.part = f.size; f.size > narrowControl {
				return errControl
			}
			return n.watch(f.size)
		}
		copy(n.stream[:], n.head)
		n.flags, n.left = n.head[4], f.size
	}
	n.part = min(n.left, narrowData)
	n.left -= n.part
	flags := n.flags
	if n.left > 0 {
		flags &^= spdyFin
	} else if flags&spdyFin != 0 && n.watcher != nil {
		n.watcher.Finished(binary.BigEndian.Uint32(n.stream[:]))
	}
	n.head = append(append(make([]byte, 0, spdyHead), n.stream[:]...), 0, 0, 0, 0)
	binary.BigEndian.PutUint32(n.head[4:], uint32(n.part))
	n.head[4] = flags
	return nil
}

// watch tells of a control frame, of which size bytes are still to be read.
func (n *narrow) watch(size int64) error {
	kind := binary.BigEndian.Uint16(n.head[2:])
	if n.watcher == nil || kind != spdyOpen && kind != spdyReset || size < spdyID {
		return nil
	}
	id, err := n.in.Peek(spdyID)
	if err != nil {
		return err
	}
	stream := binary.BigEndian.Uint32(id) &^ (1 << 31)
	if kind == spdyReset {
		n.watcher.Reset(stream)
		return nil
	}
	if err := n.watcher.Opened(stream); err != nil {
		return err
	}
	if n.head[4]&spdyFin != 0 {
		n.watcher.Finished(stream)
	}
	return nil
}
