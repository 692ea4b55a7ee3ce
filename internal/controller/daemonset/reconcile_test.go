package daemonset

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"
)

var began = time.Now()

func set(change ...func(*appsv1.DaemonSet)) *appsv1.DaemonSet {
	labels := map[string]string{"app": "log"}
	s := &appsv1.DaemonSet{
		ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "log", UID: "u", Generation: 7, Annotations: map[string]string{appsv1.DeprecatedTemplateGeneration: "3"}},
		Spec: appsv1.DaemonSetSpec{
			Selector:       &metav1.LabelSelector{MatchLabels: labels},
			Template:       corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: labels}},
			UpdateStrategy: appsv1.DaemonSetUpdateStrategy{Type: appsv1.RollingUpdateDaemonSetStrategyType},
		},
	}
	bounds("1", "0")(s)
	for _, f := range change {
		f(s)
	}
	return s
}

func bounds(unavailable, surge string) func(*appsv1.DaemonSet) {
	return func(s *appsv1.DaemonSet) {
		s.Spec.UpdateStrategy.RollingUpdate = &appsv1.RollingUpdateDaemonSet{MaxUnavailable: new(intstr.Parse(unavailable)), MaxSurge: new(intstr.Parse(surge))}
	}
}

// nodes are made from "a b=ssd c/NoSchedule": names with a label or a taint.
func nodes(text string) (all []*corev1.Node) {
	for _, item := range strings.Fields(text) {
		name, effect, tainted := strings.Cut(item, "/")
		name, disk, _ := strings.Cut(name, "=")
		n := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{"disk": disk}}}
		if tainted {
			n.Spec.Taints = []corev1.Taint{{Key: "k", Effect: corev1.TaintEffect(effect)}}
		}
		all = append(all, n)
	}
	return all
}

// podsOf are made from "a1 b2! c1-": the node, the revision, and how they are: available,
// not ready (!), just ready (+), ending (-), failed (x), succeeded (v), not bound yet (?).
func podsOf(s *appsv1.DaemonSet, text string) (all []*corev1.Pod) {
	for i, item := range strings.Fields(text) {
		pod := newPod(s, item[:1], item[1:2])
		pod.Name = item
		pod.UID, pod.CreationTimestamp = types.UID(fmt.Sprint(i)), metav1.NewTime(began.Add(time.Duration(i)*time.Second))
		pod.Labels[generationLabel] = ""
		pod.Spec.NodeName, pod.Status.Phase = item[:1], corev1.PodRunning
		ready := corev1.PodCondition{Type: corev1.PodReady, Status: corev1.ConditionTrue, LastTransitionTime: metav1.NewTime(began.Add(-time.Minute))}
		switch item[2:] {
		case "!":
			ready.Status = corev1.ConditionFalse
		case "+":
			ready.LastTransitionTime = metav1.NewTime(began)
		case "-":
			pod.DeletionTimestamp = &metav1.Time{Time: began}
		case "x":
			pod.Status.Phase, ready.Status = corev1.PodFailed, corev1.ConditionFalse
		case "v":
			pod.Status.Phase, ready.Status = corev1.PodSucceeded, corev1.ConditionFalse
		case "?":
			pod.Spec.NodeName, pod.Status.Phase, ready.Status = "", corev1.PodPending, corev1.ConditionFalse
		}
		pod.Status.Conditions = []corev1.PodCondition{ready}
		all = append(all, pod)
	}
	return all
}

func viewOf(s *appsv1.DaemonSet, on, pods string) view {
	return view{set: s, nodes: nodes(on), pods: byNode(podsOf(s, pods)), hash: "2", now: began, pause: func(string) time.Duration { return 0 }}
}

// told is a plan in words.
func told(p plan) string {
	var all []string
	for _, node := range p.make {
		all = append(all, "make "+node)
	}
	for _, pod := range p.remove {
		all = append(all, "delete "+pod.Name)
	}
	slices.Sort(all)
	return strings.Join(all, ", ")
}

func TestWhatIsDoneNext(t *testing.T) {
	ssd := func(s *appsv1.DaemonSet) { s.Spec.Template.Spec.NodeSelector = map[string]string{"disk": "ssd"} }
	named := func(s *appsv1.DaemonSet) { s.Spec.Template.Spec.NodeName = "b" }
	tolerant := func(s *appsv1.DaemonSet) {
		s.Spec.Template.Spec.Tolerations = []corev1.Toleration{{Operator: corev1.TolerationOpExists}}
	}
	onDelete := func(s *appsv1.DaemonSet) { s.Spec.UpdateStrategy.Type = appsv1.OnDeleteDaemonSetStrategyType }
	for name, tc := range map[string]struct {
		set            *appsv1.DaemonSet
		on, pods, want string
	}{
		"everywhere":                    {set(), "a b", "", "make a, make b"},
		"one is there":                  {set(), "a b", "a2", "make b"},
		"all are there":                 {set(), "a b", "a2 b2!", ""},
		"one is ending":                 {set(), "a", "a2-", ""},
		"one failed and is ending":      {set(), "a", "", "make a"},
		"by label":                      {set(ssd), "a b=ssd", "", "make b"},
		"no more by label":              {set(ssd), "a b=ssd", "a2 b2", "delete a2"},
		"by name":                       {set(named), "a b", "", "make b"},
		"tainted":                       {set(), "a b/NoSchedule c/NoExecute", "", "make a"},
		"tainted when it was there":     {set(), "b/NoSchedule", "b2", ""},
		"tainted so that it goes":       {set(), "c/NoExecute", "c2", "delete c2"},
		"tainted and tolerated":         {set(tolerant), "b/NoSchedule c/NoExecute", "", "make b, make c"},
		"failed":                        {set(), "a", "a2x", "delete a2x"},
		"succeeded":                     {set(), "a", "a2v", "delete a2v"},
		"two on a node":                 {set(), "a", "a2 a2!", "delete a2!"},
		"the bound one stays":           {set(), "a", "a2? a2", "delete a2?"},
		"waits for a node that is gone": {set(), "a", "a2 b2?", "delete b2?"},
		"ran on a node that is gone":    {set(), "a", "a2 b2", ""},
		"update":                        {set(), "a b c", "a1 b1 c1", "delete a1"},
		"update, one is out":            {set(), "a b c", "a2! b1 c1", ""},
		"update, one is ending":         {set(), "a b c", "a1- b1 c1", ""},
		"update, one is sick":           {set(), "a b c", "a1 b1! c1", "delete b1!"},
		"update goes on":                {set(), "a b c", "a2 b1 c1", "delete b1"},
		"update of two":                 {set(bounds("2", "0")), "a b c", "a1 b1 c1", "delete a1, delete b1"},
		"update of a half, rounded up":  {set(bounds("50%", "0")), "a b c", "a1 b1 c1", "delete a1, delete b1"},
		"update on delete":              {set(onDelete), "a b", "a1 b1", ""},
		"missing before updates":        {set(), "a b", "a1", "make b"},
		"surge":                         {set(bounds("0", "1")), "a b", "a1 b1", "make a"},
		"surge, the new one waits":      {set(bounds("0", "1")), "a b", "a1 a2! b1", ""},
		"surge, the new one serves":     {set(bounds("0", "1")), "a b", "a1 a2 b1", "delete a1"},
		"surge, the old one is sick":    {set(bounds("0", "1")), "a b", "a1! b1", "make a, make b"},
		"surge, the old one got sick":   {set(bounds("0", "1")), "a", "a1! a2!", "delete a1!"},
		"surge, three on a node":        {set(bounds("0", "1")), "a", "a1 a2! a2! a1", "delete a1, delete a2!"},
		"surge, one is ending":          {set(bounds("0", "1")), "a", "a1-", "make a"},
		"surge of all":                  {set(bounds("0", "100%")), "a b", "a1 b1", "make a, make b"},
		"bounds that say nothing":       {set(bounds("0", "0")), "a b", "a1 b1", "delete a1"},
	} {
		if got := told(viewOf(tc.set, tc.on, tc.pods).decide()); got != tc.want {
			t.Errorf("%s: %q, want %q", name, got, tc.want)
		}
	}
}

func TestFailuresPause(t *testing.T) {
	v := viewOf(set(), "a b", "ax2 bx2")
	for _, all := range v.pods {
		all[0].Status.Phase = corev1.PodFailed
	}
	v.pause = func(node string) time.Duration { return map[string]time.Duration{"a": 3 * time.Second}[node] }
	p := v.decide()
	if len(p.remove) != 1 || len(p.ended) != 1 || p.wait != 3*time.Second {
		t.Errorf("%+v", p)
	}
}

func TestManyAreMadeInPortions(t *testing.T) {
	v := viewOf(set(), "", "")
	for i := range 3 * most {
		v.nodes = append(v.nodes, &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprint("n", i)}})
	}
	if p := v.decide(); len(p.make) != most {
		t.Errorf("%d pods at once", len(p.make))
	}
}

func TestThePodOfANode(t *testing.T) {
	s := set(func(s *appsv1.DaemonSet) {
		s.Spec.Template.Spec.HostNetwork = true
		s.Spec.Template.Spec.Tolerations = []corev1.Toleration{{Key: corev1.TaintNodeNotReady, Operator: corev1.TolerationOpExists, Effect: corev1.TaintEffectNoExecute, TolerationSeconds: new(int64(5))}}
		s.Spec.Template.Spec.Affinity = &corev1.Affinity{NodeAffinity: &corev1.NodeAffinity{
			RequiredDuringSchedulingIgnoredDuringExecution:  &corev1.NodeSelector{NodeSelectorTerms: []corev1.NodeSelectorTerm{{}, {}}},
			PreferredDuringSchedulingIgnoredDuringExecution: []corev1.PreferredSchedulingTerm{{Weight: 3}},
		}}
	})
	pod := newPod(s, "n", "h")
	var tolerated []string
	for _, t := range pod.Spec.Tolerations {
		tolerated = append(tolerated, strings.TrimPrefix(t.Key, "node.kubernetes.io/")+":"+string(t.Effect))
		if t.Operator != corev1.TolerationOpExists || t.TolerationSeconds != nil {
			tolerated = append(tolerated, "for a while")
		}
	}
	if got := strings.Join(tolerated, " "); got != "not-ready:NoExecute unreachable:NoExecute disk-pressure:NoSchedule memory-pressure:NoSchedule pid-pressure:NoSchedule unschedulable:NoSchedule network-unavailable:NoSchedule" {
		t.Error(got)
	}
	a := pod.Spec.Affinity.NodeAffinity
	if len(a.PreferredDuringSchedulingIgnoredDuringExecution) != 1 || len(a.RequiredDuringSchedulingIgnoredDuringExecution.NodeSelectorTerms) != 1 || nodeOf(pod) != "n" || pod.Spec.NodeName != "" {
		t.Errorf("affinity %+v", a)
	}
	if got := fmt.Sprint(pod.Labels); got != "map[app:log controller-revision-hash:h pod-template-generation:3]" || pod.GenerateName != "log-" || len(s.Spec.Template.Labels) != 1 || len(s.Spec.Template.Spec.Affinity.NodeAffinity.RequiredDuringSchedulingIgnoredDuringExecution.NodeSelectorTerms) != 2 {
		t.Error(got)
	}
	if nodeOf(&corev1.Pod{}) != "" {
		t.Error("a pod for no node has one")
	}
}

func TestStatusCountsNodes(t *testing.T) {
	s := set(func(s *appsv1.DaemonSet) { s.Spec.MinReadySeconds = 10 })
	status, again := viewOf(s, "a b c d e/NoSchedule", "a2 b1 c2+ e2").status(new(int32(4)))
	got := fmt.Sprint(status.DesiredNumberScheduled, status.CurrentNumberScheduled, status.NumberMisscheduled, status.NumberReady, status.UpdatedNumberScheduled, status.NumberAvailable, status.NumberUnavailable)
	if got != "4 3 1 3 2 2 2" || again != 10*time.Second || status.ObservedGeneration != 7 || *status.CollisionCount != 4 {
		t.Errorf("%s, again in %s", got, again)
	}
	adopted := podsOf(s, "a1")
	adopted[0].Labels[generationLabel] = "3"
	if !viewOf(s, "a", "").isNew(adopted[0]) {
		t.Error("a pod of the template's generation is old")
	}
}
