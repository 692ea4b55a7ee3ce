package apiserver_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	autoscalingv1 "k8s.io/api/autoscaling/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"

	"laterna.dev/laterna/internal/clock"
)

func scaleTo(name string, n int32) *autoscalingv1.Scale {
	return &autoscalingv1.Scale{ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: "default"}, Spec: autoscalingv1.ScaleSpec{Replicas: n}}
}

// node makes a node that nobody runs.
func (s *system) node(name string) {
	s.t.Helper()
	_, err := s.admin().CoreV1().Nodes().Create(s.t.Context(), &corev1.Node{
		ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{"name": name}},
		Status:     corev1.NodeStatus{Conditions: []corev1.NodeCondition{{Type: corev1.NodeReady, Status: corev1.ConditionTrue}}},
	}, metav1.CreateOptions{})
	must(s.t, err)
	// A new node is tainted until it is ready.
	_, err = s.admin().CoreV1().Nodes().Patch(s.t.Context(), name, types.MergePatchType, []byte(`{"spec":{"taints":null}}`), metav1.PatchOptions{})
	must(s.t, err)
}

func daemonSet(name string, change ...func(*appsv1.DaemonSet)) *appsv1.DaemonSet {
	labels := map[string]string{"app": name}
	set := &appsv1.DaemonSet{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: appsv1.DaemonSetSpec{
			Selector: &metav1.LabelSelector{MatchLabels: labels},
			Template: corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: labels}, Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "c", Image: "i:1"}}}},
		},
	}
	for _, f := range change {
		f(set)
	}
	return set
}

func (s *system) setDaemonImage(set, image string) {
	s.t.Helper()
	patch := fmt.Sprintf(`{"spec":{"template":{"spec":{"containers":[{"name":"c","image":%q}]}}}}`, image)
	_, err := s.admin().AppsV1().DaemonSets("default").Patch(s.t.Context(), set, types.StrategicMergePatchType, []byte(patch), metav1.PatchOptions{})
	must(s.t, err)
}

// daemonsStand waits for a set that has pods on as many nodes, all of them new.
func (s *system) daemonsStand(name string, n int32) {
	s.t.Helper()
	patiently(s.t, func() error {
		set, err := s.admin().AppsV1().DaemonSets("default").Get(s.t.Context(), name, metav1.GetOptions{})
		if err != nil {
			return err
		}
		st := set.Status
		if st.ObservedGeneration != set.Generation || st.DesiredNumberScheduled != n || st.CurrentNumberScheduled != n || st.UpdatedNumberScheduled != n || st.NumberAvailable != n || st.NumberMisscheduled != 0 {
			return fmt.Errorf("status %+v", st)
		}
		return nil
	})
}

// daemons are the UIDs of a set's pods by node.
func (s *system) daemons(set string) map[string]types.UID {
	s.t.Helper()
	list, err := s.admin().CoreV1().Pods("default").List(s.t.Context(), metav1.ListOptions{LabelSelector: "app=" + set})
	must(s.t, err)
	all := map[string]types.UID{}
	for _, pod := range list.Items {
		all[pod.Spec.NodeName] = pod.UID
	}
	return all
}

// TestDaemonsAreOnEveryNode takes a set through its life, on nodes that nobody runs.
func TestDaemonsAreOnEveryNode(t *testing.T) {
	s := boot(t, t.TempDir())
	s.account()
	s.node("n0")
	s.node("n1")
	p := s.play()
	s.runSets()
	_, err := s.admin().AppsV1().DaemonSets("default").Create(t.Context(), daemonSet("log"), metav1.CreateOptions{})
	must(t, err)
	s.daemonsStand("log", 2)
	s.node("n2")
	s.daemonsStand("log", 3)

	before := s.daemons("log")
	victim := before["n1"]
	must(t, s.failDaemon("log", "n1"))
	patiently(t, func() error {
		if uid := s.daemons("log")["n1"]; uid == victim || uid == "" {
			return errors.New("the failed pod is there")
		}
		return nil
	})
	s.daemonsStand("log", 3)
	s.toldOf("DaemonSet", "log", "SuccessfulCreate: Created pod: log-", "FailedDaemonPod: Found failed daemon pod default/log-", "SuccessfulDelete: Deleted pod: log-")

	// A rollout that is taken back before it is through restarts what it has touched, and
	// nothing else.
	before = s.daemons("log")
	p.mu.Lock()
	p.sick["bad"] = true
	p.mu.Unlock()
	s.setDaemonImage("log", "bad")
	patiently(t, func() error {
		p.mu.Lock()
		defer p.mu.Unlock()
		for _, image := range p.images {
			if image == "bad" {
				return nil
			}
		}
		return errors.New("no pod has the new image")
	})
	if out, errs, err := s.kubectl("", "rollout", "undo", "daemonset/log"); err != nil || !strings.Contains(out, "rolled back") {
		t.Errorf("%s %s, %v", out, errs, err)
	}
	s.daemonsStand("log", 3)
	kept := 0
	for node, uid := range s.daemons("log") {
		if before[node] == uid {
			kept++
		}
	}
	if kept != 2 {
		t.Errorf("%d pods were kept: %v, then %v", kept, before, s.daemons("log"))
	}
	if got := s.revisions("log"); got != "2=bad 3=i:1" {
		t.Errorf("history %s", got)
	}
	if out, errs, err := s.kubectl("", "rollout", "history", "daemonset/log"); err != nil || !strings.Contains(out, "2         <none>\n3         <none>") {
		t.Errorf("%s %s, %v", out, errs, err)
	}
	if out, errs, err := s.kubectl("", "rollout", "status", "daemonset/log", "--timeout=10s"); err != nil || !strings.Contains(out, `daemon set "log" successfully rolled out`) {
		t.Errorf("%s %s, %v", out, errs, err)
	}

	// A node that is told apart by a label, and one that is tainted.
	_, err = s.admin().AppsV1().DaemonSets("default").Patch(t.Context(), "log", types.StrategicMergePatchType, []byte(`{"spec":{"template":{"spec":{"nodeSelector":{"name":"n1"}}}}}`), metav1.PatchOptions{})
	must(t, err)
	s.daemonsStand("log", 1)
	_, err = s.admin().CoreV1().Nodes().Patch(t.Context(), "n1", types.StrategicMergePatchType, []byte(`{"spec":{"taints":[{"key":"k","effect":"NoExecute"}]}}`), metav1.PatchOptions{})
	must(t, err)
	s.daemonsStand("log", 0)
	patiently(t, func() error {
		if left := s.daemons("log"); len(left) > 0 {
			return fmt.Errorf("left %v", left)
		}
		return nil
	})
}

// failDaemon says of a set's pod on a node that it has failed.
func (s *system) failDaemon(set, node string) error {
	list, err := s.admin().CoreV1().Pods("default").List(s.t.Context(), metav1.ListOptions{LabelSelector: "app=" + set})
	if err != nil {
		return err
	}
	for _, pod := range list.Items {
		if pod.Spec.NodeName == node {
			_, err := s.admin().CoreV1().Pods("default").Patch(s.t.Context(), pod.Name, types.StrategicMergePatchType, []byte(`{"status":{"phase":"Failed"}}`), metav1.PatchOptions{}, "status")
			return err
		}
	}
	return fmt.Errorf("no pod on %s", node)
}

// TestDaemonsSurge checks that a surge makes each new pod before its predecessor goes.
func TestDaemonsSurge(t *testing.T) {
	s := boot(t, t.TempDir())
	s.account()
	s.node("n0")
	s.node("n1")
	p := s.play()
	s.runSets()
	_, err := s.admin().AppsV1().DaemonSets("default").Create(t.Context(), daemonSet("log", func(d *appsv1.DaemonSet) {
		d.Spec.UpdateStrategy = appsv1.DaemonSetUpdateStrategy{RollingUpdate: &appsv1.RollingUpdateDaemonSet{MaxUnavailable: new(intstr.FromInt32(0)), MaxSurge: new(intstr.FromInt32(1))}}
	}), metav1.CreateOptions{})
	must(t, err)
	s.daemonsStand("log", 2)
	s.setDaemonImage("log", "i:2")
	s.daemonsStand("log", 2)
	patiently(t, func() error {
		if made, gone := p.history(); len(strings.Fields(made)) != 4 || len(strings.Fields(gone)) != 2 {
			return fmt.Errorf("made %s, gone %s", made, gone)
		}
		return nil
	})
	made, gone := p.history()
	for _, name := range strings.Fields(gone) {
		if !slices.Contains(strings.Fields(made)[:2], name) {
			t.Errorf("%s went, of %s", name, made)
		}
	}
}

// TestDaemonsThatFailAgainPause checks that a pod that fails is made anew at once, the next
// one after a pause, which passes on the API's clock.
func TestDaemonsThatFailAgainPause(t *testing.T) {
	s := boot(t, t.TempDir())
	s.account()
	s.node("n0")
	s.play()
	api := clock.New(clock.Real())
	s.runSetsBy(api)
	_, err := s.admin().AppsV1().DaemonSets("default").Create(t.Context(), daemonSet("log"), metav1.CreateOptions{})
	must(t, err)
	s.daemonsStand("log", 1)
	replaced := func(uid types.UID) func() error {
		return func() error {
			if now := s.daemons("log")["n0"]; now == uid || now == "" {
				return errors.New("the failed pod is there")
			}
			return nil
		}
	}
	fail := func() types.UID {
		uid := s.daemons("log")["n0"]
		must(t, s.failDaemon("log", "n0"))
		return uid
	}
	// The pauses double from a second on, each from when the last pod was removed.
	for range 4 {
		api.SetOffset(api.Offset() + 10*time.Second)
		patiently(t, replaced(fail()))
		s.daemonsStand("log", 1)
	}
	uid := fail()
	time.Sleep(500 * time.Millisecond)
	if replaced(uid)() == nil {
		t.Error("the fifth failure in a row is followed by no pause")
	}
	api.SetOffset(api.Offset() + 20*time.Second)
	patiently(t, replaced(uid))
}
