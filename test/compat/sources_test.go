package compat

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// failedMounts returns what the Events say of why a pod's volumes cannot be made.
func (s *stage) failedMounts(t *testing.T, pod *corev1.Pod) (said []string) {
	t.Helper()
	events, err := s.client.CoreV1().Events(s.ns).List(t.Context(), metav1.ListOptions{FieldSelector: "involvedObject.name=" + pod.Name + ",reason=FailedMount,type=Warning"})
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range events.Items {
		said = append(said, e.Message)
	}
	return said
}

// waits waits for the Event that says why a pod's first volume cannot be made, and
// checks that the pod is pending.
func (s *stage) waits(t *testing.T, pod *corev1.Pod, why string) {
	t.Helper()
	want := `MountVolume.SetUp failed for volume "` + pod.Spec.Volumes[0].Name + `" : ` + why
	eventually(t, 20*time.Second, func() error {
		said := s.failedMounts(t, pod)
		if !slices.Contains(said, want) {
			return fmt.Errorf("events FailedMount say %q, want %q", said, want)
		}
		return nil
	})
	now, err := s.client.CoreV1().Pods(s.ns).Get(t.Context(), pod.Name, metav1.GetOptions{})
	if err != nil || now.Status.Phase != corev1.PodPending {
		t.Errorf("the pod is %s, %v", now.Status.Phase, err)
	}
}

// appears gives a waiting pod its source and prints how long it takes to run.
func (s *stage) appears(t *testing.T, pod *corev1.Pod, k kind, object string, data map[string]string) {
	t.Helper()
	start := time.Now()
	s.write(t, k, object, data)
	s.await(t, pod, "to run", isRunning)
	t.Logf("from the write of the source to Running: %s", time.Since(start).Round(time.Millisecond))
}

func TestP7MissingSources(t *testing.T) {
	s := newStage(t)
	for _, tc := range []struct {
		name            string
		kind            kind
		object, another string // what the Events say of a missing object and of a missing key
	}{
		{"secret", secretFiles, `secret "%s" not found`, "references non-existent secret key: data-1"},
		{"configMap", configMapFiles, `configmap "%s" not found`, "configmap references non-existent config key: data-1"},
		{"projected secret", projectedSecretFiles, `secret "%s" not found`, "references non-existent secret key: data-1"},
		{"projected configMap", projectedConfigMapFiles, `configmap "%s" not found`, "configmap references non-existent config key: data-1"},
	} {
		s.conforms(t, tc.name+" that is missing", func(t *testing.T) {
			object := s.name("missing")
			pod := shell(s.name("pod"), forever)
			mount(pod, "/etc/volume", tc.kind.source(object, files{}))
			pod = s.create(t, pod)
			s.waits(t, pod, fmt.Sprintf(tc.object, object))
			s.appears(t, pod, tc.kind, object, threeValues())
			s.until(t, pod, `[ "$(cat /etc/volume/data-1)" = value-1 ]`)
		})
		s.conforms(t, tc.name+" whose key is missing", func(t *testing.T) {
			object := s.object(t, tc.kind, map[string]string{"data-2": "value-2"})
			pod := shell(s.name("pod"), forever)
			mount(pod, "/etc/volume", tc.kind.source(object, files{items: []corev1.KeyToPath{{Key: "data-1", Path: "one"}}}))
			pod = s.create(t, pod)
			s.waits(t, pod, tc.another)
			s.appears(t, pod, tc.kind, object, threeValues())
			s.until(t, pod, `[ "$(cat /etc/volume/one)" = value-1 ]`)
		})
		s.conforms(t, tc.name+" that is optional", func(t *testing.T) {
			object := s.name("optional")
			pod := shell(s.name("pod"), forever)
			mount(pod, "/etc/volume", tc.kind.source(object, files{optional: new(true)}))
			pod = s.runs(t, pod)
			if out, err := s.inside(t, pod, "ls /etc/volume"); err != nil || out != "" {
				t.Errorf("the volume holds %q, %v", out, err)
			}
			s.write(t, tc.kind, object, threeValues())
			s.until(t, pod, `[ "$(cat /etc/volume/data-1)" = value-1 ]`)
		})
		s.conforms(t, tc.name+" whose key is optional", func(t *testing.T) {
			object := s.object(t, tc.kind, threeValues())
			items := []corev1.KeyToPath{{Key: "none", Path: "none"}, {Key: "data-1", Path: "one"}}
			pod := shell(s.name("pod"), "ls /etc/volume")
			mount(pod, "/etc/volume", tc.kind.source(object, files{items: items, optional: new(true)}))
			if got := s.output(t, pod); got != "one\n" {
				t.Errorf("the volume holds %q", got)
			}
		})
	}

	s.conforms(t, "several sources that are missing", func(t *testing.T) {
		pod := shell(s.name("pod"), forever)
		volume := projectedSecretFiles.source("first", files{})
		volume.Projected.Sources = append(volume.Projected.Sources, projectedConfigMapFiles.source("second", files{}).Projected.Sources...)
		mount(pod, "/etc/volume", volume)
		pod = s.create(t, pod)
		s.waits(t, pod, `[secret "first" not found, configmap "second" not found]`)
		s.write(t, secretFiles, "first", map[string]string{"one": "1"})
		s.waits(t, pod, `configmap "second" not found`)
		s.appears(t, pod, configMapFiles, "second", map[string]string{"two": "2"})
		s.until(t, pod, `[ "$(cat /etc/volume/one /etc/volume/two)" = 12 ]`)
	})
}

func TestP7NoSourceOfAnotherNamespace(t *testing.T) {
	s := newStage(t)
	other := &stage{system: s.system, ns: s.ns + "-other", client: s.client}
	s.sh(t, "kubectl create namespace "+other.ns)
	t.Cleanup(func() { s.sh(t, "kubectl delete namespace --wait=false "+other.ns) })
	for _, tc := range []struct {
		kind              kind
		missing, resource string
	}{
		{secretFiles, `secret "foreign" not found`, "secrets"},
		{configMapFiles, `configmap "foreign" not found`, "configmaps"},
		{projectedSecretFiles, `secret "foreign" not found`, "secrets"},
		{projectedConfigMapFiles, `configmap "foreign" not found`, "configmaps"},
	} {
		const object = "foreign"
		other.write(t, tc.kind, object, threeValues())
		pod := shell(s.name("pod"), forever)
		mount(pod, "/etc/volume", tc.kind.source(object, files{}))
		s.waits(t, s.create(t, pod), tc.missing)

		// There is no way to name another namespace either.
		slash := shell(s.name("pod"), "ls /etc/volume")
		mount(slash, "/etc/volume", tc.kind.source(other.ns+"/"+object, files{optional: new(true)}))
		slash = s.create(t, slash)
		eventually(t, 20*time.Second, func() error {
			if said := strings.Join(s.failedMounts(t, slash), "\n"); !strings.Contains(said, tc.resource+` is forbidden: User "system:node:`) {
				return fmt.Errorf("a name with a slash: events FailedMount say %q", said)
			}
			return nil
		})
	}
	withNamespace := "apiVersion: v1\nkind: Pod\nmetadata: {name: x}\nspec:\n  containers: [{name: c, image: 'busybox:1.28'}]\n  volumes: [{name: v, secret: {secretName: foreign, namespace: " + other.ns + "}}]\n"
	contains(t, s.refused(t, s.ns, withNamespace), `unknown field "spec.volumes[0].secret.namespace"`)
}

// projectedOf is the YAML of a pod's only volume with sources.
func projectedOf(sources ...string) string {
	return "projected: {sources: [" + strings.Join(sources, ", ") + "]}"
}

func TestP7RefusedSources(t *testing.T) {
	s := newStage(t)
	const field = "spec.volumes[0]"
	item := func(kind, path string) string {
		return "{" + kind + ": {name: a, items: [{key: k, path: " + path + "}]}}"
	}
	for _, tc := range []struct{ name, volume, want string }{
		{"the same path twice in one source", projectedOf("{secret: {name: a, items: [{key: k, path: p}, {key: l, path: p}]}}"),
			field + `.projected: Invalid value: "a": conflicting duplicate paths`},
		{"the same path in two sources", projectedOf(item("secret", "p"), "{configMap: {name: b, items: [{key: k, path: p}]}}"),
			field + `.projected: Invalid value: "b": conflicting duplicate paths`},
		{"the same path of an object and of the pod", projectedOf(item("secret", "p"), "{downwardAPI: {items: [{path: p, fieldRef: {fieldPath: metadata.name}}]}}"),
			field + `.projected: Invalid value: "p": conflicting duplicate paths`},
		{"an absolute path", projectedOf(item("configMap", "/etc/passwd")),
			field + `.projected.sources[0].configMap.items[0].path: Invalid value: "/etc/passwd": must be a relative path`},
		{"a path with ..", projectedOf(item("secret", "a/../../b")),
			field + `.projected.sources[0].secret.items[0].path: Invalid value: "a/../../b": must not contain '..'`},
		{"a path that starts with ..", projectedOf(item("secret", "..data")),
			field + `.projected.sources[0].secret.items[0].path: Invalid value: "..data": must not start with '..'`},
		{"no path", projectedOf("{secret: {name: a, items: [{key: k}]}}"),
			field + `.projected.sources[0].secret.items[0].path: Required value`},
		{"no key", projectedOf("{configMap: {name: a, items: [{path: p}]}}"),
			field + `.projected.sources[0].configMap.items[0].key: Required value`},
		{"no name", projectedOf("{configMap: {items: [{key: k, path: p}]}}"),
			field + `.projected.sources[0].configMap.name: Required value`},
		{"two kinds in one source", projectedOf("{secret: {name: a}, configMap: {name: b}}"),
			field + `.projected.sources[0]: Forbidden: may not specify more than 1 volume type per source`},
		{"three kinds in one source", projectedOf("{secret: {name: a}, configMap: {name: b}, serviceAccountToken: {path: t}}"),
			field + `.projected.sources[0]: Forbidden: may not specify more than 1 volume type per source`},
		{"a token with an absolute path", projectedOf("{serviceAccountToken: {path: /token}}"),
			field + `.projected.path: Invalid value: "/token": must be a relative path`},
		{"a token with ..", projectedOf("{serviceAccountToken: {path: ../token}}"),
			field + `.projected.path: Invalid value: "../token": must not contain '..'`},
		{"a token without a path", projectedOf("{serviceAccountToken: {}}"),
			field + `.projected.path: Required value`},
		{"a field of the pod with an absolute path", projectedOf("{downwardAPI: {items: [{path: /n, fieldRef: {fieldPath: metadata.name}}]}}"),
			field + `.projected.sources[0].downwardAPI.path: Invalid value: "/n": must be a relative path`},
		{"a mode over 0777", projectedOf("{secret: {name: a, items: [{key: k, path: p, mode: 01000}]}}"),
			field + `.projected.sources[0].secret.items[0].mode: Invalid value: 512: must be a number between 0 and 0777 (octal), both inclusive`},
		{"secret: an absolute path", "secret: {secretName: a, items: [{key: k, path: /p}]}",
			field + `.secret.items[0].path: Invalid value: "/p": must be a relative path`},
		{"secret: no name", "secret: {items: [{key: k, path: p}]}",
			field + `.secret.secretName: Required value`},
		{"configMap: a path with ..", "configMap: {name: a, items: [{key: k, path: p/..}]}",
			field + `.configMap.items[0].path: Invalid value: "p/..": must not contain '..'`},
		{"configMap: no name", "configMap: {items: [{key: k, path: p}]}",
			field + `.configMap.name: Required value`},
		{"two kinds in one volume", "{secret: {secretName: a}, configMap: {name: b}}",
			field + `.configMap: Forbidden: may not specify more than 1 volume type`},
	} {
		s.conforms(t, tc.name, func(t *testing.T) {
			volume := strings.TrimSuffix(strings.TrimPrefix(tc.volume, "{"), "}")
			if !strings.HasPrefix(tc.volume, "{") {
				volume = tc.volume
			}
			pod := "apiVersion: v1\nkind: Pod\nmetadata: {name: refused}\nspec:\n  containers: [{name: c, image: 'busybox:1.28', volumeMounts: [{name: v, mountPath: /v}]}]\n  volumes: [{name: v, " + volume + "}]\n"
			said := s.refused(t, s.ns, pod)
			lines := strings.Split(strings.TrimPrefix(strings.TrimSpace(said), `The Pod "refused" is invalid: `), "\n")
			for i := range lines {
				lines[i] = strings.TrimPrefix(lines[i], "* ")
			}
			if !slices.Contains(lines, tc.want) {
				t.Errorf("refused with\n%s\nwant\n%s", said, tc.want)
			}
		})
	}
}
