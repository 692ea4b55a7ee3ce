package compat

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
)

// residentMiB is what a process holds in memory.
func residentMiB(t *testing.T, pid int) int {
	t.Helper()
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(raw)) {
		if f := strings.Fields(line); f[0] == "VmRSS:" {
			kib, err := strconv.Atoi(f[1])
			if err != nil {
				t.Fatal(err)
			}
			return kib / 1024
		}
	}
	t.Fatal("no VmRSS")
	return 0
}

// volumesMiB is what the tmpfs of a pod's volumes hold.
func (s *stage) volumesMiB(t *testing.T, pod *corev1.Pod) (used int) {
	t.Helper()
	dirs, err := filepath.Glob(filepath.Join(s.Dir, "pods", string(pod.UID), "volumes", "*", "*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, dir := range dirs {
		var st unix.Statfs_t
		if err := unix.Statfs(dir, &st); err != nil {
			t.Fatal(err)
		}
		if st.Type == unix.TMPFS_MAGIC {
			used += int(st.Blocks-st.Bfree) * int(st.Bsize) >> 20
		}
	}
	return used
}

// manyItems is a key, at so many paths.
func manyItems(key string, n int) (items []corev1.KeyToPath) {
	for i := range n {
		items = append(items, corev1.KeyToPath{Key: key, Path: fmt.Sprint("f", i)})
	}
	return items
}

func TestVolumesOfAPodHoldNoMoreThanItsMemoryLimit(t *testing.T) {
	s := newStage(t)
	big := strings.Repeat("x", 1_000_000)
	secret, text := s.secret(t, map[string]string{"k": big}), s.configMap(t, map[string]string{"k": big})
	memory := func(limit string) corev1.ResourceRequirements {
		return corev1.ResourceRequirements{Limits: corev1.ResourceList{corev1.ResourceMemory: resource.MustParse(limit)}}
	}
	before := residentMiB(t, s.PID())
	var pods []*corev1.Pod
	for name, volumes := range map[string][]corev1.VolumeSource{
		"secret":    {{Secret: &corev1.SecretVolumeSource{SecretName: secret.Name, Items: manyItems("k", 2000)}}},
		"configmap": {{ConfigMap: &corev1.ConfigMapVolumeSource{LocalObjectReference: corev1.LocalObjectReference{Name: text.Name}, Items: manyItems("k", 2000)}}},
		"volumes":   slices.Repeat([]corev1.VolumeSource{{Secret: &corev1.SecretVolumeSource{SecretName: secret.Name}}}, 100),
	} {
		pod := shell(name, forever)
		pod.Spec.Containers[0].Resources = memory("16Mi")
		for i, v := range volumes {
			mount(pod, fmt.Sprint("/v", i), v)
		}
		pods = append(pods, s.create(t, pod))
	}
	for _, pod := range pods {
		eventually(t, 20*time.Second, func() error {
			said := s.failedMounts(t, pod)
			if !slices.ContainsFunc(said, func(m string) bool {
				return strings.Contains(m, "does not fit") && strings.Contains(m, "may take 16Mi") && strings.Contains(m, "because of the memory limit of the pod; raise")
			}) {
				return fmt.Errorf("%s: events FailedMount say %q", pod.Name, said)
			}
			return nil
		})
		if used := s.volumesMiB(t, pod); used > 20 {
			t.Errorf("%s: the volumes of a pod with 16 MiB hold %d MiB", pod.Name, used)
		}
	}
	if grown := residentMiB(t, s.PID()) - before; grown > 700 { // the fault takes 4 GiB
		t.Errorf("the program has grown by %d MiB", grown)
	}

	fits := shell("fits", forever)
	fits.Spec.Containers[0].Resources = memory("8Mi")
	mount(fits, "/v0", corev1.VolumeSource{Secret: &corev1.SecretVolumeSource{SecretName: secret.Name, Items: manyItems("k", 3)}})
	fits = s.create(t, fits)
	s.running(t, s.ns, fits.Name)
	out, err := s.inside(t, fits, "df -k /v0 | tail -1; wc -c < /v0/f2; test -s /var/run/secrets/kubernetes.io/serviceaccount/token && echo token")
	if err != nil {
		t.Fatal(err)
	}
	if f := strings.Fields(out); len(f) < 8 || f[1] != "8192" || f[6] != "1000000" || f[7] != "token" {
		t.Errorf("in a pod with 8 MiB: %q", out)
	}
}
