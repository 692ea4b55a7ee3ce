package containerd

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/emptypb"

	"laterna.dev/laterna/internal/host/procfs"
)

// errEnded says that the daemon ended instead of becoming ready.
var errEnded = errors.New("the process has ended")

// awaitReady returns once the daemon answers CRI calls, or when it ends.
func (d *Daemon) awaitReady(ctx context.Context, p procfs.Process) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	go func() {
		if p.Wait(ctx) == nil {
			cancel(errEnded)
		}
	}()
	err := awaitSocket(ctx, d.Socket())
	if err == nil {
		err = d.awaitCRI(ctx)
	}
	if cause := context.Cause(ctx); err != nil && cause != nil {
		return cause
	}
	return err
}

// awaitSocket returns once path exists. It watches the directory with inotify(7).
func awaitSocket(ctx context.Context, path string) error {
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
	if err != nil {
		return fmt.Errorf("watching for the socket: %w (see fs.inotify.max_user_instances)", err)
	}
	watch := os.NewFile(uintptr(fd), "inotify")
	defer watch.Close()
	if _, err := unix.InotifyAddWatch(fd, filepath.Dir(path), unix.IN_CREATE|unix.IN_MOVED_TO); err != nil {
		return fmt.Errorf("watching for the socket: %w", err)
	}
	stop := context.AfterFunc(ctx, func() { watch.SetReadDeadline(time.Unix(1, 0)) })
	defer stop()
	buf := make([]byte, 4096)
	for {
		if _, err := os.Lstat(path); err == nil {
			return nil
		}
		if _, err := watch.Read(buf); err != nil {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			return fmt.Errorf("watching for the socket: %w", err)
		}
	}
}

// Dial connects to containerd's socket. Unlike gRPC's default it retries a refused
// connection within milliseconds: the socket's file appears shortly before the
// daemon listens.
func Dial(socket string) (*grpc.ClientConn, error) {
	conn, err := grpc.NewClient("unix://"+socket,
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(16<<20)),
		grpc.WithConnectParams(grpc.ConnectParams{
			Backoff:           backoff.Config{BaseDelay: 2 * time.Millisecond, Multiplier: 1.6, Jitter: 0.2, MaxDelay: time.Second},
			MinConnectTimeout: 5 * time.Second,
		}))
	if err != nil {
		return nil, fmt.Errorf("connecting to containerd: %w", err)
	}
	return conn, nil
}

// criStatus is a CRI call without effect that fails until the daemon has read its
// containers and images back. Its messages are read as empty ones, since CRI's types
// belong to runtime/cri.
const criStatus = "/runtime.v1.RuntimeService/Status"

func (d *Daemon) awaitCRI(ctx context.Context) error {
	conn, err := Dial(d.Socket())
	if err != nil {
		return err
	}
	defer conn.Close()
	retry := d.cfg.Clock.NewTicker(2 * time.Millisecond)
	defer retry.Stop()
	for {
		err := conn.Invoke(ctx, criStatus, &emptypb.Empty{}, &emptypb.Empty{}, grpc.WaitForReady(true))
		if err == nil {
			return nil
		}
		if status.Code(err) == codes.Unimplemented {
			return fmt.Errorf("containerd runs without its CRI plugin: %w", err)
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("asking for its status: %w", err)
		case <-retry.C():
		}
	}
}
