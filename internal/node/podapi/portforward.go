package podapi

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/streaming/pkg/httpstream/wsstream"

	"laterna.dev/laterna/internal/host/netns"
)

const (
	// connectTimeout bounds connecting to a port of a pod.
	connectTimeout = 30 * time.Second
	// forwardsEach bounds the connections that one port-forward has open at a time, and
	// forwardsAll those of all on the node.
	forwardsEach = 500
	forwardsAll  = 2000
	// forwardBuffer is what is passed on at once, in bytes.
	forwardBuffer = 16 << 10
)

// Network is the way to the ports of a pod.
type Network struct {
	// Namespace is the file of the pod's network namespace; empty is the node's.
	Namespace string
	// URL, if set, is a stream of the runtime's own that is used instead.
	URL string
}

// portForward connects a client with ports of a pod: over SPDY as many as it asks for,
// over WebSocket one connection to each port that the request names.
func (s *Server) portForward(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet && r.Method != http.MethodPost {
		fail(w, &Problem{http.StatusMethodNotAllowed, "portForward takes GET or POST"})
		return
	}
	socket := wsstream.IsWebSocketRequest(r)
	var ports []uint16
	if socket {
		var err error
		if ports, err = portsOf(r.URL.Query()[corev1.PortHeader]); err != nil {
			fail(w, &Problem{http.StatusBadRequest, err.Error()})
			return
		}
	}
	pod := target(r)
	network, err := s.cfg.Host.Network(r.Context(), pod, ports)
	if err != nil || network.URL != "" {
		s.pipe(w, r, network.URL, err, nil)
		return
	}
	f := &forwarding{
		pod: pod.Pod + "_" + pod.Namespace, all: &s.forwards,
		dial: func(ctx context.Context, port uint16) (*net.TCPConn, error) {
			return netns.DialLoopback(ctx, network.Namespace, port)
		},
	}
	if socket {
		s.forwardSocket(w, r, f, ports)
		return
	}
	s.forwardSPDY(w, r, f)
}

// maxPorts bounds the ports of one WebSocket: each has two channels, which are numbered
// in a byte.
const maxPorts = 64

// portsOf reads the parameter port: numbers, parted by commas.
func portsOf(values []string) ([]uint16, error) {
	var ports []uint16
	for _, value := range values {
		for text := range strings.SplitSeq(value, ",") {
			port, err := portOf(text)
			if err != nil {
				return nil, err
			}
			if ports = append(ports, port); len(ports) > maxPorts {
				return nil, fmt.Errorf("parameter %q: more than %d ports", corev1.PortHeader, maxPorts)
			}
		}
	}
	if len(ports) == 0 {
		return nil, fmt.Errorf("query parameter %q is required", corev1.PortHeader)
	}
	return ports, nil
}

func portOf(text string) (uint16, error) {
	port, err := strconv.ParseUint(text, 10, 16)
	if err != nil || port == 0 {
		return 0, fmt.Errorf("unable to parse %.20q as a port", text)
	}
	return uint16(port), nil
}

// forwarding is one port-forward of a client. It is safe for concurrent use.
type forwarding struct {
	pod  string
	dial func(ctx context.Context, port uint16) (*net.TCPConn, error)
	// open counts the connections of this one, all those of the node.
	open atomic.Int64
	all  *atomic.Int64
}

// errCrowded is the error for a connection beyond the bounds.
var errCrowded = fmt.Errorf("too many connections at a time (at most %d for one port-forward and %d on a node); close some first", forwardsEach, forwardsAll)

// connect opens a connection to a port of the pod; the caller calls done after it. The
// error is for the client.
func (f *forwarding) connect(ctx context.Context, port uint16) (conn *net.TCPConn, done func(), err error) {
	done = func() { f.open.Add(-1); f.all.Add(-1) }
	mine, everyone := f.open.Add(1), f.all.Add(1)
	if mine > forwardsEach || everyone > forwardsAll {
		err = errCrowded
	} else {
		ctx, cancel := context.WithTimeout(ctx, connectTimeout)
		defer cancel()
		conn, err = f.dial(ctx, port)
	}
	if err != nil {
		done()
		return nil, nil, fmt.Errorf("error forwarding port %d to pod %s, uid : connecting to the port: %s", port, f.pod, oneLine(err))
	}
	return conn, done, nil
}

// oneLine is an error that may be several as a single line.
func oneLine(err error) string {
	lines := slices.DeleteFunc(strings.Split(err.Error(), "\n"), func(l string) bool { return l == "" })
	return strings.Join(lines, "; ")
}

// abort ends a connection with a reset: its peer must not take what it got for all.
func abort(conn *net.TCPConn) {
	_ = conn.SetLinger(0)
	conn.Close()
}

// upwards passes on what a client sends. ended says of the end of from whether the client
// meant it. A pod that takes nothing more does not hold up the client's other streams:
// the rest is read and dropped.
func upwards(conn *net.TCPConn, from io.Reader, ended func() bool) {
	buf := make([]byte, forwardBuffer)
	taken := true
	for {
		n, err := from.Read(buf)
		if n > 0 && taken {
			_, failed := conn.Write(buf[:n])
			taken = failed == nil
		}
		switch {
		case err == nil:
			continue
		case errors.Is(err, io.EOF) && ended():
			_ = conn.CloseWrite()
		default:
			abort(conn)
		}
		return
	}
}

// downwards passes on what a pod sends, and says whether the pod ended it in order.
func downwards(to io.Writer, conn *net.TCPConn) (whole bool) {
	buf := make([]byte, forwardBuffer)
	for {
		n, err := conn.Read(buf)
		if n > 0 {
			if _, err := to.Write(buf[:n]); err != nil {
				abort(conn)
				return false
			}
		}
		if err != nil {
			return errors.Is(err, io.EOF)
		}
	}
}
