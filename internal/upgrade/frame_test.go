package upgrade

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"testing"
)

// readConn is a connection of which only the reading side is there.
type readConn struct {
	net.Conn
	io.Reader
}

func (r readConn) Read(p []byte) (int, error) { return r.Reader.Read(p) }

func TestNarrowCutsLongFrames(t *testing.T) {
	data := make([]byte, 1<<20+5)
	for i := range data {
		data[i] = byte(i * 7)
	}
	in := append(ping(2), dataFrame(3, spdyFin, data)...)
	in = append(in, dataFrame(5, spdyFin, nil)...)
	out := bufio.NewReader(Narrow(readConn{Reader: bytes.NewReader(in)}))
	if head := make([]byte, 12); true {
		if _, err := io.ReadFull(out, head); err != nil || !bytes.Equal(head, ping(2)) {
			t.Fatalf("% x, %v", head, err)
		}
	}
	var got []byte
	for fin := false; !fin; {
		head := make([]byte, spdyHead)
		if _, err := io.ReadFull(out, head); err != nil {
			t.Fatal(err)
		}
		size := binary.BigEndian.Uint32(head[4:]) & 0xFFFFFF
		if stream := binary.BigEndian.Uint32(head); stream != 3 || size > narrowData {
			t.Fatalf("%d bytes of stream %d", size, stream)
		}
		part := make([]byte, size)
		if _, err := io.ReadFull(out, part); err != nil {
			t.Fatal(err)
		}
		got, fin = append(got, part...), head[4]&spdyFin != 0
	}
	if !bytes.Equal(got, data) {
		t.Errorf("%d bytes of %d", len(got), len(data))
	}
	if last, err := io.ReadAll(out); err != nil || !bytes.Equal(last, dataFrame(5, spdyFin, nil)) {
		t.Errorf("% x, %v", last, err)
	}
	long := []byte{spdyControl, 3, 0, 8, 0, 1, 0, 1}
	if _, err := io.ReadAll(Narrow(readConn{Reader: bytes.NewReader(long)})); !errors.Is(err, errControl) {
		t.Errorf("a long control frame: %v", err)
	}
}

// FuzzFrames reads what may come of either side: nothing panics, and what is passed on
// is what came.
func FuzzFrames(f *testing.F) {
	f.Add(append(ping(1), dataFrame(3, 1, []byte("text"))...))
	f.Add([]byte{0x89, 0x82, 1, 2, 3, 4, 'a', 'b', 0x82, 126, 0, 1, 'x', 0x82, 127, 0, 0, 0, 0, 0, 0, 0, 1, 'y'})
	f.Add([]byte{0x82, 0xFF, 0x80, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4})
	f.Add([]byte{0, 0, 0, 1, 0, 0xFF, 0xFF, 0xFF})
	f.Fuzz(func(t *testing.T, text []byte) {
		for _, framing := range []framing{spdyFraming{}, socketFraming{}} {
			r := &relay{framing: framing}
			in, out := bufio.NewReader(bytes.NewReader(text)), &bytes.Buffer{}
			buf := make([]byte, bufferSize)
			for {
				f, err := framing.next(in)
				if err != nil {
					break
				}
				if f.ping && f.size > maxPing {
					t.Fatalf("a ping of %d bytes", f.size)
				}
				if r.copy(in, f, buf, func(p []byte) error { _, err := out.Write(p); return err }) != nil {
					break
				}
			}
			if !bytes.HasPrefix(text, out.Bytes()) {
				t.Error("what was passed on is not what came")
			}
		}
		_, _ = io.Copy(io.Discard, Narrow(readConn{Reader: bytes.NewReader(text)}))
	})
}
