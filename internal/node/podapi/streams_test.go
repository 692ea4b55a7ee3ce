package podapi

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
)

func TestStreamsAreBoundedByPodAndByNode(t *testing.T) {
	var s streams
	open := func(pod string, want string) (done func()) {
		t.Helper()
		done, err := s.open(Container{Namespace: "ns", Pod: pod})
		var p *Problem
		switch {
		case want == "" && err != nil:
			t.Fatal(err)
		case want != "" && (!errors.As(err, &p) || p.Code != http.StatusTooManyRequests || !strings.Contains(p.Message, want)):
			t.Fatalf("got %v, want %q", err, want)
		}
		return done
	}
	var all []func()
	for range openEach {
		all = append(all, open("p", ""))
	}
	open("p", "100 of exec and attach are open to pod ns/p, which is the most")
	all[0]()
	all[0] = open("p", "")
	for i := openEach; i < openAll; i++ {
		all = append(all, open(fmt.Sprint("q", i), ""))
	}
	open("r", "400 of exec and attach are open to pods of this node")
	for _, done := range all {
		done()
	}
	if s.all != 0 || len(s.pods) != 0 {
		t.Errorf("%d are left, of pods %v", s.all, s.pods)
	}
}
