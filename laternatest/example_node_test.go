package laternatest_test

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"laterna.dev/laterna/laternatest"
)

// TestExampleTokenRotatesInAPod is a user's test: a program that reads its token from a
// file meets a new one there when the old one has 20 % of its life left.
func TestExampleTokenRotatesInAPod(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("a node needs root")
	}
	system := laternatest.Start(t, laternatest.Config{Node: true})

	pods, hour := system.Client().CoreV1().Pods("default"), int64(3600)
	pod, err := pods.Create(t.Context(), &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: "robot"},
		Spec: corev1.PodSpec{
			Containers: []corev1.Container{{
				Name: "main", Image: system.IdleImage(),
				VolumeMounts: []corev1.VolumeMount{{Name: "identity", MountPath: "/identity"}},
			}},
			Volumes: []corev1.Volume{{Name: "identity", VolumeSource: corev1.VolumeSource{Projected: &corev1.ProjectedVolumeSource{
				Sources: []corev1.VolumeProjection{{ServiceAccountToken: &corev1.ServiceAccountTokenProjection{
					Audience: "shop", ExpirationSeconds: &hour, Path: "token",
				}}},
			}}}},
		},
	}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for pod.Status.Phase != corev1.PodRunning {
		time.Sleep(10 * time.Millisecond)
		if pod, err = pods.Get(t.Context(), pod.Name, metav1.GetOptions{}); err != nil {
			t.Fatal(err)
		}
	}

	file := filepath.Join(system.VolumeDir(pod, "identity"), "token")
	first, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	system.Advance(50 * time.Minute)
	for second := first; bytes.Equal(first, second); time.Sleep(time.Millisecond) {
		if second, err = os.ReadFile(file); err != nil {
			t.Fatal(err)
		}
	}
}
