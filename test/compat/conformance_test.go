package compat

import (
	"context"
	"fmt"
	"io"
	"strings"
	"sync/atomic"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"
	watchtools "k8s.io/client-go/tools/watch"
)

// stage is where a test tries upstream's conformance behaviours: a namespace of the
// shared system. COVERAGE.md says which behaviour is tried where.
type stage struct {
	*system
	ns     string
	client kubernetes.Interface
	names  atomic.Int32
}

func newStage(t *testing.T) *stage {
	t.Helper()
	t.Parallel()
	return &stage{system: shared, ns: shared.namespace(t), client: shared.client(t)}
}

// conforms runs the check of one behaviour, beside others. What upstream's conformance
// tests check has the name that it has there, without the tags in brackets.
func (s *stage) conforms(t *testing.T, behaviour string, check func(t *testing.T)) {
	t.Helper()
	t.Run(behaviour, func(t *testing.T) {
		t.Parallel()
		check(t)
	})
}

// name returns a name that nothing else in the namespace has.
func (s *stage) name(prefix string) string { return fmt.Sprintf("%s-%d", prefix, s.names.Add(1)) }

// threeValues are the data of upstream's test objects.
func threeValues() map[string]string {
	return map[string]string{"data-1": "value-1", "data-2": "value-2", "data-3": "value-3"}
}

// configMap creates a ConfigMap.
func (s *stage) configMap(t testing.TB, data map[string]string) *corev1.ConfigMap {
	t.Helper()
	made, err := s.client.CoreV1().ConfigMaps(s.ns).Create(t.Context(), &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{Name: s.name("configmap")}, Data: data}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return made
}

// secret creates a Secret.
func (s *stage) secret(t testing.TB, data map[string]string) *corev1.Secret {
	t.Helper()
	made, err := s.client.CoreV1().Secrets(s.ns).Create(t.Context(), &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Name: s.name("secret")}, StringData: data}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return made
}

// shell returns a pod whose container "main" runs a line of shell in busybox, once.
func shell(name, line string) *corev1.Pod {
	now := int64(0)
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: corev1.PodSpec{
			RestartPolicy:                 corev1.RestartPolicyNever,
			TerminationGracePeriodSeconds: &now,
			Containers: []corev1.Container{{
				Name: "main", Image: "busybox:1.28", Command: []string{"sh", "-c", line},
			}},
		},
	}
}

// forever is a line of shell that does not end.
const forever = "sleep 3600"

// mount adds a volume to a pod and mounts it in the first container.
func mount(pod *corev1.Pod, path string, source corev1.VolumeSource) {
	name := fmt.Sprintf("volume-%d", len(pod.Spec.Volumes))
	pod.Spec.Volumes = append(pod.Spec.Volumes, corev1.Volume{Name: name, VolumeSource: source})
	mounts := &pod.Spec.Containers[0].VolumeMounts
	*mounts = append(*mounts, corev1.VolumeMount{Name: name, MountPath: path})
}

// create creates a pod and removes it at the end of the test.
func (s *stage) create(t testing.TB, pod *corev1.Pod) *corev1.Pod {
	t.Helper()
	pods := s.client.CoreV1().Pods(s.ns)
	made, err := pods.Create(t.Context(), pod, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := pods.Delete(context.Background(), made.Name, *metav1.NewDeleteOptions(0)); err != nil && !apierrors.IsNotFound(err) {
			t.Errorf("deleting pod %s: %v", made.Name, err)
		}
	})
	return made
}

// output runs a pod to its end, which must be a success, and returns what its first
// container has printed.
func (s *stage) output(t testing.TB, pod *corev1.Pod) string {
	t.Helper()
	return s.outputOf(t, s.create(t, pod))
}

// outputOf is output for a pod that is there already.
func (s *stage) outputOf(t testing.TB, pod *corev1.Pod) string {
	t.Helper()
	made := s.await(t, pod, "to succeed", func(p *corev1.Pod) bool {
		return p.Status.Phase == corev1.PodSucceeded || p.Status.Phase == corev1.PodFailed
	})
	log := s.log(t, made)
	if made.Status.Phase != corev1.PodSucceeded {
		t.Fatalf("pod %s has failed: %+v\n%s", made.Name, made.Status.ContainerStatuses, log)
	}
	return log
}

// log returns what a pod's first container has printed.
func (s *stage) log(t testing.TB, pod *corev1.Pod) string {
	t.Helper()
	body, err := s.client.CoreV1().Pods(s.ns).GetLogs(pod.Name, &corev1.PodLogOptions{Container: pod.Spec.Containers[0].Name}).Stream(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer body.Close()
	log, err := io.ReadAll(body)
	if err != nil {
		t.Fatal(err)
	}
	return string(log)
}

// runs creates a pod and waits until it runs.
func (s *stage) runs(t testing.TB, pod *corev1.Pod) *corev1.Pod {
	t.Helper()
	return s.await(t, s.create(t, pod), "to run", isRunning)
}

func isRunning(p *corev1.Pod) bool { return p.Status.Phase == corev1.PodRunning }

// await watches a pod until it is as wanted, and fails with its description.
func (s *stage) await(t testing.TB, pod *corev1.Pod, what string, wanted func(*corev1.Pod) bool) *corev1.Pod {
	t.Helper()
	if wanted(pod) {
		return pod
	}
	ctx, cancel := context.WithTimeout(t.Context(), stepTimeout)
	defer cancel()
	one := fields.OneTermEqualSelector("metadata.name", pod.Name)
	pods := cache.NewListWatchFromClient(s.client.CoreV1().RESTClient(), "pods", s.ns, one)
	event, err := watchtools.Until(ctx, pod.ResourceVersion, pods, func(e watch.Event) (bool, error) {
		p, ok := e.Object.(*corev1.Pod)
		if !ok || e.Type == watch.Deleted {
			return false, fmt.Errorf("watching: %s %v", e.Type, e.Object)
		}
		return wanted(p), nil
	})
	if err != nil {
		describe, _ := s.command(t, "kubectl", "describe", "pod", "-n", s.ns, pod.Name).CombinedOutput()
		t.Fatalf("waiting for pod %s %s: %v\n%s", pod.Name, what, err, describe)
	}
	return event.Object.(*corev1.Pod)
}

// until waits inside a pod's first container for a condition of its shell.
func (s *stage) until(t testing.TB, pod *corev1.Pod, condition string) {
	t.Helper()
	line := fmt.Sprintf("timeout 20 sh -c '%s'", strings.ReplaceAll("until "+condition+"; do sleep 0.02; done", "'", `'\''`))
	if out, err := s.inside(t, pod, line); err != nil {
		files, _ := s.inside(t, pod, "grep -r . "+pod.Spec.Containers[0].VolumeMounts[0].MountPath)
		t.Fatalf("in pod %s: %s: %v\n%s\nthe first volume holds\n%s", pod.Name, condition, err, out, files)
	}
}

// inside runs a line of shell in a pod's first container.
func (s *stage) inside(t testing.TB, pod *corev1.Pod, line string) (string, error) {
	t.Helper()
	out, err := s.command(t, "kubectl", "exec", "-n", s.ns, pod.Name, "-c", pod.Spec.Containers[0].Name, "--", "sh", "-c", line).CombinedOutput()
	return string(out), err
}
