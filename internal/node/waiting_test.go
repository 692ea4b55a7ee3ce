package node

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// waits is the reason for which the first container waits.
func waits(reason string) func(*corev1.Pod) bool {
	return func(p *corev1.Pod) bool {
		s := first(p)
		return s.State.Waiting != nil && s.State.Waiting.Reason == reason
	}
}

func configMap(name string, data map[string]string) *corev1.ConfigMap {
	return &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: "default"}, Data: data}
}

func (w *world) createConfigMap(name string, data map[string]string) {
	w.t.Helper()
	if _, err := w.client.CoreV1().ConfigMaps("default").Create(context.Background(), configMap(name, data), metav1.CreateOptions{}); err != nil {
		w.t.Fatal(err)
	}
}

func TestMissingConfigForEnvironment(t *testing.T) {
	w := newWorld(t)
	pod := w.create("p", func(p *corev1.Pod) {
		p.Spec.Containers[0].Env = []corev1.EnvVar{{Name: "V", ValueFrom: &corev1.EnvVarSource{ConfigMapKeyRef: &corev1.ConfigMapKeySelector{
			LocalObjectReference: corev1.LocalObjectReference{Name: "late"}, Key: "k",
		}}}}
	}, `sleep 1000`)
	got := w.waitFor("p", "waits", waits("CreateContainerConfigError"))
	if m := first(got).State.Waiting.Message; m != `configmap "late" not found` || got.Status.Phase != corev1.PodPending {
		t.Errorf("message %q, phase %s", m, got.Status.Phase)
	}
	w.eventually("the failure is recorded", func() error {
		if e := w.events(pod)["Failed"]; len(e) == 0 || e[0] != `Error: configmap "late" not found` {
			return fmt.Errorf("events %q", e)
		}
		return nil
	})
	w.createConfigMap("late", map[string]string{"k": "v"})
	begun := time.Now()
	w.waitFor("p", "runs", running)
	if took := time.Since(begun); took > 900*time.Millisecond {
		t.Errorf("started %s after the ConfigMap came", took)
	}
	if out, _, _ := w.exec("p", "c0", "", false, "sh", "-c", "echo $V"); out != "v\n" {
		t.Errorf("V is %q", out)
	}
}

func TestMissingVolumeSource(t *testing.T) {
	w := newWorld(t)
	pod := w.create("p", func(p *corev1.Pod) {
		mode := int32(0o644)
		p.Spec.Volumes = []corev1.Volume{{Name: "v", VolumeSource: corev1.VolumeSource{ConfigMap: &corev1.ConfigMapVolumeSource{
			LocalObjectReference: corev1.LocalObjectReference{Name: "late"}, DefaultMode: &mode,
		}}}}
		p.Spec.Containers[0].VolumeMounts = []corev1.VolumeMount{{Name: "v", MountPath: "/etc/v"}}
	}, `sleep 1000`)
	w.eventually("the failure is recorded", func() error {
		if e := w.events(pod)["FailedMount"]; len(e) == 0 || !strings.HasPrefix(e[0], `MountVolume.SetUp failed for volume "v"`) {
			return fmt.Errorf("events %q", e)
		}
		return nil
	})
	if got := w.pod("p"); !waits("ContainerCreating")(got) || got.Status.Phase != corev1.PodPending {
		t.Errorf("status %+v", got.Status)
	}
	w.createConfigMap("late", map[string]string{"file": "content"})
	w.waitFor("p", "runs", running)
	if out, _, _ := w.exec("p", "c0", "", false, "busybox", "cat", "/etc/v/file"); out != "content" {
		t.Errorf("file has %q", out)
	}
}

func TestWaitingPodCanBeDeletedAndTimesOut(t *testing.T) {
	w := newWorld(t)
	missing := func(p *corev1.Pod) {
		p.Spec.Volumes = []corev1.Volume{{Name: "v", VolumeSource: corev1.VolumeSource{Secret: &corev1.SecretVolumeSource{SecretName: "never"}}}}
		p.Spec.Containers[0].VolumeMounts = []corev1.VolumeMount{{Name: "v", MountPath: "/etc/v"}}
	}
	w.create("deleted", missing, `sleep 1000`)
	w.create("late", func(p *corev1.Pod) {
		missing(p)
		seconds := int64(60)
		p.Spec.ActiveDeadlineSeconds = &seconds
	}, `sleep 1000`)
	w.create("active", func(p *corev1.Pod) {
		seconds := int64(60)
		p.Spec.ActiveDeadlineSeconds = &seconds
	}, `sleep 1000`)
	w.waitFor("deleted", "waits", waits("ContainerCreating"))
	w.waitFor("active", "runs", running)
	w.delete("deleted")
	w.jump(61 * time.Second)
	for _, name := range []string{"late", "active"} {
		got := w.waitFor(name, "has failed", func(p *corev1.Pod) bool { return p.Status.Phase == corev1.PodFailed })
		if got.Status.Reason != "DeadlineExceeded" || got.Status.Message != "Pod was active on the node longer than the specified deadline" {
			t.Errorf("status %+v", got.Status)
		}
	}
}

func TestUnsupportedFieldWaits(t *testing.T) {
	w := newWorld(t)
	pod := w.create("p", func(p *corev1.Pod) {
		p.Spec.Containers[0].VolumeDevices = []corev1.VolumeDevice{{Name: "disk", DevicePath: "/dev/x"}}
	}, `sleep 1000`)
	w.waitFor("p", "waits", waits("CreateContainerConfigError"))
	w.eventually("the field is named", func() error {
		if e := w.events(pod)["UnsupportedField"]; len(e) != 1 || !strings.HasPrefix(e[0], "spec.containers[0].volumeDevices: ") {
			return fmt.Errorf("events %q", e)
		}
		return nil
	})
}

func TestImagePolicies(t *testing.T) {
	w := newWorld(t)
	imported := w.create("imported", func(p *corev1.Pod) { p.Spec.Containers[0].ImagePullPolicy = corev1.PullAlways }, `sleep 1000`)
	never := w.create("never", func(p *corev1.Pod) {
		p.Spec.Containers[0].Image, p.Spec.Containers[0].ImagePullPolicy = "example.invalid/absent:1", corev1.PullNever
	}, `sleep 1000`)
	absent := w.create("absent", func(p *corev1.Pod) { p.Spec.Containers[0].Image = "127.0.0.1:1/absent:1" }, `sleep 1000`)
	w.waitFor("imported", "runs", running)
	w.waitFor("never", "waits", waits("ErrImageNeverPull"))
	got := w.waitFor("absent", "waits", waits("ImagePullBackOff"))
	if m := first(got).State.Waiting.Message; !strings.HasPrefix(m, `Back-off pulling image "127.0.0.1:1/absent:1": ErrImagePull: `) {
		t.Errorf("message %q", m)
	}
	w.eventually("it is all recorded", func() error {
		if e := w.events(imported)["Pulled"]; len(e) != 1 || !strings.Contains(e[0], "laterna image rm") {
			return fmt.Errorf("imported: %q", e)
		}
		if e := w.events(never); len(e["ErrImageNeverPull"]) == 0 || e["Failed"][0] != "Error: ErrImageNeverPull" {
			return fmt.Errorf("never: %q", e)
		}
		if e := w.events(absent); len(e["Pulling"]) == 0 || len(e["BackOff"]) == 0 || len(e["Failed"]) < 2 {
			return fmt.Errorf("absent: %q", e)
		}
		return nil
	})
	if code, body := w.get("admin", "/containerLogs/default/absent/c0"); code != 400 || body != "container \"c0\" in pod \"absent\" is waiting to start: trying and failing to pull image\n" {
		t.Errorf("logs: %d %q", code, body)
	}
	// An image that appears is used without waiting for the back-off.
	if _, err := w.Images.ImportFile(t.Context(), archive(t, "127.0.0.1:1/absent:1"), ""); err != nil {
		t.Fatal(err)
	}
	w.jump(5 * time.Second)
	w.waitFor("absent", "runs", running)
}

func TestBadCommand(t *testing.T) {
	w := newWorld(t)
	pod := w.create("p", func(p *corev1.Pod) { p.Spec.Containers[0].Command = []string{"/no/such/program"} }, ``)
	got := w.waitFor("p", "backs off", crashLoops(1))
	if last := first(got).LastTerminationState.Terminated; last == nil || last.Reason != "StartError" || last.ExitCode != 128 {
		t.Errorf("last state %+v", last)
	}
	w.eventually("the failure is recorded", func() error {
		if e := w.events(pod)["Failed"]; len(e) == 0 || !strings.Contains(e[0], "/no/such/program") {
			return fmt.Errorf("events %q", e)
		}
		return nil
	})
}
