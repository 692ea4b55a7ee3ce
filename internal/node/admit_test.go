package node

import (
	"fmt"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
)

func TestRefusedPodFails(t *testing.T) {
	w := newWorld(t)
	pod := w.create("p", func(p *corev1.Pod) {
		p.Spec.Containers[0].Resources.Requests = corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("10k")}
	}, `sleep 1000`)
	got := w.waitFor("p", "has failed", func(p *corev1.Pod) bool { return p.Status.Phase == corev1.PodFailed })
	want := fmt.Sprintf("Pod was rejected: Node didn't have enough resource: cpu, requested: 10000000, used: 0, capacity: %d", 1000*w.agent.registrar.Facts().CPUs)
	if got.Status.Reason != "OutOfcpu" || got.Status.Message != want {
		t.Errorf("status %+v", got.Status)
	}
	w.eventually("the refusal is recorded", func() error {
		if e := w.events(pod)["OutOfcpu"]; len(e) != 1 {
			return fmt.Errorf("events %q", e)
		}
		return nil
	})
}

func TestSubPathExpr(t *testing.T) {
	w := newWorld(t)
	w.create("p", func(p *corev1.Pod) {
		p.Spec.Volumes = []corev1.Volume{{Name: "v", VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}}}
		all := corev1.VolumeMount{Name: "v", MountPath: "/all"}
		p.Spec.Containers[0].Env = []corev1.EnvVar{{Name: "DIR", Value: "mine"}}
		p.Spec.Containers[0].VolumeMounts = []corev1.VolumeMount{{Name: "v", MountPath: "/own", SubPathExpr: "$(DIR)/x"}, all}
	}, `echo 1 > /own/file; sleep 1000`)
	w.create("bad", func(p *corev1.Pod) {
		p.Spec.Volumes = []corev1.Volume{{Name: "v", VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}}}
		p.Spec.Containers[0].VolumeMounts = []corev1.VolumeMount{{Name: "v", MountPath: "/own", SubPathExpr: "$(NONE)"}}
	}, `sleep 1000`)
	w.waitFor("p", "runs", running)
	w.eventually("the file is in the volume", func() error {
		if out, errs, _ := w.exec("p", "c0", "", false, "busybox", "cat", "/all/mine/x/file"); out != "1\n" {
			return fmt.Errorf("%q %q", out, errs)
		}
		return nil
	})
	if m := first(w.waitFor("bad", "waits", waits("CreateContainerConfigError"))).State.Waiting.Message; m != `missing value for "NONE"` {
		t.Errorf("message %q", m)
	}
}
