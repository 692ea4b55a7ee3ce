package node

import (
	"errors"
	"io"
	"net"
	"path/filepath"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/metadata"
)

// frames passes messages on as they are.
type frames struct{}

func (frames) Name() string { return "proto" }

func (frames) Marshal(v any) (mem.BufferSlice, error) {
	return mem.BufferSlice{mem.SliceBuffer(*v.(*[]byte))}, nil
}

func (frames) Unmarshal(data mem.BufferSlice, v any) error {
	*v.(*[]byte) = data.Materialize()
	return nil
}

// hanging is a runtime in front of another that never answers one call.
type hanging struct {
	behind *grpc.ClientConn
	call   string
	hung   chan struct{} // has one for each such call
}

// between starts a runtime in front of the one at socket and returns its socket.
func between(t *testing.T, socket, call string) (string, *hanging) {
	t.Helper()
	conn, err := grpc.NewClient("unix://"+socket, grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithAuthority("localhost"))
	if err != nil {
		t.Fatal(err)
	}
	front := filepath.Join(t.TempDir(), "cri.sock")
	l, err := net.Listen("unix", front)
	if err != nil {
		t.Fatal(err)
	}
	h := &hanging{conn, call, make(chan struct{}, 100)}
	server := grpc.NewServer(grpc.ForceServerCodecV2(frames{}), grpc.UnknownServiceHandler(h.handle))
	go server.Serve(l)
	t.Cleanup(func() {
		server.Stop()
		conn.Close()
	})
	return front, h
}

func (h *hanging) handle(_ any, in grpc.ServerStream) error {
	method, _ := grpc.MethodFromServerStream(in)
	if filepath.Base(method) == h.call {
		h.hung <- struct{}{}
		<-in.Context().Done()
		return in.Context().Err()
	}
	headers, _ := metadata.FromIncomingContext(in.Context())
	out, err := h.behind.NewStream(metadata.NewOutgoingContext(in.Context(), headers),
		&grpc.StreamDesc{ServerStreams: true, ClientStreams: true}, method, grpc.ForceCodecV2(frames{}))
	if err != nil {
		return err
	}
	var request []byte
	if err := in.RecvMsg(&request); err != nil {
		return err
	}
	if err := errors.Join(out.SendMsg(&request), out.CloseSend()); err != nil {
		return err
	}
	for {
		var answer []byte
		if err := out.RecvMsg(&answer); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		if err := in.SendMsg(&answer); err != nil {
			return err
		}
	}
}

// TestPodIsDeletedThoughItsContainerIsStillBeingMade has a runtime that never ends the
// making of a container.
func TestPodIsDeletedThoughItsContainerIsStillBeingMade(t *testing.T) {
	w := newWorld(t)
	w.stop()
	socket, runtime := between(t, w.Info.Socket, "CreateContainer")
	w.cri = socket
	w.start()
	pod := w.create("p", nil, "sleep 1000")
	select {
	case <-runtime.hung:
	case <-time.After(20 * time.Second):
		t.Fatal("no container was asked for")
	}
	begun := time.Now()
	w.delete("p")
	if took := time.Since(begun); took > 15*time.Second {
		t.Errorf("deleted after %s", took)
	}
	if e := w.events(pod)["Failed"]; len(e) > 0 {
		t.Errorf("events %q", e)
	}
}
