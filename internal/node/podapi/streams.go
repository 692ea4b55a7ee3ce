package podapi

import (
	"fmt"
	"net/http"
	"sync"
)

// openEach bounds the streams (exec and attach) that are open to one pod at a time, and
// openAll those to all pods of the node: each costs processes of the runtime, and the
// pod's own processes.
const (
	openEach = 100
	openAll  = 400
)

// streams counts the streams that are open. The zero value has none; it is safe for
// concurrent use.
type streams struct {
	mu   sync.Mutex
	all  int
	pods map[string]int
}

// open takes a place for a stream to a pod, which done gives back, or says that there is
// none.
func (s *streams) open(c Container) (done func(), err error) {
	pod := c.Namespace + "/" + c.Pod
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.pods[pod] >= openEach:
		return nil, &Problem{http.StatusTooManyRequests, fmt.Sprintf("too many streams: %d of exec and attach are open to pod %s, which is the most; end some of them and try again", openEach, pod)}
	case s.all >= openAll:
		return nil, &Problem{http.StatusTooManyRequests, fmt.Sprintf("too many streams: %d of exec and attach are open to pods of this node, which is the most; end some of them and try again", openAll)}
	}
	if s.pods == nil {
		s.pods = map[string]int{}
	}
	s.all++
	s.pods[pod]++
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.all--
		if s.pods[pod]--; s.pods[pod] == 0 {
			delete(s.pods, pod)
		}
	}, nil
}
