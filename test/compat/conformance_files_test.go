package compat

import (
	"fmt"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// kind is one of the four ways in which an object of the namespace becomes files.
type kind int

const (
	configMapFiles kind = iota
	secretFiles
	projectedConfigMapFiles
	projectedSecretFiles
)

// files says how an object is shown.
type files struct {
	items       []corev1.KeyToPath
	defaultMode *int32
	optional    *bool
}

// source returns the volume that shows an object.
func (k kind) source(object string, f files) corev1.VolumeSource {
	name := corev1.LocalObjectReference{Name: object}
	projected := func(p corev1.VolumeProjection) corev1.VolumeSource {
		return corev1.VolumeSource{Projected: &corev1.ProjectedVolumeSource{Sources: []corev1.VolumeProjection{p}, DefaultMode: f.defaultMode}}
	}
	switch k {
	case configMapFiles:
		return corev1.VolumeSource{ConfigMap: &corev1.ConfigMapVolumeSource{
			LocalObjectReference: name, Items: f.items, DefaultMode: f.defaultMode, Optional: f.optional}}
	case secretFiles:
		return corev1.VolumeSource{Secret: &corev1.SecretVolumeSource{
			SecretName: object, Items: f.items, DefaultMode: f.defaultMode, Optional: f.optional}}
	case projectedConfigMapFiles:
		return projected(corev1.VolumeProjection{ConfigMap: &corev1.ConfigMapProjection{
			LocalObjectReference: name, Items: f.items, Optional: f.optional}})
	default:
		return projected(corev1.VolumeProjection{Secret: &corev1.SecretProjection{
			LocalObjectReference: name, Items: f.items, Optional: f.optional}})
	}
}

// object creates an object that volumes of the kind show.
func (s *stage) object(t testing.TB, k kind, data map[string]string) (name string) {
	t.Helper()
	if k == configMapFiles || k == projectedConfigMapFiles {
		return s.configMap(t, data).Name
	}
	return s.secret(t, data).Name
}

// look is a line of shell that prints a file's mode, owner and content.
func look(path string) string { return "stat -L -c '%A %u:%g' " + path + " && cat " + path }

// mapped is what the behaviours "with mappings" ask for.
func mapped(mode *int32) []corev1.KeyToPath {
	return []corev1.KeyToPath{{Key: "data-2", Path: "path/to/data-2", Mode: mode}}
}

func TestConformanceFilesOfObjects(t *testing.T) {
	s := newStage(t)
	mode0400, mode0440 := new(int32(0o400)), new(int32(0o440))
	nonRoot := &corev1.PodSecurityContext{RunAsUser: new(int64(1000))}
	nonRootInGroup := &corev1.PodSecurityContext{RunAsUser: new(int64(1000)), FSGroup: new(int64(1001))}
	const plain, readable, private = "-rw-r--r-- 0:0", "-r--r----- 0:1001", "-r-------- 0:0"
	for _, tc := range []struct {
		behaviour string
		kind      kind
		files     files
		user      *corev1.PodSecurityContext
		want      string
	}{
		{behaviour: "[sig-storage] ConfigMap should be consumable from pods in volume",
			kind: configMapFiles, want: plain},
		{behaviour: "[sig-storage] ConfigMap should be consumable from pods in volume as non-root",
			kind: configMapFiles, user: nonRoot, want: plain},
		{behaviour: "[sig-storage] ConfigMap should be consumable from pods in volume with defaultMode set",
			kind: configMapFiles, files: files{defaultMode: mode0400}, want: private},
		{behaviour: "[sig-storage] ConfigMap should be consumable from pods in volume with mappings",
			kind: configMapFiles, files: files{items: mapped(nil)}, want: plain},
		{behaviour: "[sig-storage] ConfigMap should be consumable from pods in volume with mappings and Item mode set",
			kind: configMapFiles, files: files{items: mapped(mode0400)}, want: private},
		{behaviour: "[sig-storage] ConfigMap should be consumable from pods in volume with mappings as non-root",
			kind: configMapFiles, files: files{items: mapped(nil)}, user: nonRoot, want: plain},

		{behaviour: "[sig-storage] Projected configMap should be consumable from pods in volume",
			kind: projectedConfigMapFiles, want: plain},
		{behaviour: "[sig-storage] Projected configMap should be consumable from pods in volume as non-root",
			kind: projectedConfigMapFiles, user: nonRoot, want: plain},
		{behaviour: "[sig-storage] Projected configMap should be consumable from pods in volume with defaultMode set",
			kind: projectedConfigMapFiles, files: files{defaultMode: mode0400}, want: private},
		{behaviour: "[sig-storage] Projected configMap should be consumable from pods in volume with mappings",
			kind: projectedConfigMapFiles, files: files{items: mapped(nil)}, want: plain},
		{behaviour: "[sig-storage] Projected configMap should be consumable from pods in volume with mappings and Item mode set",
			kind: projectedConfigMapFiles, files: files{items: mapped(mode0400)}, want: private},
		{behaviour: "[sig-storage] Projected configMap should be consumable from pods in volume with mappings as non-root",
			kind: projectedConfigMapFiles, files: files{items: mapped(nil)}, user: nonRoot, want: plain},

		{behaviour: "[sig-storage] Secrets should be consumable from pods in volume",
			kind: secretFiles, want: plain},
		{behaviour: "[sig-storage] Secrets should be consumable from pods in volume as non-root with defaultMode and fsGroup set",
			kind: secretFiles, files: files{defaultMode: mode0440}, user: nonRootInGroup, want: readable},
		{behaviour: "[sig-storage] Secrets should be consumable from pods in volume with defaultMode set",
			kind: secretFiles, files: files{defaultMode: mode0400}, want: private},
		{behaviour: "[sig-storage] Secrets should be consumable from pods in volume with mappings",
			kind: secretFiles, files: files{items: mapped(nil)}, want: plain},
		{behaviour: "[sig-storage] Secrets should be consumable from pods in volume with mappings and Item Mode set",
			kind: secretFiles, files: files{items: mapped(mode0400)}, want: private},

		{behaviour: "[sig-storage] Projected secret should be consumable from pods in volume",
			kind: projectedSecretFiles, want: plain},
		{behaviour: "[sig-storage] Projected secret should be consumable from pods in volume as non-root with defaultMode and fsGroup set",
			kind: projectedSecretFiles, files: files{defaultMode: mode0440}, user: nonRootInGroup, want: readable},
		{behaviour: "[sig-storage] Projected secret should be consumable from pods in volume with defaultMode set",
			kind: projectedSecretFiles, files: files{defaultMode: mode0400}, want: private},
		{behaviour: "[sig-storage] Projected secret should be consumable from pods in volume with mappings",
			kind: projectedSecretFiles, files: files{items: mapped(nil)}, want: plain},
		{behaviour: "[sig-storage] Projected secret should be consumable from pods in volume with mappings and Item Mode set",
			kind: projectedSecretFiles, files: files{items: mapped(mode0400)}, want: private},
	} {
		s.conforms(t, tc.behaviour, func(t *testing.T) {
			path, value, listed := "/etc/volume/data-1", "value-1", "data-1 data-2 data-3"
			if tc.files.items != nil {
				path, value, listed = "/etc/volume/path/to/data-2", "value-2", "path"
			}
			pod := shell(s.name("pod"), look(path)+" && echo && echo `ls /etc/volume`")
			mount(pod, "/etc/volume", tc.kind.source(s.object(t, tc.kind, threeValues()), tc.files))
			pod.Spec.SecurityContext = tc.user
			if got, want := s.output(t, pod), fmt.Sprintf("%s\n%s\n%s\n", tc.want, value, listed); got != want {
				t.Errorf("the pod prints\n%s\nwant\n%s", got, want)
			}
		})
	}
}

func TestConformanceOneObjectInManyVolumes(t *testing.T) {
	s := newStage(t)
	for _, tc := range []struct {
		behaviour string
		kind      kind
	}{
		{behaviour: "[sig-storage] ConfigMap should be consumable in multiple volumes in the same pod", kind: configMapFiles},
		{behaviour: "[sig-storage] Projected configMap should be consumable in multiple volumes in the same pod", kind: projectedConfigMapFiles},
		{behaviour: "[sig-storage] Secrets should be consumable in multiple volumes in a pod", kind: secretFiles},
		{behaviour: "[sig-storage] Projected secret should be consumable in multiple volumes in a pod", kind: projectedSecretFiles},
	} {
		s.conforms(t, tc.behaviour, func(t *testing.T) {
			pod := shell(s.name("pod"), look("/etc/one/data-1")+" && echo && "+look("/etc/two/data-1"))
			object := s.object(t, tc.kind, threeValues())
			mount(pod, "/etc/one", tc.kind.source(object, files{}))
			mount(pod, "/etc/two", tc.kind.source(object, files{}))
			if got, want := s.output(t, pod), "-rw-r--r-- 0:0\nvalue-1\n-rw-r--r-- 0:0\nvalue-1"; got != want {
				t.Errorf("the pod prints\n%s\nwant\n%s", got, want)
			}
		})
	}

	s.conforms(t, "[sig-storage] Secrets should be able to mount in a volume regardless of a different secret existing with same name in different namespace", func(t *testing.T) {
		own := s.secret(t, threeValues())
		other := &stage{system: s.system, ns: s.ns + "-other", client: s.client}
		s.sh(t, "kubectl create namespace "+other.ns)
		t.Cleanup(func() { s.sh(t, "kubectl delete namespace --wait=false "+other.ns) })
		foreign := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: own.Name}, StringData: map[string]string{"foreign": "value"}}
		if _, err := s.client.CoreV1().Secrets(other.ns).Create(t.Context(), foreign, metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
		pod := shell(s.name("pod"), look("/etc/volume/data-1")+" && echo && echo `ls /etc/volume`")
		mount(pod, "/etc/volume", secretFiles.source(own.Name, files{}))
		if got, want := s.output(t, pod), "-rw-r--r-- 0:0\nvalue-1\ndata-1 data-2 data-3\n"; got != want {
			t.Errorf("the pod prints\n%s\nwant\n%s", got, want)
		}
	})

	s.conforms(t, "[sig-storage] Projected combined should project all components that make up the projection API", func(t *testing.T) {
		configMap, secret := s.configMap(t, map[string]string{"configmap-data": "configmap-value-1"}), s.secret(t, map[string]string{"secret-data": "secret-value-1"})
		pod := shell(s.name("pod"), "cat /all/podname /all/secret-data /all/configmap-data")
		mount(pod, "/all", corev1.VolumeSource{Projected: &corev1.ProjectedVolumeSource{Sources: []corev1.VolumeProjection{
			{DownwardAPI: &corev1.DownwardAPIProjection{Items: []corev1.DownwardAPIVolumeFile{podField("podname", "metadata.name")}}},
			{Secret: &corev1.SecretProjection{LocalObjectReference: corev1.LocalObjectReference{Name: secret.Name}}},
			{ConfigMap: &corev1.ConfigMapProjection{LocalObjectReference: corev1.LocalObjectReference{Name: configMap.Name}}},
		}}})
		if got, want := s.output(t, pod), pod.Name+"secret-value-1configmap-value-1"; got != want {
			t.Errorf("the pod prints %q, want %q", got, want)
		}
	})
}
