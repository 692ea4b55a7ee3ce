package resize

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apiequality "k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	apiruntime "k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"

	"laterna.dev/laterna/internal/clock"
	"laterna.dev/laterna/internal/host/cgroups"
	"laterna.dev/laterna/internal/runtime/cri"
)

// node is a node in memory: it notes what is done to groups and containers.
type node struct {
	t      *testing.T
	dir    string
	ledger *Ledger

	done   []string         // what was done to groups and containers
	events []string         // their reasons, with the beginning of the message
	used   map[string]int64 // memory of containers, and of the pod with ""
	fails  string           // what fails, as it would stand in done
	refuse func(*corev1.Pod) (reason, message string)
}

func newNode(t *testing.T) *node {
	n := &node{t: t, dir: t.TempDir(), used: map[string]int64{}, refuse: func(*corev1.Pod) (string, string) { return "", "" }}
	n.open()
	return n
}

// open opens the ledger, again after the first time.
func (n *node) open() {
	n.t.Helper()
	l, err := Open(Config{
		Root: n.dir, Runtime: n, Groups: n, Memory: 1 << 30, Events: n, Wall: clock.Real(), Log: slog.New(slog.NewTextHandler(n.t.Output(), nil)),
		Refuse: func(p *corev1.Pod) (string, string) { return n.refuse(p) },
	})
	if err != nil {
		n.t.Fatal(err)
	}
	n.t.Cleanup(func() { l.Close() })
	n.ledger = l
}

func (n *node) do(format string, args ...any) error {
	what := fmt.Sprintf(format, args...)
	if n.fails != "" && strings.HasPrefix(what, n.fails) {
		return errors.New(what + " failed")
	}
	n.done = append(n.done, what)
	return nil
}

func (n *node) UpdateContainer(_ context.Context, id string, r cri.Resources) error {
	if r.MemoryBytes > 0 {
		return n.do("%s memory %d", id, r.MemoryBytes>>20)
	}
	return n.do("%s cpu %d %d", id, r.CPUShares, r.CPUQuota)
}

func (n *node) MakePod(types.UID, cgroups.Limits) error { return n.do("make") }

func (n *node) ChangePod(_ types.UID, l cgroups.Limits) error {
	switch {
	case l.MemoryBytes > 0:
		return n.do("pod memory %d", l.MemoryBytes>>20)
	case l.CPUQuota > 0:
		return n.do("pod quota %d", l.CPUQuota)
	}
	return n.do("pod shares %d", l.CPUShares)
}

func (n *node) MemoryUsed(_ types.UID, container string) (int64, error) {
	if used, ok := n.used[container]; ok {
		return used << 20, nil
	}
	return 0, fs.ErrNotExist
}

func (n *node) Event(_ apiruntime.Object, eventType, reason, message string) {
	n.events = append(n.events, eventType+" "+reason+" "+message[:strings.IndexByte(message, ':')])
}

// amounts are cpu in thousandths and memory in MiB, of request and limit; 0 is none.
type amounts [4]int64

func (a amounts) requirements() (r corev1.ResourceRequirements) {
	set := func(list *corev1.ResourceList, name corev1.ResourceName, q *resource.Quantity) {
		if q.IsZero() {
			return
		}
		if *list == nil {
			*list = corev1.ResourceList{}
		}
		(*list)[name] = *q
	}
	set(&r.Requests, corev1.ResourceCPU, resource.NewMilliQuantity(a[0], resource.DecimalSI))
	set(&r.Limits, corev1.ResourceCPU, resource.NewMilliQuantity(a[1], resource.DecimalSI))
	set(&r.Requests, corev1.ResourceMemory, resource.NewQuantity(a[2]<<20, resource.BinarySI))
	set(&r.Limits, corev1.ResourceMemory, resource.NewQuantity(a[3]<<20, resource.BinarySI))
	return r
}

// podOf has containers a, b and so on.
func podOf(uid string, generation int64, each ...amounts) *corev1.Pod {
	p := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: uid, UID: types.UID(uid), Generation: generation}, Status: corev1.PodStatus{QOSClass: corev1.PodQOSBurstable}}
	for i, a := range each {
		p.Spec.Containers = append(p.Spec.Containers, corev1.Container{Name: string(rune('a' + i)), Resources: a.requirements()})
	}
	return p
}

// running are the containers of a pod, with their names for IDs.
func running(pod *corev1.Pod) (all []cri.Container) {
	for _, c := range pod.Spec.Containers {
		all = append(all, cri.Container{ID: c.Name, Name: c.Name, State: cri.ContainerRunning})
	}
	return all
}

// begin has a pod run with what it asks for.
func (n *node) begin(pod *corev1.Pod) {
	n.ledger.Add(pod)
	if err := n.ledger.MakeGroup(pod); err != nil {
		n.t.Fatal(err)
	}
	for i := range pod.Spec.Containers {
		n.ledger.Starting(pod.UID, &pod.Spec.Containers[i])
	}
	n.done = nil
}

// apply resizes pod, and returns the names of the containers to restart.
func (n *node) apply(pod *corev1.Pod) (restart []string, pause time.Duration) {
	list, pause := n.ledger.Apply(context.Background(), pod, running(pod))
	for _, c := range list {
		restart = append(restart, c.Name)
	}
	return restart, pause
}

func (n *node) conditions(pod *corev1.Pod) string {
	var out []string
	conditions, _ := n.ledger.Told(pod.UID)
	for _, c := range conditions {
		out = append(out, fmt.Sprintf("%s %s %q of %d", c.Type, c.Reason, c.Message, c.ObservedGeneration))
	}
	return strings.Join(out, ", ")
}

func (n *node) want(what string, got, want any) {
	n.t.Helper()
	if !apiequality.Semantic.DeepEqual(got, want) {
		n.t.Errorf("%s: %v, want %v", what, got, want)
	}
}

// TestLimitsNeverStandInTheWay has the order in which groups and containers change: what
// grows grows in the pod's group first, what shrinks shrinks there last, memory before
// CPU, and of containers those first that give back.
func TestLimitsNeverStandInTheWay(t *testing.T) {
	for _, c := range []struct {
		name      string
		from, to  []amounts
		want      []string
		unlimited bool
	}{
		{"all grows", []amounts{{20, 30, 35, 45}}, []amounts{{30, 40, 40, 50}},
			[]string{"pod memory 50", "a memory 50", "pod quota 4000", "pod shares 30", "a cpu 30 4000"}, false},
		{"all shrinks", []amounts{{30, 40, 40, 50}}, []amounts{{20, 30, 35, 45}},
			[]string{"a memory 45", "pod memory 45", "a cpu 20 3000", "pod shares 20", "pod quota 3000"}, false},
		{"opposite ways", []amounts{{20, 30, 40, 50}}, []amounts{{30, 40, 35, 45}},
			[]string{"a memory 45", "pod memory 45", "pod quota 4000", "pod shares 30", "a cpu 30 4000"}, false},
		{"one to another", []amounts{{20, 30, 40, 50}, {20, 30, 40, 50}}, []amounts{{20, 40, 40, 60}, {20, 20, 30, 40}},
			[]string{"b memory 40", "a memory 60", "b cpu 20 2000", "a cpu 20 4000"}, false},
		{"a request only", []amounts{{20, 0, 40, 0}}, []amounts{{30, 0, 50, 0}},
			[]string{"pod shares 30", "a cpu 30 0"}, false},
		{"a request of memory only", []amounts{{20, 0, 40, 50}}, []amounts{{20, 0, 45, 50}}, nil, false},
		{"the first limits", []amounts{{20, 0, 40, 0}}, []amounts{{20, 30, 40, 50}},
			[]string{"a memory 50", "pod memory 50", "a cpu 20 3000", "pod quota 3000"}, false},
		{"less than the kernel tells apart", []amounts{{2, 10, 0, 0}}, []amounts{{1, 5, 0, 0}}, nil, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			n := newNode(t)
			n.t = t
			n.begin(podOf("p", 1, c.from...))
			pod := podOf("p", 2, c.to...)
			n.ledger.Consider(pod)
			n.want("conditions before", n.conditions(pod), `PodResizeInProgress  "" of 2`)
			if restart, pause := n.apply(pod); len(restart) > 0 || pause > 0 {
				t.Errorf("restart %v, pause %v", restart, pause)
			}
			n.want("done", n.done, c.want)
			n.want("conditions after", n.conditions(pod), "")
			n.want("events", n.events, []string{"Normal ResizeStarted Pod resize started", "Normal ResizeCompleted Pod resize completed"})
			_, actual := n.ledger.Told("p")
			n.want("what it has", actual, of(&pod.Spec))
			n.done = nil
			if n.apply(pod); len(n.done) > 0 {
				t.Errorf("done again: %v", n.done)
			}
		})
	}
}

func TestAContainerIsRestartedWhereItsPolicySaysSo(t *testing.T) {
	for _, c := range []struct {
		name     string
		policy   corev1.ResourceName
		from, to amounts
		want     bool
	}{
		{"cpu", corev1.ResourceCPU, amounts{20, 30, 40, 50}, amounts{30, 30, 40, 50}, true},
		{"memory", corev1.ResourceMemory, amounts{20, 30, 40, 50}, amounts{20, 30, 40, 60}, true},
		{"a request of memory", corev1.ResourceMemory, amounts{20, 30, 40, 50}, amounts{20, 30, 45, 50}, true},
		{"the other resource", corev1.ResourceMemory, amounts{20, 30, 40, 50}, amounts{30, 30, 40, 50}, false},
		{"the same to the kernel", corev1.ResourceCPU, amounts{2, 10, 0, 0}, amounts{1, 5, 0, 0}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			n := newNode(t)
			with := func(p *corev1.Pod) *corev1.Pod {
				p.Spec.Containers[0].ResizePolicy = []corev1.ContainerResizePolicy{{ResourceName: c.policy, RestartPolicy: corev1.RestartContainer}}
				return p
			}
			n.begin(with(podOf("p", 1, c.from)))
			pod := with(podOf("p", 2, c.to))
			n.ledger.Consider(pod)
			restart, _ := n.apply(pod)
			if (len(restart) == 1) != c.want {
				t.Fatalf("restart %v, done %v", restart, n.done)
			}
			if !c.want {
				return
			}
			if slices.ContainsFunc(n.done, func(d string) bool { return strings.HasPrefix(d, "a ") }) {
				t.Errorf("a container that is restarted was changed: %v", n.done)
			}
			n.want("conditions", n.conditions(pod), `PodResizeInProgress  "" of 2`)
			n.open() // the agent was killed: what was to be restarted still is
			n.ledger.Add(pod)
			n.want("restarting", n.ledger.Restarting("p"), map[string]string{"a": "a"})
			n.ledger.Apply(context.Background(), pod, []cri.Container{{ID: "a", Name: "a", State: cri.ContainerExited}})
			n.want("conditions while it is stopped", n.conditions(pod), `PodResizeInProgress  "" of 2`)
			n.ledger.Starting("p", &pod.Spec.Containers[0])
			n.apply(pod)
			n.want("restarting in the end", n.ledger.Restarting("p"), map[string]string(nil))
			n.want("conditions after the restart", n.conditions(pod), "")
		})
	}
}

// TestTheGroupKeepsWhatAContainerHasUntilItIsRestarted: the old one would be killed.
func TestTheGroupKeepsWhatAContainerHasUntilItIsRestarted(t *testing.T) {
	n := newNode(t)
	restarts := func(p *corev1.Pod) *corev1.Pod {
		p.Spec.Containers[0].ResizePolicy = []corev1.ContainerResizePolicy{{ResourceName: corev1.ResourceMemory, RestartPolicy: corev1.RestartContainer}}
		return p
	}
	n.begin(restarts(podOf("p", 1, amounts{20, 30, 40, 50}, amounts{20, 30, 40, 50})))
	pod := restarts(podOf("p", 2, amounts{20, 30, 20, 20}, amounts{20, 30, 30, 40}))
	n.ledger.Consider(pod)
	restart, _ := n.apply(pod)
	n.want("restart", restart, []string{"a"})
	n.want("done at first", n.done, []string{"b memory 40"})
	n.done = nil
	n.ledger.Starting("p", &pod.Spec.Containers[0])
	n.apply(pod)
	n.want("done after the restart", n.done, []string{"pod memory 60"})
}

func TestMemoryInUseIsNotTaken(t *testing.T) {
	n := newNode(t)
	n.begin(podOf("p", 1, amounts{0, 0, 50, 50}))
	n.used["a"], n.used[""] = 30, 31
	pod := podOf("p", 2, amounts{0, 0, 20, 20})
	n.ledger.Consider(pod)
	_, pause := n.apply(pod)
	n.want("pause", pause, tryAgain)
	n.want("done", n.done, []string(nil))
	const why = "cannot decrease memory limits: [attempting to set pod memory limit (20971520) below current usage (32505856), " +
		`attempting to set container "a" memory limit (20971520) below current usage (31457280)]`
	n.want("conditions", n.conditions(pod), fmt.Sprintf("PodResizeInProgress Error %q of 2", why))
	n.apply(pod) // which says nothing new
	n.want("events", n.events, []string{"Normal ResizeStarted Pod resize started", "Warning ResizeError Pod resize error"})

	n.used["a"], n.used[""] = 10, 11
	n.apply(pod)
	n.want("done in the end", n.done, []string{"a memory 20", "pod memory 20"})
	n.want("conditions in the end", n.conditions(pod), "")
}

// TestAFailedResizeGoesOnWhereItStood, also with what is asked for meanwhile.
func TestAFailedResizeGoesOnWhereItStood(t *testing.T) {
	n := newNode(t)
	n.begin(podOf("p", 1, amounts{20, 30, 40, 50}, amounts{20, 30, 40, 50}))
	pod := podOf("p", 2, amounts{20, 30, 60, 70}, amounts{20, 30, 60, 70})
	n.ledger.Consider(pod)
	n.fails = "b memory"
	if _, pause := n.apply(pod); pause != tryAgain {
		t.Errorf("pause %v", pause)
	}
	n.want("done", n.done, []string{"pod memory 140", "a memory 70"})
	n.want("conditions", n.conditions(pod), `PodResizeInProgress Error "resizing memory of container b: b memory 70 failed" of 2`)
	n.done, n.fails = nil, ""
	n.apply(pod)
	n.want("done in the end", n.done, []string{"pod memory 140", "b memory 70"})
	n.want("conditions in the end", n.conditions(pod), "")
}

func TestAResizeWaitsForRoom(t *testing.T) {
	n := newNode(t)
	pod := podOf("p", 1, amounts{20, 0, 40, 0})
	n.begin(pod)
	n.refuse = func(*corev1.Pod) (string, string) { return "OutOfcpu", "no room" }
	wants := podOf("p", 2, amounts{2000, 0, 40, 0})
	n.ledger.Consider(wants)
	n.ledger.Consider(wants) // which says nothing new
	n.want("conditions", n.conditions(wants), `PodResizePending Deferred "no room" of 2`)
	n.want("events", n.events, []string{"Warning ResizeDeferred Pod resize OutOfcpu"})
	n.want("view", n.ledger.View(wants).Spec, pod.Spec)
	n.apply(wants)
	n.want("done", n.done, []string(nil))
	select {
	case <-n.ledger.kick:
	default:
		t.Error("nobody is told that a pod waits")
	}

	less := podOf("p", 3, amounts{20, 0, 40, 0})
	n.ledger.Consider(less)
	n.want("conditions once it was taken back", n.conditions(less), "")

	n.ledger.Consider(wants)
	n.refuse = func(*corev1.Pod) (string, string) { return "", "" }
	n.want("waiting", n.ledger.Retry([]*corev1.Pod{wants}), []*corev1.Pod{wants})
	n.apply(wants)
	n.want("conditions in the end", n.conditions(wants), "")
	n.want("view in the end", n.ledger.View(wants).Spec, wants.Spec)
	n.want("waiting in the end", n.ledger.Retry([]*corev1.Pod{wants}), []*corev1.Pod(nil))
	n.ledger.Consider(wants)
	ended := podOf("p", 4, amounts{20, 0, 40, 0})
	ended.Status.Phase = corev1.PodSucceeded
	n.ledger.Consider(ended)
	n.want("an ended pod", n.ledger.View(ended).Spec, wants.Spec)
}

func TestAnInfeasibleResizeIsToldAsThat(t *testing.T) {
	n := newNode(t)
	n.begin(podOf("p", 1, amounts{20, 0, 40, 0}))
	n.refuse = func(*corev1.Pod) (string, string) { return corev1.PodReasonInfeasible, "never" }
	wants := podOf("p", 2, amounts{30, 0, 40, 0})
	n.ledger.Consider(wants)
	n.want("conditions", n.conditions(wants), `PodResizePending Infeasible "never" of 2`)
	n.want("events", n.events, []string{"Warning ResizeInfeasible Pod resize Infeasible"})
}

func TestWhoIsLookedAtFirst(t *testing.T) {
	n := newNode(t)
	n.refuse = func(*corev1.Pod) (string, string) { return "OutOfcpu", "no room" }
	var pods []*corev1.Pod
	add := func(name string, cpu int64, change func(*corev1.Pod)) {
		n.begin(podOf(name, 1, amounts{20, 0, 40, 0}))
		p := podOf(name, 2, amounts{cpu, 0, 40, 0})
		change(p)
		n.ledger.Consider(p)
		pods = append(pods, p)
	}
	since := func(second int64) func(*corev1.Pod) {
		return func(p *corev1.Pod) {
			p.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodResizePending, LastTransitionTime: metav1.Unix(second, 0)}}
		}
	}
	add("unknown", 30, func(*corev1.Pod) {})
	add("younger", 30, since(20))
	add("older", 30, since(10))
	add("guaranteed", 30, func(p *corev1.Pod) { p.Status.QOSClass = corev1.PodQOSGuaranteed })
	add("important", 30, func(p *corev1.Pod) { p.Spec.Priority = new(int32); *p.Spec.Priority = 5 })
	add("smaller", 10, func(*corev1.Pod) {})
	var got []string
	for _, p := range n.ledger.waiting(pods) {
		got = append(got, p.Name)
	}
	n.want("order", got, []string{"smaller", "important", "guaranteed", "older", "younger", "unknown"})
}

// TestWhatIsAllocatedOutlivesTheAgent, in the midst of a resize too.
func TestWhatIsAllocatedOutlivesTheAgent(t *testing.T) {
	n := newNode(t)
	n.begin(podOf("p", 1, amounts{20, 30, 40, 50}))
	first := podOf("p", 2, amounts{20, 40, 40, 60})
	n.ledger.Consider(first)
	n.open() // nothing was applied
	wants := podOf("p", 3, amounts{20, 50, 40, 70})
	n.ledger.Add(wants)
	n.want("view", n.ledger.View(wants).Spec, first.Spec)
	n.apply(wants)
	n.want("done", n.done, []string{"pod memory 60", "a memory 60", "pod quota 4000", "a cpu 20 4000"})
	n.want("events", n.events, []string{"Normal ResizeStarted Pod resize started", "Normal ResizeCompleted Pod resize completed"})

	n.ledger.Forget("p")
	n.open()
	n.ledger.Add(wants)
	n.want("view of a pod that was forgotten", n.ledger.View(wants).Spec, wants.Spec)
	n.ledger.Retain(func(types.UID) bool { return false })
	if entries, err := os.ReadDir(n.ledger.root.Name()); err != nil || len(entries) > 0 {
		t.Errorf("left %v, %v", entries, err)
	}
}

// TestAPodWithoutARecordGoesByItsStatus: it was started by an agent that kept none, or the
// record is broken.
func TestAPodWithoutARecordGoesByItsStatus(t *testing.T) {
	n := newNode(t)
	wants := podOf("p", 3, amounts{20, 50, 40, 70})
	has := amounts{20, 30, 40, 50}.requirements()
	wants.Status.ContainerStatuses = []corev1.ContainerStatus{{
		Name: "a", Resources: &has, AllocatedResources: has.Requests, State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{}},
	}}
	wants.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodResizePending, Status: corev1.ConditionTrue, Reason: "Deferred", Message: "no room", ObservedGeneration: 3}}
	for name, record := range map[string]string{"none": "", "half": `{"allocated":`, "of something else": `{"allocated":{}}`} {
		n.open()
		if record != "" {
			if err := n.ledger.root.WriteFile("p.json", []byte(record), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		n.ledger.Add(wants)
		n.want(name+": view", n.ledger.View(wants).Spec, podOf("p", 1, amounts{20, 30, 40, 50}).Spec)
		n.want(name+": conditions", n.conditions(wants), `PodResizePending Deferred "no room" of 3`)
	}
	info, err := os.Stat(n.ledger.root.Name() + "/p.json")
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the record has the mode %v, %v", info, err)
	}
}

func TestThePodAsAWholeIsResized(t *testing.T) {
	n := newNode(t)
	with := func(p *corev1.Pod, a amounts) *corev1.Pod {
		r := a.requirements()
		p.Spec.Resources = &r
		return p
	}
	n.begin(with(podOf("p", 1, amounts{}), amounts{20, 30, 40, 50}))
	pod := with(podOf("p", 2, amounts{}), amounts{30, 40, 50, 60})
	n.ledger.Consider(pod)
	n.apply(pod)
	n.want("done", n.done, []string{"pod memory 60", "a memory 60", "pod quota 4000", "pod shares 30", "a cpu 2 4000"})
	_, actual := n.ledger.Told("p")
	n.want("what it has", actual.Pod, pod.Spec.Resources)
}
