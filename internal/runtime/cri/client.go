package cri

import (
	"context"
	"fmt"
	"os"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/credentials/insecure"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"

	"laterna.dev/laterna/internal/clock"
	"laterna.dev/laterna/internal/wait"
)

const (
	// callTimeout bounds calls that the runtime answers from what it knows.
	callTimeout = 2 * time.Minute
	// sandboxTimeout bounds making and stopping a sandbox, which runs network plugins.
	sandboxTimeout = 4 * time.Minute
	// maxMessage is the size limit of one answer; lists of a full node are large.
	maxMessage = 16 << 20
	// socketPoll is how often WaitSocket looks for the socket.
	socketPoll = 5 * time.Millisecond
)

// Client talks to one container runtime. All methods may be called concurrently.
type Client struct {
	conn    *grpc.ClientConn
	runtime runtimeapi.RuntimeServiceClient
	image   runtimeapi.ImageServiceClient
}

// WaitSocket returns once a file exists at path. Dialling earlier would cost gRPC's
// first back-off.
func WaitSocket(ctx context.Context, clk clock.Wall, path string) error {
	for {
		if _, err := os.Stat(path); err == nil {
			return nil
		}
		if !wait.Pause(ctx, clk, socketPoll) {
			return fmt.Errorf("waiting for the container runtime's socket %s: %w", path, ctx.Err())
		}
	}
}

// Dial returns a client of the runtime that listens at the socket, a path. It makes
// no call; the connection is re-established when the runtime restarts.
func Dial(socket string) (*Client, error) {
	conn, err := dial(socket)
	if err != nil {
		return nil, err
	}
	return &Client{
		conn:    conn,
		runtime: runtimeapi.NewRuntimeServiceClient(conn),
		image:   runtimeapi.NewImageServiceClient(conn),
	}, nil
}

func dial(socket string) (*grpc.ClientConn, error) {
	retry := backoff.Config{BaseDelay: 50 * time.Millisecond, Multiplier: 1.6, Jitter: 0.2, MaxDelay: time.Second}
	conn, err := grpc.NewClient("unix://"+socket,
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithAuthority("localhost"),
		grpc.WithConnectParams(grpc.ConnectParams{Backoff: retry, MinConnectTimeout: 5 * time.Second}),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(maxMessage)),
	)
	if err != nil {
		return nil, fmt.Errorf("dialling container runtime at %s: %w", socket, err)
	}
	return conn, nil
}

// Close ends the connection; calls under way fail.
func (c *Client) Close() error { return c.conn.Close() }

// Version asks the runtime for its name and version.
func (c *Client) Version(ctx context.Context) (Version, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	r, err := c.runtime.Version(ctx, &runtimeapi.VersionRequest{})
	if err != nil {
		return Version{}, callError("asking for the runtime's version", err)
	}
	return Version{Name: r.RuntimeName, Version: r.RuntimeVersion}, nil
}

// Status asks whether the runtime and its network are ready, and what it can.
func (c *Client) Status(ctx context.Context) (Status, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	r, err := c.runtime.Status(ctx, &runtimeapi.StatusRequest{})
	if err != nil {
		return Status{}, callError("asking for the runtime's status", err)
	}
	var out Status
	if f := r.GetFeatures(); f != nil {
		out.Features = &Features{StrictGroups: f.GetSupplementalGroupsPolicy()}
	}
	for _, h := range r.GetRuntimeHandlers() {
		out.Handlers = append(out.Handlers, Handler{
			Name: h.GetName(), RecursiveReadOnly: h.GetFeatures().GetRecursiveReadOnlyMounts(), UserNamespaces: h.GetFeatures().GetUserNamespaces(),
		})
	}
	for _, cond := range r.GetStatus().GetConditions() {
		out.Conditions = append(out.Conditions, Condition{Type: cond.Type, Status: cond.Status, Reason: cond.Reason, Message: cond.Message})
	}
	return out, nil
}
