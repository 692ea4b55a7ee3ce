package cri

import (
	"context"
	"errors"
	"net"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// runtimeServer answers as a runtime would; what a test does not set answers
// Unimplemented.
type runtimeServer struct {
	runtimeapi.UnimplementedRuntimeServiceServer
	runtimeapi.UnimplementedImageServiceServer

	containerStatus func(*runtimeapi.ContainerStatusRequest) (*runtimeapi.ContainerStatusResponse, error)
	sandboxStatus   *runtimeapi.PodSandboxStatus
	sandboxes       []*runtimeapi.PodSandbox
	containers      []*runtimeapi.Container
	images          map[string]*runtimeapi.Image
	stop            func(*runtimeapi.StopContainerRequest) error
	exec            func(*runtimeapi.ExecRequest) error
	events          []*runtimeapi.ContainerEventResponse
}

func (s *runtimeServer) ContainerStatus(_ context.Context, r *runtimeapi.ContainerStatusRequest) (*runtimeapi.ContainerStatusResponse, error) {
	return s.containerStatus(r)
}

func (s *runtimeServer) PodSandboxStatus(context.Context, *runtimeapi.PodSandboxStatusRequest) (*runtimeapi.PodSandboxStatusResponse, error) {
	return &runtimeapi.PodSandboxStatusResponse{Status: s.sandboxStatus}, nil
}

func (s *runtimeServer) ListPodSandbox(_ context.Context, r *runtimeapi.ListPodSandboxRequest) (*runtimeapi.ListPodSandboxResponse, error) {
	var all []*runtimeapi.PodSandbox
	for _, b := range s.sandboxes {
		if matches(r.Filter.LabelSelector, b.Labels) {
			all = append(all, b)
		}
	}
	return &runtimeapi.ListPodSandboxResponse{Items: all}, nil
}

func (s *runtimeServer) ListContainers(_ context.Context, r *runtimeapi.ListContainersRequest) (*runtimeapi.ListContainersResponse, error) {
	var all []*runtimeapi.Container
	for _, c := range s.containers {
		if matches(r.Filter.LabelSelector, c.Labels) {
			all = append(all, c)
		}
	}
	return &runtimeapi.ListContainersResponse{Containers: all}, nil
}

func matches(selector, labels map[string]string) bool {
	for k, v := range selector {
		if labels[k] != v {
			return false
		}
	}
	return true
}

func (s *runtimeServer) ImageStatus(_ context.Context, r *runtimeapi.ImageStatusRequest) (*runtimeapi.ImageStatusResponse, error) {
	return &runtimeapi.ImageStatusResponse{Image: s.images[r.Image.Image]}, nil
}

func (s *runtimeServer) StopContainer(_ context.Context, r *runtimeapi.StopContainerRequest) (*runtimeapi.StopContainerResponse, error) {
	return &runtimeapi.StopContainerResponse{}, s.stop(r)
}

func (s *runtimeServer) Exec(_ context.Context, r *runtimeapi.ExecRequest) (*runtimeapi.ExecResponse, error) {
	return &runtimeapi.ExecResponse{Url: "http://stream"}, s.exec(r)
}

func (s *runtimeServer) GetContainerEvents(_ *runtimeapi.GetEventsRequest, out grpc.ServerStreamingServer[runtimeapi.ContainerEventResponse]) error {
	for _, e := range s.events {
		if err := out.Send(e); err != nil {
			return err
		}
	}
	return status.Error(codes.Unavailable, "the runtime goes")
}

// serve lets s listen and returns a client of it.
func serve(t *testing.T, s *runtimeServer) *Client {
	t.Helper()
	socket := filepath.Join(t.TempDir(), "cri.sock")
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	server := grpc.NewServer()
	runtimeapi.RegisterRuntimeServiceServer(server, s)
	runtimeapi.RegisterImageServiceServer(server, s)
	go server.Serve(l)
	t.Cleanup(server.Stop)
	client, err := Dial(socket)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close() })
	return client
}

func TestStatesOfContainers(t *testing.T) {
	s := &runtimeServer{}
	client := serve(t, s)
	for in, want := range map[runtimeapi.ContainerState]ContainerState{
		runtimeapi.ContainerState_CONTAINER_CREATED: ContainerCreated, runtimeapi.ContainerState_CONTAINER_RUNNING: ContainerRunning,
		runtimeapi.ContainerState_CONTAINER_EXITED: ContainerExited, runtimeapi.ContainerState_CONTAINER_UNKNOWN: ContainerUnknown, 99: ContainerUnknown,
	} {
		s.containerStatus = func(*runtimeapi.ContainerStatusRequest) (*runtimeapi.ContainerStatusResponse, error) {
			return &runtimeapi.ContainerStatusResponse{Status: &runtimeapi.ContainerStatus{
				Id: "c", State: in, StartedAt: 7, ExitCode: 3, Reason: "Error", Message: "m", LogPath: "/l",
				Metadata: &runtimeapi.ContainerMetadata{Name: "main", Attempt: 2}, Image: &runtimeapi.ImageSpec{Image: "i"}, ImageRef: "sha256:1",
				Mounts: []*runtimeapi.Mount{{HostPath: "/h", ContainerPath: "/c", Readonly: true}},
			}}, nil
		}
		got, err := client.ContainerStatus(t.Context(), "c")
		if err != nil || got.State != want || got.Name != "main" || got.Attempt != 2 || got.ExitCode != 3 || got.ImageRef != "sha256:1" || !slices.Equal(got.Mounts, []Mount{{HostPath: "/h", ContainerPath: "/c", ReadOnly: true}}) {
			t.Errorf("%v: %+v, %v", in, got, err)
		}
		if !got.StartedAt.Equal(time.Unix(0, 7)) || !got.FinishedAt.IsZero() {
			t.Errorf("started %v, finished %v", got.StartedAt, got.FinishedAt)
		}
	}
	// A runtime that answers with nothing must not end the agent.
	s.containerStatus = func(*runtimeapi.ContainerStatusRequest) (*runtimeapi.ContainerStatusResponse, error) {
		return &runtimeapi.ContainerStatusResponse{}, nil
	}
	if got, err := client.ContainerStatus(t.Context(), "c"); err != nil || got.ID != "" || got.State != ContainerCreated {
		t.Errorf("of an empty answer: %+v, %v", got, err)
	}
	s.containerStatus = func(*runtimeapi.ContainerStatusRequest) (*runtimeapi.ContainerStatusResponse, error) {
		return nil, status.Error(codes.NotFound, "no such container")
	}
	if _, err := client.ContainerStatus(t.Context(), "c"); !errors.Is(err, ErrNotFound) || Message(err) != "no such container" {
		t.Errorf("of a container that is gone: %v", err)
	}
}

func TestProcessOfAContainer(t *testing.T) {
	s := &runtimeServer{}
	client := serve(t, s)
	for _, c := range []struct {
		name, info string
		want       int
		notFound   bool
	}{
		{"running", `{"pid": 42, "other": {"deep": [1]}}`, 42, false},
		{"ended", `{"pid": 0}`, 0, true}, {"negative", `{"pid": -1}`, 0, true}, {"not told", `{}`, 0, true},
		{"no JSON", "pid 42", 0, false}, {"nothing", "", 0, false}, {"another type", `{"pid": "42"}`, 0, false},
	} {
		s.containerStatus = func(r *runtimeapi.ContainerStatusRequest) (*runtimeapi.ContainerStatusResponse, error) {
			if !r.Verbose {
				t.Error("the verbose part was not asked for")
			}
			return &runtimeapi.ContainerStatusResponse{Info: map[string]string{"info": c.info}}, nil
		}
		got, err := client.ContainerPID(t.Context(), "c")
		if got != c.want || (err == nil) != (c.want > 0) || errors.Is(err, ErrNotFound) != c.notFound {
			t.Errorf("%s: %d, %v", c.name, got, err)
		}
	}
}

func TestListsKeepToTheirFilter(t *testing.T) {
	client := serve(t, &runtimeServer{
		sandboxes: []*runtimeapi.PodSandbox{
			{Id: "s1", State: runtimeapi.PodSandboxState_SANDBOX_READY, Labels: map[string]string{"k": "v"}, Metadata: &runtimeapi.PodSandboxMetadata{Name: "p", Namespace: "ns", Uid: "u", Attempt: 1}, CreatedAt: 5},
			{Id: "s2", State: runtimeapi.PodSandboxState_SANDBOX_NOTREADY, Labels: map[string]string{"k": "w"}},
		},
		containers: []*runtimeapi.Container{
			{Id: "c1", PodSandboxId: "s1", State: runtimeapi.ContainerState_CONTAINER_RUNNING, Labels: map[string]string{"k": "v"}, Metadata: &runtimeapi.ContainerMetadata{Name: "main"}, Image: &runtimeapi.ImageSpec{Image: "i"}},
			{Id: "c2", PodSandboxId: "s2"},
		},
	})
	some, err := client.ListSandboxes(t.Context(), Filter{Labels: map[string]string{"k": "v"}})
	if err != nil || len(some) != 1 || some[0].ID != "s1" || some[0].State != SandboxReady || some[0].Namespace != "ns" || some[0].UID != "u" || some[0].Attempt != 1 {
		t.Errorf("sandboxes %+v, %v", some, err)
	}
	all, err := client.ListSandboxes(t.Context(), Filter{})
	if err != nil || len(all) != 2 || all[1].State != SandboxNotReady || all[1].Name != "" {
		t.Errorf("sandboxes %+v, %v", all, err)
	}
	containers, err := client.ListContainers(t.Context(), Filter{Labels: map[string]string{"k": "v"}})
	if err != nil || len(containers) != 1 || containers[0].SandboxID != "s1" || containers[0].Name != "main" || containers[0].Image != "i" || containers[0].State != ContainerRunning {
		t.Errorf("containers %+v, %v", containers, err)
	}
	if containers, err := client.ListContainers(t.Context(), Filter{}); err != nil || len(containers) != 2 || containers[1].Name != "" {
		t.Errorf("containers %+v, %v", containers, err)
	}
}

func TestAddressesOfASandbox(t *testing.T) {
	s := &runtimeServer{}
	client := serve(t, s)
	for _, c := range []struct {
		network *runtimeapi.PodSandboxNetworkStatus
		want    []string
	}{
		{nil, nil}, {&runtimeapi.PodSandboxNetworkStatus{}, nil},
		{&runtimeapi.PodSandboxNetworkStatus{Ip: "10.0.0.1"}, []string{"10.0.0.1"}},
		{&runtimeapi.PodSandboxNetworkStatus{Ip: "10.0.0.1", AdditionalIps: []*runtimeapi.PodIP{{Ip: "fd00::1"}}}, []string{"10.0.0.1", "fd00::1"}},
	} {
		s.sandboxStatus = &runtimeapi.PodSandboxStatus{Id: "s", Network: c.network}
		if got, err := client.SandboxStatus(t.Context(), "s"); err != nil || !slices.Equal(got.IPs, c.want) {
			t.Errorf("%v: %v, %v", c.network, got.IPs, err)
		}
	}
}

func TestImagesThatAreNotThere(t *testing.T) {
	client := serve(t, &runtimeServer{images: map[string]*runtimeapi.Image{
		"i": {Id: "sha256:1", RepoTags: []string{"i:1"}, Uid: &runtimeapi.Int64Value{Value: 0}, Pinned: true}, "hollow": {}, "named": {Id: "sha256:2", Username: "app"},
	}})
	if got, err := client.ImageStatus(t.Context(), "i"); err != nil || got == nil || got.ID != "sha256:1" || got.UID == nil || *got.UID != 0 || !got.Pinned {
		t.Errorf("image %+v, %v", got, err)
	}
	if got, err := client.ImageStatus(t.Context(), "named"); err != nil || got == nil || got.UID != nil || got.Username != "app" {
		t.Errorf("an image of a named user: %+v, %v", got, err)
	}
	for _, name := range []string{"none", "hollow"} {
		if got, err := client.ImageStatus(t.Context(), name); got != nil || err != nil {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
}

func TestStoppingIsGivenWholeSeconds(t *testing.T) {
	s := &runtimeServer{}
	client := serve(t, s)
	for grace, want := range map[time.Duration]int64{0: 0, 999 * time.Millisecond: 0, 2500 * time.Millisecond: 2, time.Hour: 3600} {
		var got int64 = -1
		s.stop = func(r *runtimeapi.StopContainerRequest) error { got = r.Timeout; return nil }
		if err := client.StopContainer(t.Context(), "c", grace); err != nil || got != want {
			t.Errorf("%v: %d s, %v", grace, got, err)
		}
	}
	s.stop = func(*runtimeapi.StopContainerRequest) error { return status.Error(codes.NotFound, "gone") }
	if err := client.StopContainer(t.Context(), "c", 0); err != nil {
		t.Errorf("stopping what is gone: %v", err)
	}
	s.stop = func(*runtimeapi.StopContainerRequest) error { return status.Error(codes.Internal, "stuck") }
	if err := client.StopContainer(t.Context(), "c", 0); err == nil || err.Error() != "stopping container: stuck" {
		t.Errorf("a container that does not stop: %v", err)
	}
}

func TestATerminalHasNoStderr(t *testing.T) {
	s := &runtimeServer{}
	client := serve(t, s)
	for _, in := range []Streams{{Stdin: true, Stdout: true, Stderr: true, TTY: true}, {Stderr: true}, {Stdout: true, TTY: true}} {
		var got *runtimeapi.ExecRequest
		s.exec = func(r *runtimeapi.ExecRequest) error { got = r; return nil }
		url, err := client.ExecURL(t.Context(), "c", []string{"sh", "-c", "a b"}, in)
		if err != nil || url != "http://stream" || got.Stderr != (in.Stderr && !in.TTY) || got.Stdin != in.Stdin || got.Tty != in.TTY || !slices.Equal(got.Cmd, []string{"sh", "-c", "a b"}) {
			t.Errorf("%+v: %+v, %q, %v", in, got, url, err)
		}
	}
	if _, err := client.AttachURL(t.Context(), "c", Streams{}); !errors.Is(err, ErrNotOffered) {
		t.Errorf("attaching where that is not offered: %v", err)
	}
}

func TestEventsUntilTheRuntimeGoes(t *testing.T) {
	event := func(id string, kind runtimeapi.ContainerEventType) *runtimeapi.ContainerEventResponse {
		return &runtimeapi.ContainerEventResponse{ContainerId: id, ContainerEventType: kind}
	}
	client := serve(t, &runtimeServer{events: []*runtimeapi.ContainerEventResponse{
		event("a", runtimeapi.ContainerEventType_CONTAINER_CREATED_EVENT), event("a", runtimeapi.ContainerEventType_CONTAINER_STARTED_EVENT),
		event("a", runtimeapi.ContainerEventType_CONTAINER_STOPPED_EVENT), event("a", runtimeapi.ContainerEventType_CONTAINER_DELETED_EVENT), {},
	}})
	var got []Event
	err := client.Events(t.Context(), func(e Event) { got = append(got, e) })
	// The zero value of an event's type is that of a created container.
	if want := []Event{{ID: "a", Kind: EventStarted}, {ID: "a", Kind: EventExited}}; !slices.Equal(got, want) {
		t.Errorf("events %v, want %v", got, want)
	}
	if err == nil || !strings.Contains(err.Error(), "the runtime goes") {
		t.Errorf("ended with %v", err)
	}
}
