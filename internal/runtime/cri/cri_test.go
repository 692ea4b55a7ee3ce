package cri

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/containerd/containerd/api/events"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"

	"laterna.dev/laterna/internal/clock"
)

func TestCallError(t *testing.T) {
	err := fmt.Errorf("more: %w", callError("doing", status.Error(codes.NotFound, "no such thing")))
	if !errors.Is(err, ErrNotFound) || errors.Is(err, ErrNotOffered) || Message(err) != "no such thing" {
		t.Errorf("error %v", err)
	}
	if err := callError("doing", status.Error(codes.Unimplemented, "x")); !errors.Is(err, ErrNotOffered) || err.Error() != "doing: x" {
		t.Errorf("error %v", err)
	}
	if ignoreNotFound("doing", status.Error(codes.NotFound, "")) != nil || ignoreNotFound("doing", status.Error(codes.Internal, "")) == nil {
		t.Error("ignoreNotFound ignores the wrong errors")
	}
	if Message(errors.New("plain")) != "plain" {
		t.Error("the message of a plain error is its text")
	}
}

func TestTaskEvent(t *testing.T) {
	envelope := func(url string, m proto.Message) *anypb.Any {
		raw, err := proto.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		return &anypb.Any{TypeUrl: url, Value: raw}
	}
	for name, tt := range map[string]struct {
		in   *anypb.Any
		want Event
		ok   bool
	}{
		"exit":            {envelope("containerd.events.TaskExit", &events.TaskExit{ContainerID: "c", ID: "c"}), Event{ID: "c", Kind: EventExited}, true},
		"exit of an exec": {envelope("containerd.events.TaskExit", &events.TaskExit{ContainerID: "c", ID: "e"}), Event{}, false},
		"start":           {envelope("containerd.events.TaskStart", &events.TaskStart{ContainerID: "c"}), Event{ID: "c", Kind: EventStarted}, true},
		"other":           {&anypb.Any{TypeUrl: "x"}, Event{}, false},
		"broken":          {&anypb.Any{TypeUrl: "containerd.events.TaskExit", Value: []byte{0xff}}, Event{}, false},
		"none":            {nil, Event{}, false},
	} {
		if got, ok := taskEvent(tt.in); got != tt.want || ok != tt.ok {
			t.Errorf("%s: %+v, %v", name, got, ok)
		}
	}
}

func TestConfigs(t *testing.T) {
	user := int64(5)
	spec := &SandboxSpec{
		Name: "p", UID: "u", Attempt: 2, Ports: []Port{{Protocol: "UDP", ContainerPort: 53, HostPort: 5353}},
		Namespaces: Namespaces{HostNetwork: true, SharePID: true}, Security: SandboxSecurity{RunAsUser: &user, Seccomp: Profile{Kind: ProfileRuntimeDefault}},
	}
	s := sandboxConfig(spec)
	ns := s.Linux.SecurityContext.NamespaceOptions
	if s.PortMappings[0].Protocol != runtimeapi.Protocol_UDP || ns.Network != runtimeapi.NamespaceMode_NODE || ns.Pid != runtimeapi.NamespaceMode_POD || ns.Ipc != runtimeapi.NamespaceMode_POD || s.Linux.SecurityContext.RunAsUser.Value != 5 {
		t.Errorf("sandbox %+v", s)
	}
	c := containerConfig(&ContainerSpec{
		Env: []EnvVar{{Name: "A", Value: "1"}}, Mounts: []Mount{{HostPath: "/h", ContainerPath: "/c", ReadOnly: true, Propagation: PropagationBidirectional}},
		Resources: Resources{CPUShares: 2, OOMScoreAdj: 1000},
		Security:  ContainerSecurity{DropCapabilities: []string{"ALL"}, Seccomp: Profile{Kind: ProfileLocalhost, Localhost: "x"}, StrictGroups: true, Namespaces: Namespaces{HostPID: true}},
	})
	sc := c.Linux.SecurityContext
	if string(c.Envs[0].Value) != "1" || !c.Mounts[0].Readonly || c.Mounts[0].Propagation != runtimeapi.MountPropagation_PROPAGATION_BIDIRECTIONAL || c.Linux.Resources.OomScoreAdj != 1000 {
		t.Errorf("container %+v", c)
	}
	if sc.Capabilities.DropCapabilities[0] != "ALL" || sc.Seccomp.LocalhostRef != "x" || sc.Apparmor != nil || sc.SupplementalGroupsPolicy != runtimeapi.SupplementalGroupsPolicy_Strict || sc.NamespaceOptions.Pid != runtimeapi.NamespaceMode_NODE || sc.RunAsUser != nil {
		t.Errorf("security %+v", sc)
	}
}

func TestStamp(t *testing.T) {
	if !stamp(0).IsZero() || !stamp(5).Equal(time.Unix(0, 5)) {
		t.Error("stamp")
	}
}

func TestWaitSocketEndsWithContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := WaitSocket(ctx, clock.Real(), t.TempDir()+"/none"); err == nil {
		t.Error("no error for a socket that never comes")
	}
	if err := WaitSocket(ctx, clock.Real(), t.TempDir()); err != nil {
		t.Errorf("a path that exists: %v", err)
	}
}
