package pod

import (
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
)

const mayNotChange = "spec: Forbidden: pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)\n"

func TestValidateUpdate(t *testing.T) {
	const gated = oneContainer + "\nschedulingGates: [{name: a}, {name: b}]\nnodeSelector: {x: y}\n"
	const affinity = gated + "affinity: {nodeAffinity: {requiredDuringSchedulingIgnoredDuringExecution: {nodeSelectorTerms: [{matchExpressions: [{key: k, operator: Exists}]}]}}}\n"
	for _, c := range []struct {
		name, old string
		change    func(s *corev1.PodSpec)
		want      []string // prefixes
	}{
		{"nothing", oneContainer, func(*corev1.PodSpec) {}, nil},
		{"image", oneContainer, func(s *corev1.PodSpec) { s.Containers[0].Image = "other" }, nil},
		{"image of an init container", oneContainer + "\ninitContainers: [{name: i, image: i}]", func(s *corev1.PodSpec) { s.InitContainers[0].Image = "other" }, nil},
		{"empty image", oneContainer, func(s *corev1.PodSpec) { s.Containers[0].Image = "" }, []string{"spec.containers[0].image: Required value"}},
		{"command", oneContainer, func(s *corev1.PodSpec) { s.Containers[0].Command = []string{"x"} }, []string{mayNotChange}},
		{"node", oneContainer, func(s *corev1.PodSpec) { s.NodeName = "n" }, []string{mayNotChange}},
		{"volume", oneContainer, func(s *corev1.PodSpec) {
			s.Volumes = append(s.Volumes, corev1.Volume{Name: "v", VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}})
		}, []string{mayNotChange}},
		{"one more container", oneContainer, func(s *corev1.PodSpec) {
			more := *s.Containers[0].DeepCopy()
			more.Name = "more"
			s.Containers = append(s.Containers, more)
		}, []string{"spec.containers: Forbidden: pod updates may not add or remove containers"}},
		{"no containers", oneContainer, func(s *corev1.PodSpec) { s.Containers = nil },
			[]string{"spec.containers: Required value", "spec.containers: Forbidden: pod updates may not add or remove containers"}},

		{"deadline set", oneContainer, func(s *corev1.PodSpec) { s.ActiveDeadlineSeconds = ptr.To[int64](5) }, nil},
		{"deadline nearer", oneContainer + "\nactiveDeadlineSeconds: 5", func(s *corev1.PodSpec) { *s.ActiveDeadlineSeconds = 4 }, nil},
		{"deadline further", oneContainer + "\nactiveDeadlineSeconds: 5", func(s *corev1.PodSpec) { *s.ActiveDeadlineSeconds = 6 },
			[]string{"spec.activeDeadlineSeconds: Invalid value: 6: must be less than or equal to previous value"}},
		{"deadline gone", oneContainer + "\nactiveDeadlineSeconds: 5", func(s *corev1.PodSpec) { s.ActiveDeadlineSeconds = nil },
			[]string{"spec.activeDeadlineSeconds: Invalid value: null: must not update from a positive integer to nil value"}},
		{"deadline out of range", oneContainer, func(s *corev1.PodSpec) { s.ActiveDeadlineSeconds = ptr.To[int64](-1) },
			[]string{"spec.activeDeadlineSeconds: Invalid value: -1: must be between 1 and 2147483647, inclusive", "spec.activeDeadlineSeconds: Invalid value: -1: must be between 0 and 2147483647, inclusive"}},

		{"one more toleration", oneContainer, func(s *corev1.PodSpec) { s.Tolerations = []corev1.Toleration{{Key: "a", Operator: "Exists"}} }, nil},
		{"seconds of a toleration", oneContainer + "\ntolerations: [{key: a, operator: Exists, effect: NoExecute}]", func(s *corev1.PodSpec) {
			s.Tolerations[0].TolerationSeconds = ptr.To[int64](5)
		}, nil},
		{"toleration gone", oneContainer + "\ntolerations: [{key: a, operator: Exists}]", func(s *corev1.PodSpec) { s.Tolerations = nil },
			[]string{"spec.tolerations: Forbidden: existing toleration can not be modified except its tolerationSeconds"}},

		{"grace period", oneContainer, func(s *corev1.PodSpec) { s.TerminationGracePeriodSeconds = ptr.To[int64](1) }, []string{mayNotChange}},
		{"negative grace period mended", oneContainer + "\nterminationGracePeriodSeconds: -5", func(s *corev1.PodSpec) { s.TerminationGracePeriodSeconds = ptr.To[int64](1) }, nil},

		{"gate removed", gated, func(s *corev1.PodSpec) { s.SchedulingGates = s.SchedulingGates[1:] }, nil},
		{"gate added", gated, func(s *corev1.PodSpec) {
			s.SchedulingGates = append(s.SchedulingGates, corev1.PodSchedulingGate{Name: "c"})
		},
			[]string{"spec.schedulingGates[2].name: Forbidden: only deletion is allowed, but found new scheduling gate 'c'"}},
		{"gate added to an ungated pod", oneContainer, func(s *corev1.PodSpec) { s.SchedulingGates = []corev1.PodSchedulingGate{{Name: "c"}} },
			[]string{"spec.schedulingGates[0].name: Forbidden: only deletion is allowed, but found new scheduling gate 'c'"}},
		{"node selector of an ungated pod", oneContainer, func(s *corev1.PodSpec) { s.NodeSelector = map[string]string{"a": "b"} }, []string{mayNotChange}},
		{"node selector of a gated pod", gated, func(s *corev1.PodSpec) { s.NodeSelector["a"] = "b" }, nil},
		{"node selector changed", gated, func(s *corev1.PodSpec) { s.NodeSelector["x"] = "z" },
			[]string{`spec.nodeSelector: Invalid value: {"x":"z"}: only additions to spec.nodeSelector are allowed (no mutations or deletions)`}},
		{"affinity of a gated pod", gated, func(s *corev1.PodSpec) {
			s.Affinity = &corev1.Affinity{NodeAffinity: &corev1.NodeAffinity{RequiredDuringSchedulingIgnoredDuringExecution: &corev1.NodeSelector{
				NodeSelectorTerms: []corev1.NodeSelectorTerm{{MatchExpressions: []corev1.NodeSelectorRequirement{{Key: "a", Operator: "Exists"}}}}}}}
		}, nil},
		{"affinity narrowed", affinity, func(s *corev1.PodSpec) {
			term := &s.Affinity.NodeAffinity.RequiredDuringSchedulingIgnoredDuringExecution.NodeSelectorTerms[0]
			term.MatchExpressions = append(term.MatchExpressions, corev1.NodeSelectorRequirement{Key: "b", Operator: "Exists"})
		}, nil},
		{"affinity changed", affinity, func(s *corev1.PodSpec) {
			s.Affinity.NodeAffinity.RequiredDuringSchedulingIgnoredDuringExecution.NodeSelectorTerms[0].MatchExpressions[0].Key = "z"
		}, []string{"spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms[0].matchExpressions: Invalid value: "}},
		{"affinity gone", affinity, func(s *corev1.PodSpec) { s.Affinity = nil },
			[]string{"spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms: Invalid value: null: no additions/deletions to non-empty NodeSelectorTerms list are allowed"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			old := withSpec(t, c.old)
			p := old.DeepCopy()
			c.change(&p.Spec)
			changed := p.DeepCopy()
			errs := validateUpdate(p, old)
			var got []string
			for _, err := range errs {
				got = append(got, err.Error())
			}
			if len(got) != len(c.want) {
				t.Fatalf("got %q\nwant %q", got, c.want)
			}
			for i := range got {
				if !strings.HasPrefix(got[i], c.want[i]) {
					t.Errorf("got %q\nwant %q", got[i], c.want[i])
				}
			}
			if p.String() != changed.String() {
				t.Error("validation changed the pod")
			}
		})
	}
}

func TestUpdatePrintsTheDifference(t *testing.T) {
	old := withSpec(t, oneContainer)
	p := old.DeepCopy()
	p.Spec.Containers[0].Command = []string{"sleep"}
	errs := validateUpdate(p, old)
	if len(errs) != 1 || !strings.Contains(errs[0].Detail, "\n+   \"command\": [\n+    \"sleep\"\n") {
		t.Errorf("errors %v", errs)
	}
}

func TestAnnotationUpdates(t *testing.T) {
	const apparmor = "container.apparmor.security.beta.kubernetes.io/main"
	pod := func(annotations map[string]string) *corev1.Pod {
		p := withSpec(t, oneContainer+"\nnodeName: n")
		p.ObjectMeta = metav1.ObjectMeta{Name: "p", Namespace: "ns", Annotations: annotations}
		return p
	}
	compare(t, validateUpdate(pod(map[string]string{corev1.MirrorPodAnnotationKey: "b", "x": "y"}), pod(map[string]string{corev1.MirrorPodAnnotationKey: "a", apparmor: "unconfined"})),
		"metadata.annotations["+apparmor+"]: Forbidden: may not remove or update AppArmor annotations",
		"metadata.annotations["+corev1.MirrorPodAnnotationKey+"]: Forbidden: may not remove or update mirror pod annotation")
	compare(t, validateUpdate(pod(map[string]string{corev1.MirrorPodAnnotationKey: "b", apparmor: "unconfined"}), pod(nil)),
		"metadata.annotations["+apparmor+"]: Forbidden: may not add AppArmor annotations",
		"metadata.annotations["+corev1.MirrorPodAnnotationKey+"]: Forbidden: may not add mirror pod annotation")
}

func TestStoredTokenPathMayStay(t *testing.T) {
	text := oneContainer + "\nserviceAccountName: sa\nvolumes: [{name: p, projected: {sources: [{serviceAccountToken: {path: ../t}}]}}]"
	old := withSpec(t, text)
	p := old.DeepCopy()
	p.Labels = map[string]string{"a": "b"}
	compare(t, validateUpdate(p, old))
	compare(t, validateCreate(p), `spec.volumes[0].projected.path: Invalid value: "../t": must not contain '..'`)
}
