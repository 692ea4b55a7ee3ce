package cri

import (
	"testing"

	"github.com/containerd/containerd/api/events"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
)

// FuzzTaskEvent decodes what a runtime may send. What is taken for an event must be one
// again when it is sent as such.
func FuzzTaskEvent(f *testing.F) {
	exit, err := proto.Marshal(&events.TaskExit{ContainerID: "c", ID: "c"})
	if err != nil {
		f.Fatal(err)
	}
	for _, url := range []string{"containerd.events.TaskExit", "containerd.events.TaskStart", "containerd.events.TaskOOM"} {
		f.Add(url, exit)
		f.Add(url, []byte{})
		f.Add(url, []byte{0x0a, 0xff, 0xff})
	}
	f.Fuzz(func(t *testing.T, url string, body []byte) {
		got, ok := taskEvent(&anypb.Any{TypeUrl: url, Value: body})
		if !ok {
			if got != (Event{}) {
				t.Errorf("%+v is no event", got)
			}
			return
		}
		var m proto.Message = &events.TaskStart{ContainerID: got.ID}
		if got.Kind == EventExited {
			m = &events.TaskExit{ContainerID: got.ID, ID: got.ID}
		}
		again, err := proto.Marshal(m)
		if err != nil {
			t.Fatalf("%q: %v", got.ID, err)
		}
		if e, ok := taskEvent(&anypb.Any{TypeUrl: url, Value: again}); !ok || e != got {
			t.Errorf("%+v is read back as %+v, %v", got, e, ok)
		}
	})
}
