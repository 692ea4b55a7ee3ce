package pod

import (
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
)

func ephemeral(name, image string) corev1.EphemeralContainer {
	return corev1.EphemeralContainer{EphemeralContainerCommon: corev1.EphemeralContainerCommon{
		Name: name, Image: image, ImagePullPolicy: corev1.PullAlways, TerminationMessagePolicy: corev1.TerminationMessageReadFile,
	}}
}

func TestEphemeralContainersAreOnlyAdded(t *testing.T) {
	const spec = oneContainer
	a, b := ephemeral("a", "i"), ephemeral("b", "i")
	target := ephemeral("b", "i")
	target.TargetContainerName = "none"
	ports := ephemeral("b", "i")
	ports.Ports = []corev1.ContainerPort{{ContainerPort: 80, Protocol: "TCP"}}
	for _, c := range []struct {
		name     string
		old, now []corev1.EphemeralContainer
		static   bool
		want     string
	}{
		{name: "the first", now: []corev1.EphemeralContainer{a}},
		{name: "another", old: []corev1.EphemeralContainer{a}, now: []corev1.EphemeralContainer{a, b}},
		{name: "removed", old: []corev1.EphemeralContainer{a, b}, now: []corev1.EphemeralContainer{a},
			want: "spec.ephemeralContainers: Forbidden: existing ephemeral containers \"b\" may not be removed\n"},
		{name: "changed", old: []corev1.EphemeralContainer{a}, now: []corev1.EphemeralContainer{ephemeral("a", "other")},
			want: "spec.ephemeralContainers: Forbidden: existing ephemeral containers \"a\" may not be changed\n"},
		{name: "with the name of a container", now: []corev1.EphemeralContainer{ephemeral("main", "i")}, want: "spec.ephemeralContainers[0].name: Duplicate value: \"main\""},
		{name: "of a container that is not there", now: []corev1.EphemeralContainer{target}, want: "spec.ephemeralContainers[0].targetContainerName: Not found: \"none\""},
		{name: "with ports", now: []corev1.EphemeralContainer{ports}, want: "spec.ephemeralContainers[0].ports: Forbidden: cannot be set for an Ephemeral Container"},
		{name: "to a static pod", static: true, now: []corev1.EphemeralContainer{a}, want: "[]: Forbidden: static pods do not support ephemeral containers"},
	} {
		t.Run(c.name, func(t *testing.T) {
			old := withSpec(t, spec)
			if c.static {
				old.Annotations = map[string]string{corev1.MirrorPodAnnotationKey: "x"}
			}
			old.Spec.EphemeralContainers = c.old
			p := old.DeepCopy()
			p.Spec.EphemeralContainers = c.now
			prepareEphemeral(p, old)
			errs := validateEphemeral(p, old)
			switch {
			case c.want == "" && len(errs) == 0:
			case len(errs) != 1 || c.want == "" || !strings.HasPrefix(errs[0].Error(), c.want):
				t.Errorf("got %v, want %s", errs, c.want)
			}
		})
	}
}

// TestOnlyEphemeralContainersAreTaken has a request that changes all else too.
func TestOnlyEphemeralContainersAreTaken(t *testing.T) {
	old := withSpec(t, oneContainer)
	old.Generation = 3
	old.Labels = map[string]string{"a": "b"}
	p := old.DeepCopy()
	p.Labels, p.Annotations = map[string]string{"c": "d"}, map[string]string{"e": "f"}
	p.Spec.Containers[0].Image, p.Spec.HostPID = "other", true
	p.Status.Phase = corev1.PodFailed
	p.Spec.EphemeralContainers = []corev1.EphemeralContainer{ephemeral("e", "i")}
	prepareEphemeral(p, old)
	if p.Labels["a"] != "b" || len(p.Labels) != 1 || len(p.Annotations) != len(old.Annotations) || p.Spec.Containers[0].Image != old.Spec.Containers[0].Image ||
		p.Spec.HostPID || p.Status.Phase != old.Status.Phase || len(p.Spec.EphemeralContainers) != 1 || p.Generation != 4 {
		t.Errorf("the pod after the request: %+v", p)
	}
	same := p.DeepCopy()
	if prepareEphemeral(same, p); same.Generation != 4 {
		t.Errorf("generation %d after a request without a change", same.Generation)
	}
}
