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
	return containerd(ctx, socket, []string{"/tasks/exit", "/tasks/start"}, func(any *anypb.Any) {
		if e, ok := taskEvent(any); ok {
			deliver(e)
		}
	})
}

// ImageEvents calls changed, until ctx or the stream ends, when an image was made or
// named, by pulls and by imports. It is a hint as well: images are known to the CRI some
// milliseconds later.
func ImageEvents(ctx context.Context, socket string, changed func()) error {
	return containerd(ctx, socket, []string{"/images/create", "/images/update"}, func(*anypb.Any) { changed() })
}

// containerd delivers events of the topics over containerd's own API.
func containerd(ctx context.Context, socket string, topics []string, deliver func(*anypb.Any)) error {
	conn, err := dial(socket)
	if err != nil {
		return err
	}
	defer conn.Close()
	ctx = metadata.AppendToOutgoingContext(ctx, "containerd-namespace", containerdNamespace)
	var filters []string
	for _, topic := range topics {
		filters = append(filters, fmt.Sprintf("namespace==%s,topic==%q", containerdNamespace, topic))
	}
	stream, err := eventsapi.NewEventsClient(conn).Subscribe(ctx, &eventsapi.SubscribeRequest{Filters: filters})
	if err != nil {
		return callError("subscribing to containerd's events", err)
	}
	for {
		envelope, err := stream.Recv()
		if err != nil {
			return callError("receiving containerd's events", err)
		}
		deliver(envelope.GetEvent())
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
