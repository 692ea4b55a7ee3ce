package compat

import (
	"fmt"
	"os"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
)

// emptyDir is a volume of a medium.
func emptyDir(medium corev1.StorageMedium) corev1.VolumeSource {
	return corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{Medium: medium}}
}

func TestConformanceEmptyDirs(t *testing.T) {
	s := newStage(t)
	const disk, memory = corev1.StorageMediumDefault, corev1.StorageMediumMemory
	const nonRoot = 1001
	for _, tc := range []struct {
		behaviour  string
		user       int64
		medium     corev1.StorageMedium
		mode, want string
	}{
		{behaviour: "[sig-storage] EmptyDir volumes should support (root,0644,default)", medium: disk, mode: "0644", want: "-rw-r--r--"},
		{behaviour: "[sig-storage] EmptyDir volumes should support (root,0666,default)", medium: disk, mode: "0666", want: "-rw-rw-rw-"},
		{behaviour: "[sig-storage] EmptyDir volumes should support (root,0777,default)", medium: disk, mode: "0777", want: "-rwxrwxrwx"},
		{behaviour: "[sig-storage] EmptyDir volumes should support (root,0644,tmpfs)", medium: memory, mode: "0644", want: "-rw-r--r--"},
		{behaviour: "[sig-storage] EmptyDir volumes should support (root,0666,tmpfs)", medium: memory, mode: "0666", want: "-rw-rw-rw-"},
		{behaviour: "[sig-storage] EmptyDir volumes should support (root,0777,tmpfs)", medium: memory, mode: "0777", want: "-rwxrwxrwx"},
		{behaviour: "[sig-storage] EmptyDir volumes should support (non-root,0644,default)", user: nonRoot, medium: disk, mode: "0644", want: "-rw-r--r--"},
		{behaviour: "[sig-storage] EmptyDir volumes should support (non-root,0666,default)", user: nonRoot, medium: disk, mode: "0666", want: "-rw-rw-rw-"},
		{behaviour: "[sig-storage] EmptyDir volumes should support (non-root,0777,default)", user: nonRoot, medium: disk, mode: "0777", want: "-rwxrwxrwx"},
		{behaviour: "[sig-storage] EmptyDir volumes should support (non-root,0644,tmpfs)", user: nonRoot, medium: memory, mode: "0644", want: "-rw-r--r--"},
		{behaviour: "[sig-storage] EmptyDir volumes should support (non-root,0666,tmpfs)", user: nonRoot, medium: memory, mode: "0666", want: "-rw-rw-rw-"},
		{behaviour: "[sig-storage] EmptyDir volumes should support (non-root,0777,tmpfs)", user: nonRoot, medium: memory, mode: "0777", want: "-rwxrwxrwx"},
	} {
		s.conforms(t, tc.behaviour, func(t *testing.T) {
			const file = "/test-volume/test-file"
			pod := shell(s.name("pod"), "echo mount-tester new file > "+file+" && chmod "+tc.mode+" "+file+" && "+look(file)+" && stat -f -c %T /test-volume")
			mount(pod, "/test-volume", emptyDir(tc.medium))
			if tc.user != 0 {
				pod.Spec.SecurityContext = &corev1.PodSecurityContext{RunAsUser: &tc.user}
			}
			got := s.output(t, pod)
			want := fmt.Sprintf("%s %d:0\nmount-tester new file\n", tc.want, tc.user)
			if !strings.HasPrefix(got, want) || strings.HasSuffix(got, "\ntmpfs\n") != (tc.medium == memory) {
				t.Errorf("the pod prints\n%s\nwant\n%s and the file system of medium %q", got, want, tc.medium)
			}
		})
	}

	for _, tc := range []struct {
		behaviour string
		medium    corev1.StorageMedium
		want      string
	}{
		{behaviour: "[sig-storage] EmptyDir volumes volume on default medium should have the correct mode", medium: disk, want: "drwxrwxrwx 0:0\n"},
		{behaviour: "[sig-storage] EmptyDir volumes volume on tmpfs should have the correct mode", medium: memory, want: "drwxrwxrwt 0:0\n"},
	} {
		s.conforms(t, tc.behaviour, func(t *testing.T) {
			pod := shell(s.name("pod"), "stat -c '%A %u:%g' /test-volume && stat -f -c %T /test-volume")
			mount(pod, "/test-volume", emptyDir(tc.medium))
			got := s.output(t, pod)
			if !strings.HasPrefix(got, tc.want) || strings.HasSuffix(got, "\ntmpfs\n") != (tc.medium == memory) {
				t.Errorf("the pod prints\n%s\nwant\n%s and the file system of medium %q", got, tc.want, tc.medium)
			}
		})
	}

	s.conforms(t, "[sig-storage] EmptyDir volumes pod should support shared volumes between containers", func(t *testing.T) {
		pod := shell(s.name("pod"), forever)
		mount(pod, "/usr/share/volumeshare", emptyDir(disk))
		other := pod.Spec.Containers[0]
		other.Name, other.Command = "other", []string{"sh", "-c", "echo Hello from the other container > /pod-data/shareddata.txt"}
		other.VolumeMounts = []corev1.VolumeMount{{Name: other.VolumeMounts[0].Name, MountPath: "/pod-data"}}
		pod.Spec.Containers = append(pod.Spec.Containers, other)
		pod = s.runs(t, pod)
		s.until(t, pod, `[ "$(cat /usr/share/volumeshare/shareddata.txt)" = "Hello from the other container" ]`)
	})
}

func TestConformanceEmptyDirWrapper(t *testing.T) {
	s := newStage(t)
	s.conforms(t, "[sig-storage] EmptyDir wrapper volumes should not conflict", func(t *testing.T) {
		pod := shell(s.name("pod"), forever)
		mount(pod, "/etc/secret-volume", secretFiles.source(s.secret(t, threeValues()).Name, files{}))
		mount(pod, "/etc/configmap-volume", configMapFiles.source(s.configMap(t, threeValues()).Name, files{}))
		pod = s.runs(t, pod)
		s.until(t, pod, `[ "$(cat /etc/secret-volume/data-1 /etc/configmap-volume/data-2)" = value-1value-2 ]`)
	})

	s.conforms(t, "[sig-storage] EmptyDir wrapper volumes should not cause race condition when used for configmaps", func(t *testing.T) {
		const volumes, pods = 50, 5
		var objects []string
		for i := range volumes {
			objects = append(objects, s.configMap(t, map[string]string{"data-1": fmt.Sprint("value of ", i)}).Name)
		}
		rounds := 1
		if os.Getenv("LATERNA_SOAK") != "" {
			rounds = 3
		}
		for range rounds {
			var made []*corev1.Pod
			var want strings.Builder
			for range pods {
				want.Reset()
				pod := shell(s.name("racey"), "for i in `seq 0 49`; do cat /etc/config-$i/data-1 && echo; done")
				for i, object := range objects {
					mount(pod, fmt.Sprintf("/etc/config-%d", i), configMapFiles.source(object, files{items: []corev1.KeyToPath{{Key: "data-1", Path: "data-1"}}}))
					fmt.Fprintln(&want, "value of", i)
				}
				made = append(made, s.create(t, pod))
			}
			for _, pod := range made {
				if got := s.outputOf(t, pod); got != want.String() {
					t.Errorf("pod %s prints\n%s", pod.Name, got)
				}
			}
		}
	})
}
