package probe

import "k8s.io/apimachinery/pkg/types"

// schedule is a heap of the probes that wait, the one that is due first on top.
type schedule []*entry

func (s schedule) Len() int           { return len(s) }
func (s schedule) Less(i, j int) bool { return s[i].due.Before(s[j].due) }

func (s schedule) Swap(i, j int) {
	s[i], s[j] = s[j], s[i]
	s[i].index, s[j].index = i, j
}

// Push implements heap.Interface.
func (s *schedule) Push(x any) {
	e := x.(*entry)
	e.index = len(*s)
	*s = append(*s, e)
}

// Pop implements heap.Interface.
func (s *schedule) Pop() any {
	last := len(*s) - 1
	e := (*s)[last]
	(*s)[last], *s = nil, (*s)[:last]
	e.index = -1
	return e
}

const (
	// maxFlight is how many probes are under way at once on a node.
	maxFlight = 1024
	// maxPodFlight is how many of them may be of one pod: one whose containers do not
	// answer must not keep others from being asked.
	maxPodFlight = 8
)

// flight is the probes that are due or under way.
type flight struct {
	pods  map[types.UID]*load
	queue []*entry // may be run as soon as there is room
	flown int      // are under way
}

// load is what a pod has in the flight.
type load struct {
	taken int      // queued or under way
	waits []*entry // until the pod has fewer
}

// ask has a probe run when there is room.
func (f *flight) ask(e *entry) {
	uid := e.watch.c.Pod
	l := f.pods[uid]
	if l == nil {
		l = &load{}
		f.pods[uid] = l
	}
	if l.taken >= maxPodFlight {
		l.waits = append(l.waits, e)
		return
	}
	l.taken++
	f.queue = append(f.queue, e)
}

// next is a probe to run now, nil when there is none or no room.
func (f *flight) next() *entry {
	for f.flown < maxFlight && len(f.queue) > 0 {
		e := f.queue[0]
		f.queue[0], f.queue = nil, f.queue[1:]
		if e.over {
			f.leave(e)
			continue
		}
		f.flown++
		return e
	}
	return nil
}

// landed tells that a run has ended.
func (f *flight) landed(e *entry) {
	f.flown--
	f.leave(e)
}

// leave makes room for the pod's next probe.
func (f *flight) leave(e *entry) {
	uid := e.watch.c.Pod
	l := f.pods[uid]
	l.taken--
	for len(l.waits) > 0 && l.taken < maxPodFlight {
		next := l.waits[0]
		l.waits[0], l.waits = nil, l.waits[1:]
		if next.over {
			continue
		}
		l.taken++
		f.queue = append(f.queue, next)
	}
	if l.taken == 0 {
		delete(f.pods, uid)
	}
}
