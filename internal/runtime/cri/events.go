package cri

import (
	"context"
	"fmt"

	"github.com/containerd/containerd/api/events"
	eventsapi "github.com/containerd/containerd/api/services/events/v1"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// containerdNamespace is where containerd's CRI service keeps its containers.
const containerdNamespace = "k8s.io"

// EventKind is what happened to a container.
type EventKind int

// The kinds of events.
const (
	EventStarted EventKind = iota
	EventExited
)

// Event is a change of a container or sandbox. It is a hint: the state that the
// runtime reports may lag behind it by some milliseconds.
type Event struct {
	// ID is the container's, or the sandbox's.
	ID   string
	Kind EventKind
}

// Events delivers the runtime's events until ctx or the stream ends. The error wraps
// ErrNotOffered when the runtime has no such call (containerd before 1.7).
func (c *Client) Events(ctx context.Context, deliver func(Event)) error {
	stream, err := c.runtime.GetContainerEvents(ctx, &runtimeapi.GetEventsRequest{})
	if err != nil {
		return callError("subscribing to container events", err)
	}
	for {
		r, err := stream.Recv()
		if err != nil {
			return callError("receiving container events", err)
		}
		switch r.ContainerEventType {
		case runtimeapi.ContainerEventType_CONTAINER_STARTED_EVENT:
			deliver(Event{ID: r.ContainerId, Kind: EventStarted})
		case runtimeapi.ContainerEventType_CONTAINER_STOPPED_EVENT:
			deliver(Event{ID: r.ContainerId, Kind: EventExited})
		}
	}
}

// ContainerdEvents is Events over containerd's own API, which listens at the socket.
func ContainerdEvents(ctx context.Context, socket string, deliver func(Event)) error {
	conn, err := dial(socket)
	if err != nil {
		return err
	}
	defer conn.Close()
	ctx = metadata.AppendToOutgoingContext(ctx, "containerd-namespace", containerdNamespace)
	stream, err := eventsapi.NewEventsClient(conn).Subscribe(ctx, &eventsapi.SubscribeRequest{
		Filters: []string{
			fmt.Sprintf("namespace==%s,topic==\"/tasks/exit\"", containerdNamespace),
			fmt.Sprintf("namespace==%s,topic==\"/tasks/start\"", containerdNamespace),
		},
	})
	if err != nil {
		return callError("subscribing to containerd's events", err)
	}
	for {
		envelope, err := stream.Recv()
		if err != nil {
			return callError("receiving containerd's events", err)
		}
		if e, ok := taskEvent(envelope.GetEvent()); ok {
			deliver(e)
		}
	}
}

// taskEvent decodes an event about a container's main process; those about
// processes of an exec are dropped.
func taskEvent(any *anypb.Any) (Event, bool) {
	switch any.GetTypeUrl() {
	case "containerd.events.TaskExit":
		var e events.TaskExit
		if proto.Unmarshal(any.GetValue(), &e) != nil || e.ID != e.ContainerID {
			return Event{}, false
		}
		return Event{ID: e.ContainerID, Kind: EventExited}, true
	case "containerd.events.TaskStart":
		var e events.TaskStart
		if proto.Unmarshal(any.GetValue(), &e) != nil {
			return Event{}, false
		}
		return Event{ID: e.ContainerID, Kind: EventStarted}, true
	}
	return Event{}, false
}
