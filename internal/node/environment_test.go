package node

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

func TestAnnotationThatASubPathNeedsStartsTheContainerAtOnce(t *testing.T) {
	w := newWorld(t)
	w.create("p", func(p *corev1.Pod) {
		p.Spec.Volumes = []corev1.Volume{{Name: "v", VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}}}
		c := &p.Spec.Containers[0]
		c.Env = []corev1.EnvVar{{Name: "WHERE", ValueFrom: &corev1.EnvVarSource{FieldRef: &corev1.ObjectFieldSelector{APIVersion: "v1", FieldPath: "metadata.annotations['where']"}}}}
		c.VolumeMounts = []corev1.VolumeMount{{Name: "v", MountPath: "/v", SubPathExpr: "$(WHERE)/x"}}
	}, `sleep 1000`)
	got := w.waitFor("p", "waits", waits("CreateContainerConfigError"))
	if m := first(got).State.Waiting.Message; m != "error SubPath `/x` must not be an absolute path" {
		t.Errorf("message %q", m)
	}
	time.Sleep(3500 * time.Millisecond) // until the pause before the next try is long
	got = w.pod("p").DeepCopy()
	got.Annotations = map[string]string{"where": "here"}
	if _, err := w.client.CoreV1().Pods("default").Update(context.Background(), got, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	begun := time.Now()
	w.waitFor("p", "runs", running)
	if took := time.Since(begun); took > 900*time.Millisecond {
		t.Errorf("started %s after the annotation came", took)
	}
}

func TestVariableFromAFileWaitsForIt(t *testing.T) {
	w := newWorld(t)
	w.create("p", func(p *corev1.Pod) {
		p.Spec.Volumes = []corev1.Volume{{Name: "v", VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}}}
		p.Spec.Containers[0].Env = []corev1.EnvVar{{Name: "V", ValueFrom: &corev1.EnvVarSource{FileKeyRef: &corev1.FileKeySelector{VolumeName: "v", Path: "f", Key: "K"}}}}
		p.Spec.Containers[1].VolumeMounts = []corev1.VolumeMount{{Name: "v", MountPath: "/v"}}
	}, `sleep 1000`, `sleep 4; echo "K='from c1'" > /v/f; sleep 1000`)
	got := w.waitFor("p", "waits", waits("CreateContainerConfigError"))
	if m := first(got).State.Waiting.Message; m != `couldn't parse env file "f" in volume "v": no such file` {
		t.Errorf("message %q", m)
	}
	begun := time.Now()
	w.waitFor("p", "runs", running)
	if took := time.Since(begun); took > 4*time.Second+2500*time.Millisecond {
		t.Errorf("started after %s, want about a second after the file came", took)
	}
	if out, _, _ := w.exec("p", "c0", "", false, "sh", "-c", "echo $V"); out != "from c1\n" {
		t.Errorf("V is %q", out)
	}
}

func TestMissingClusterDNSIsToldOnceOfTheNode(t *testing.T) {
	w := newWorld(t)
	dns := func(p *corev1.Pod) { p.Spec.DNSPolicy = corev1.DNSClusterFirst }
	for _, name := range []string{"a", "b"} {
		w.create(name, dns, `sleep 1000`)
	}
	running := func(p *corev1.Pod) bool { return p.Status.Phase == corev1.PodRunning }
	for _, name := range []string{"a", "b"} {
		if e := w.events(w.waitFor(name, "runs", running))["MissingClusterDNS"]; len(e) > 0 {
			t.Errorf("pod %s: events %q", name, e)
		}
	}
	w.toldOfDNS("")
}

// TestWhyThereIsNoClusterDNSIsToldAtOnce of a node that ought to have one.
func TestWhyThereIsNoClusterDNSIsToldAtOnce(t *testing.T) {
	w := newWorld(t)
	w.stop()
	w.noDNS = "too many sockets"
	w.start()
	w.toldOfDNS("too many sockets")
}

// toldOfDNS waits for the one event that there is no DNS.
func (w *world) toldOfDNS(why string) {
	w.t.Helper()
	node := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{UID: types.UID(w.agent.cfg.NodeName)}}
	w.eventually("the node says it once", func() error {
		if e := w.events(node)["MissingClusterDNS"]; len(e) != 1 || !strings.Contains(e[0], why) {
			return fmt.Errorf("events %q", e)
		}
		return nil
	})
}
