package healthcheck

import (
	"container/list"
	"net"
	"sync"
)

// most is how many connections all servers of a node have at once. A load balancer has a few,
// for a moment.
const most = 256

// room bounds the connections of several listeners. Where there are too many the oldest is
// ended: whoever holds connections keeps nobody else from asking.
type room struct {
	most int

	mu   sync.Mutex
	open list.List // of *guest, the oldest first
}

// in returns a listener whose connections take room.
func (r *room) in(l net.Listener) net.Listener { return &entrance{l, r} }

type entrance struct {
	net.Listener
	room *room
}

// Accept implements net.Listener.
func (e *entrance) Accept() (net.Conn, error) {
	c, err := e.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return e.room.take(c), nil
}

func (r *room) take(c net.Conn) net.Conn {
	g := &guest{Conn: c, room: r}
	r.mu.Lock()
	var oldest *guest
	if r.open.Len() >= r.most {
		oldest, _ = r.open.Remove(r.open.Front()).(*guest)
		oldest.place = nil
	}
	g.place = r.open.PushBack(g)
	r.mu.Unlock()
	if oldest != nil {
		oldest.Conn.Close() // its server closes it again
	}
	return g
}

// guest is a connection that takes room until it is closed.
type guest struct {
	net.Conn
	room  *room
	place *list.Element // nil once it takes none; of room.mu
}

// Close implements net.Conn.
func (g *guest) Close() error {
	g.room.mu.Lock()
	if g.place != nil {
		g.room.open.Remove(g.place)
		g.place = nil
	}
	g.room.mu.Unlock()
	return g.Conn.Close()
}
