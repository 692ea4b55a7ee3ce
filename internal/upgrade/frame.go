package upgrade

import (
	"bufio"
	"encoding/binary"
	"errors"
	"strings"
)

// maxPing is the longest payload of a ping, in bytes (RFC 6455 section 5.5).
const maxPing = 125

// frame is the beginning of one frame.
type frame struct {
	// head is as it was read, valid until the next read.
	head []byte
	// size is how many bytes follow.
	size int64
	ping bool
}

// framing knows where the frames of a protocol begin and end, and which are pings. Its
// methods keep no state.
type framing interface {
	// next waits for a frame and returns its head, which stays in r.
	next(r *bufio.Reader) (frame, error)
	// pong is the answer to a client's ping, nil if it is no question of the client.
	pong(f frame, payload []byte) []byte
	// beat is a frame for the client that says nothing.
	beat() []byte
}

// framingOf returns what a value of the header Upgrade stands for, nil if it is unknown.
func framingOf(protocol string) framing {
	switch {
	case strings.EqualFold(protocol, "SPDY/3.1"):
		return spdyFraming{}
	case strings.EqualFold(protocol, "websocket"):
		return socketFraming{}
	}
	return nil
}

// spdyFraming is that of SPDY/3.1: eight bytes of head, the length in the last three.
type spdyFraming struct{}

const (
	spdyHead     = 8
	spdyPing     = 6
	spdyPingSize = 4
	spdyControl  = 0x80
)

func (spdyFraming) next(r *bufio.Reader) (frame, error) {
	head, err := r.Peek(spdyHead)
	if err != nil {
		return frame{}, err
	}
	size := int64(head[5])<<16 | int64(head[6])<<8 | int64(head[7])
	ping := head[0]&spdyControl != 0 && binary.BigEndian.Uint16(head[2:]) == spdyPing && size == spdyPingSize
	return frame{head: head, size: size, ping: ping}, nil
}

// pong answers with the same frame. Clients number their pings oddly; an even number is
// the answer to a server's.
func (spdyFraming) pong(f frame, payload []byte) []byte {
	if payload[spdyPingSize-1]&1 == 0 {
		return nil
	}
	return append(append([]byte(nil), f.head...), payload...)
}

// beat is SETTINGS without a setting. A ping would have to be answered, which a client
// cannot whose input is stuck.
func (spdyFraming) beat() []byte { return []byte{spdyControl, 3, 0, 4, 0, 0, 0, 4, 0, 0, 0, 0} }

// socketFraming is that of WebSockets, RFC 6455 section 5.2.
type socketFraming struct{}

const (
	socketMasked = 0x80
	socketFinal  = 0x80
	socketPing   = 0x9
	socketPong   = 0xA
	maskSize     = 4
)

var errFrame = errors.New("an invalid frame")

func (socketFraming) next(r *bufio.Reader) (frame, error) {
	head, err := r.Peek(2)
	if err != nil {
		return frame{}, err
	}
	n, length := 2, head[1]&^socketMasked
	switch length {
	case 126:
		n += 2
	case 127:
		n += 8
	}
	extended := n
	if head[1]&socketMasked != 0 {
		n += maskSize
	}
	if head, err = r.Peek(n); err != nil {
		return frame{}, err
	}
	size := int64(length)
	switch length {
	case 126:
		size = int64(binary.BigEndian.Uint16(head[2:extended]))
	case 127:
		if size = int64(binary.BigEndian.Uint64(head[2:extended])); size < 0 {
			return frame{}, errFrame
		}
	}
	return frame{head: head, size: size, ping: head[0]&0xF == socketPing && size <= maxPing}, nil
}

func (socketFraming) pong(f frame, payload []byte) []byte {
	out := append([]byte{socketFinal | socketPong, byte(len(payload))}, payload...)
	if f.head[1]&socketMasked != 0 {
		mask := f.head[len(f.head)-maskSize:]
		for i := range payload {
			out[2+i] ^= mask[i%maskSize]
		}
	}
	return out
}

// beat is a pong that nobody has asked for (RFC 6455 section 5.5.3).
func (socketFraming) beat() []byte { return []byte{socketFinal | socketPong, 0} }
