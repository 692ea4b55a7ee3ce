package compat

import (
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// expanding returns a pod that mounts an emptyDir whole at /volume_mount and a part of
// it, named by an expression, at /subpath_mount. POD_NAME is a variable of the pod,
// ANNOTATION shows the pod's annotation "mysubpath".
func expanding(name, line, expression string, podName string) *corev1.Pod {
	pod := shell(name, line)
	mount(pod, "/volume_mount", emptyDir(corev1.StorageMediumDefault))
	c := &pod.Spec.Containers[0]
	c.VolumeMounts = append(c.VolumeMounts, corev1.VolumeMount{Name: c.VolumeMounts[0].Name, MountPath: "/subpath_mount", SubPathExpr: expression})
	c.Env = []corev1.EnvVar{{Name: "POD_NAME", Value: podName}, fieldEnv("ANNOTATION", "metadata.annotations['mysubpath']")}
	return pod
}

// waitsForConfig says that a pod's container cannot be configured.
func waitsForConfig(p *corev1.Pod) bool {
	statuses := p.Status.ContainerStatuses
	return len(statuses) == 1 && statuses[0].State.Waiting != nil && statuses[0].State.Waiting.Reason == "CreateContainerConfigError"
}

func TestConformanceVariableExpansion(t *testing.T) {
	s := newStage(t)
	s.conforms(t, "[sig-node] Variable Expansion should allow substituting values in a volume subpath", func(t *testing.T) {
		name := s.name("pod")
		pod := expanding(name, "test -d /volume_mount/"+name+"; echo $?", "$(POD_NAME)", name)
		if got := s.output(t, pod); got != "0\n" {
			t.Errorf("the pod prints %q, want 0", got)
		}
	})

	for _, tc := range []struct{ behaviour, value, message string }{
		{behaviour: "[sig-node] Variable Expansion should fail substituting values in a volume subpath with absolute path", value: "/tmp",
			message: "error SubPath `/tmp` must not be an absolute path"},
		{behaviour: "[sig-node] Variable Expansion should fail substituting values in a volume subpath with backticks", value: "..",
			message: "unable to provision SubPath `..`: must not contain '..'"},
	} {
		s.conforms(t, tc.behaviour, func(t *testing.T) {
			pod := s.create(t, expanding(s.name("pod"), forever, "$(POD_NAME)", tc.value))
			pod = s.await(t, pod, "to fail", waitsForConfig)
			if got := pod.Status.ContainerStatuses[0].State.Waiting.Message; got != tc.message {
				t.Errorf("the message is %q, want %q", got, tc.message)
			}
		})
	}

	annotate := func(t *testing.T, pod *corev1.Pod, value string) {
		t.Helper()
		patch := []byte(`{"metadata":{"annotations":{"mysubpath":"` + value + `"}}}`)
		if _, err := s.client.CoreV1().Pods(s.ns).Patch(t.Context(), pod.Name, types.StrategicMergePatchType, patch, metav1.PatchOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	s.conforms(t, "[sig-node] Variable Expansion should verify that a failing subpath expansion can be modified during the lifecycle of a container", func(t *testing.T) {
		pod := expanding(s.name("pod"), forever, "$(ANNOTATION)/$(POD_NAME)", "foo")
		pod.Annotations = map[string]string{"notmysubpath": "mypath"}
		pod = s.await(t, s.create(t, pod), "to fail", waitsForConfig)
		annotate(t, pod, "mypath")
		pod = s.await(t, pod, "to run", isRunning)
		if out, err := s.inside(t, pod, "test -d /volume_mount/mypath/foo"); err != nil {
			t.Errorf("the part of the volume is missing: %v %s", err, out)
		}
		s.ends(t, pod)
	})
	s.conforms(t, "[sig-node] Variable Expansion should succeed in writing subpaths in container", func(t *testing.T) {
		pod := expanding(s.name("pod"), forever, "$(ANNOTATION)/$(POD_NAME)", "foo")
		pod.Annotations = map[string]string{"mysubpath": "mypath"}
		pod = s.runs(t, pod)
		if out, err := s.inside(t, pod, "touch /volume_mount/mypath/foo/test.log && test -f /subpath_mount/test.log"); err != nil {
			t.Errorf("writing through the volume and reading through the part: %v %s", err, out)
		}
		annotate(t, pod, "mynewpath")
		s.until(t, pod, "test -f /subpath_mount/test.log")
		now, err := s.client.CoreV1().Pods(s.ns).Get(t.Context(), pod.Name, metav1.GetOptions{})
		if err != nil || !isRunning(now) || now.Status.ContainerStatuses[0].RestartCount != 0 {
			t.Errorf("after the change of the annotation: %+v, %v", now.Status, err)
		}
		s.ends(t, pod)
	})
}

// ends deletes a pod as users do and waits until it is gone.
func (s *stage) ends(t *testing.T, pod *corev1.Pod) {
	t.Helper()
	s.sh(t, "kubectl delete pod --timeout=40s -n "+s.ns+" "+pod.Name)
}

func TestConformanceSubpaths(t *testing.T) {
	s := newStage(t)
	secret, configMap := s.secret(t, map[string]string{"secret-key": "secret-value"}), s.configMap(t, map[string]string{"configmap-key": "configmap-value"})
	const ownName = "$(name)"
	nested := []corev1.KeyToPath{{Key: "configmap-key", Path: "projected/configmap-key"}}
	for _, tc := range []struct {
		behaviour           string
		source              corev1.VolumeSource
		subPath, path, want string
	}{
		{behaviour: "[sig-storage] Subpath Atomic writer volumes should support subpaths with configmap pod",
			source: configMapFiles.source(configMap.Name, files{}), subPath: "configmap-key", path: "/test-volume", want: "configmap-value"},
		{behaviour: "[sig-storage] Subpath Atomic writer volumes should support subpaths with configmap pod with mountPath of existing file",
			source: configMapFiles.source(configMap.Name, files{}), subPath: "configmap-key", path: "/etc/resolv.conf", want: "configmap-value"},
		{behaviour: "[sig-storage] Subpath Atomic writer volumes should support subpaths with downward pod",
			source: corev1.VolumeSource{DownwardAPI: &corev1.DownwardAPIVolumeSource{
				Items: []corev1.DownwardAPIVolumeFile{podField("downward/podname", "metadata.name")}}},
			subPath: "downward/podname", path: "/test-volume", want: ownName},
		{behaviour: "[sig-storage] Subpath Atomic writer volumes should support subpaths with projected pod",
			source: projectedConfigMapFiles.source(configMap.Name, files{items: nested}), subPath: "projected/configmap-key", path: "/test-volume", want: "configmap-value"},
		{behaviour: "[sig-storage] Subpath Atomic writer volumes should support subpaths with secret pod",
			source: secretFiles.source(secret.Name, files{}), subPath: "secret-key", path: "/test-volume", want: "secret-value"},
	} {
		s.conforms(t, tc.behaviour, func(t *testing.T) {
			pod := shell(s.name("pod"), "cat "+tc.path)
			mount(pod, tc.path, tc.source)
			pod.Spec.Containers[0].VolumeMounts[0].SubPath = tc.subPath
			if got, want := s.output(t, pod), strings.Replace(tc.want, ownName, pod.Name, 1); got != want {
				t.Errorf("the pod prints %q, want %q", got, want)
			}
			s.ends(t, pod)
		})
	}
}
