package images_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"path/filepath"
	"slices"
	"testing"

	contentapi "github.com/containerd/containerd/api/services/content/v1"
	leasesapi "github.com/containerd/containerd/api/services/leases/v1"
	snapshotsapi "github.com/containerd/containerd/api/services/snapshots/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/emptypb"

	"laterna.dev/laterna/internal/clock"
	"laterna.dev/laterna/internal/runtime/containerd"
	"laterna.dev/laterna/internal/runtime/images"
	"laterna.dev/laterna/internal/runtime/runtimetest"
)

// daemonAPI looks into a containerd past the code under test.
type daemonAPI struct {
	t    *testing.T
	conn *grpc.ClientConn
	ctx  context.Context
	pods int
}

func dialed(t *testing.T, m *runtimetest.Machine) *daemonAPI {
	t.Helper()
	conn, err := containerd.Dial(m.Info.Socket)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return &daemonAPI{t: t, conn: conn, ctx: metadata.AppendToOutgoingContext(t.Context(), "containerd-namespace", containerd.Namespace)}
}

// size is that of a blob.
func (c *daemonAPI) size(digest string) int64 {
	c.t.Helper()
	got, err := contentapi.NewContentClient(c.conn).Info(c.ctx, &contentapi.InfoRequest{Digest: digest})
	if err != nil {
		c.t.Fatal(err)
	}
	return got.GetInfo().GetSize()
}

// each receives all messages of a stream.
func each[T any](t *testing.T, recv func() (T, error), err error, visit func(T)) {
	t.Helper()
	for err == nil {
		var part T
		if part, err = recv(); err == nil {
			visit(part)
		}
	}
	if !errors.Is(err, io.EOF) {
		t.Fatal(err)
	}
}

// stored is everything that an import can leave behind: images with what they stand
// for, blobs, uploads, snapshots, leases, temporary files.
func stored(t *testing.T, m *runtimetest.Machine) (all []string) {
	t.Helper()
	c := dialed(t, m)
	add := func(kind string, values ...any) { all = append(all, kind+" "+fmt.Sprint(values...)) }
	list, err := m.Images.List(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, img := range list {
		add("image", img)
	}
	for _, name := range c.names() {
		add("record", name)
	}
	blobs, err := contentapi.NewContentClient(c.conn).List(c.ctx, &contentapi.ListContentRequest{})
	if err != nil {
		t.Fatal(err)
	}
	each(t, blobs.Recv, err, func(r *contentapi.ListContentResponse) {
		for _, info := range r.GetInfo() {
			add("blob", info.GetDigest())
		}
	})
	uploads, err := contentapi.NewContentClient(c.conn).ListStatuses(c.ctx, &contentapi.ListStatusesRequest{})
	if err != nil {
		t.Fatal(err)
	}
	for _, u := range uploads.GetStatuses() {
		add("upload", u.GetRef())
	}
	snapshots, err := snapshotsapi.NewSnapshotsClient(c.conn).List(c.ctx, &snapshotsapi.ListSnapshotsRequest{Snapshotter: "overlayfs"})
	if err != nil {
		t.Fatal(err)
	}
	each(t, snapshots.Recv, err, func(r *snapshotsapi.ListSnapshotsResponse) {
		for _, info := range r.GetInfo() {
			add("snapshot", info.GetName())
		}
	})
	leases, err := leasesapi.NewLeasesClient(c.conn).List(c.ctx, &leasesapi.ListRequest{})
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range leases.GetLeases() {
		add("lease", l.GetID())
	}
	temporary, err := filepath.Glob(filepath.Join(m.Dir.Containerd(), "laterna-*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range temporary {
		add("file", name)
	}
	slices.Sort(all)
	return all
}

// proxied opens a store on a socket behind which the machine's containerd answers,
// unless refuse has an error for the call.
func proxied(t *testing.T, m *runtimetest.Machine, refuse func(method string) error) *images.Store {
	t.Helper()
	conn, err := containerd.Dial(m.Info.Socket)
	if err != nil {
		t.Fatal(err)
	}
	socket := filepath.Join(t.TempDir(), "s")
	listener, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	server := grpc.NewServer(grpc.ForceServerCodec(raw{}), grpc.MaxRecvMsgSize(16<<20), grpc.UnknownServiceHandler(func(_ any, in grpc.ServerStream) error {
		method, _ := grpc.MethodFromServerStream(in)
		if err := refuse(method); err != nil {
			return err
		}
		return forward(conn, method, in)
	}))
	go server.Serve(listener)
	t.Cleanup(func() {
		server.Stop()
		conn.Close()
	})
	store, err := images.Open(images.Config{Socket: socket, Root: m.Dir.Containerd(), Clock: clock.Real(), Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close() })
	return store
}

func forward(conn *grpc.ClientConn, method string, in grpc.ServerStream) error {
	md, _ := metadata.FromIncomingContext(in.Context())
	ctx, cancel := context.WithCancel(metadata.NewOutgoingContext(in.Context(), md))
	defer cancel()
	out, err := conn.NewStream(ctx, &grpc.StreamDesc{ServerStreams: true, ClientStreams: true}, method, grpc.ForceCodec(raw{}))
	if err != nil {
		return err
	}
	go func() {
		for {
			var frame []byte
			if in.RecvMsg(&frame) != nil {
				out.CloseSend()
				return
			}
			if out.SendMsg(&frame) != nil {
				return
			}
		}
	}()
	for {
		var frame []byte
		if err := out.RecvMsg(&frame); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return status.Convert(err).Err()
		}
		if err := in.SendMsg(&frame); err != nil {
			return err
		}
	}
}

// raw is a codec that leaves messages as they are.
type raw struct{}

// Name implements encoding.Codec.
func (raw) Name() string { return "proto" }

// Marshal implements encoding.Codec.
func (raw) Marshal(v any) ([]byte, error) { return *v.(*[]byte), nil }

// Unmarshal implements encoding.Codec.
func (raw) Unmarshal(data []byte, v any) error {
	if _, empty := v.(*emptypb.Empty); !empty {
		*v.(*[]byte) = slices.Clone(data)
	}
	return nil
}
