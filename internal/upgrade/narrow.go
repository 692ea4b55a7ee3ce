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
)

var errControl = errors.New("a control frame of more than 64 KiB")

// Narrow returns a SPDY/3.1 connection on which no frame that is read is large: the
// libraries above read each into memory at its full length, up to 16 MiB, and hold
// hundreds. Longer ones come as several.
func Narrow(c net.Conn) net.Conn {
	return &narrow{Conn: c, in: bufio.NewReaderSize(c, bufferSize)}
}

type narrow struct {
	net.Conn
	in *bufio.Reader
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
			return nil
		}
		copy(n.stream[:], n.head)
		n.flags, n.left = n.head[4], f.size
	}
	n.part = min(n.left, narrowData)
	n.left -= n.part
	flags := n.flags
	if n.left > 0 {
		flags &^= spdyFin
	}
	n.head = append(append(make([]byte, 0, spdyHead), n.stream[:]...), 0, 0, 0, 0)
	binary.BigEndian.PutUint32(n.head[4:], uint32(n.part))
	n.head[4] = flags
	return nil
}
