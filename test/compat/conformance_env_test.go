package compat

import (
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// fromObject is envFrom with an object of a kind.
func fromObject(k kind, object, prefix string) corev1.EnvFromSource {
	name := corev1.LocalObjectReference{Name: object}
	if k == configMapFiles {
		return corev1.EnvFromSource{Prefix: prefix, ConfigMapRef: &corev1.ConfigMapEnvSource{LocalObjectReference: name}}
	}
	return corev1.EnvFromSource{Prefix: prefix, SecretRef: &corev1.SecretEnvSource{LocalObjectReference: name}}
}

// keyEnv is a variable with one key of an object.
func keyEnv(k kind, object, key string) *corev1.EnvVarSource {
	name := corev1.LocalObjectReference{Name: object}
	if k == configMapFiles {
		return &corev1.EnvVarSource{ConfigMapKeyRef: &corev1.ConfigMapKeySelector{LocalObjectReference: name, Key: key}}
	}
	return &corev1.EnvVarSource{SecretKeyRef: &corev1.SecretKeySelector{LocalObjectReference: name, Key: key}}
}

func TestConformanceEnvironmentOfObjects(t *testing.T) {
	s := newStage(t)
	for _, tc := range []struct {
		behaviour string
		kind      kind
		prefixes  []string
	}{
		{behaviour: "[sig-node] ConfigMap should be consumable via environment variable", kind: configMapFiles},
		{behaviour: "[sig-node] ConfigMap should be consumable via the environment", kind: configMapFiles, prefixes: []string{"", "p-"}},
		{behaviour: "[sig-node] ConfigMap should be consumable as environment variable names with various prefixes", kind: configMapFiles,
			prefixes: []string{"", "1-", "$_-", "ABC_", "#@!"}},
		{behaviour: "[sig-node] Secrets should be consumable from pods in env vars", kind: secretFiles},
		{behaviour: "[sig-node] Secrets should be consumable via the environment", kind: secretFiles, prefixes: []string{"", "p-"}},
		{behaviour: "[sig-node] Secrets should be consumable as environment variable names variable names with various prefixes", kind: secretFiles,
			prefixes: []string{"", "1-", "$_-", "ABC_", "#@!"}},
	} {
		s.conforms(t, tc.behaviour, func(t *testing.T) {
			object := s.object(t, tc.kind, threeValues())
			pod := shell(s.name("pod"), "")
			pod.Spec.Containers[0].Command = []string{"env"} // a shell may drop names that it cannot use
			var want []string
			for _, prefix := range tc.prefixes {
				pod.Spec.Containers[0].EnvFrom = append(pod.Spec.Containers[0].EnvFrom, fromObject(tc.kind, object, prefix))
				want = append(want, prefix+"data-1=value-1", prefix+"data-2=value-2", prefix+"data-3=value-3")
			}
			if tc.prefixes == nil {
				pod.Spec.Containers[0].Env = []corev1.EnvVar{{Name: "OWN_NAME", ValueFrom: keyEnv(tc.kind, object, "data-1")}}
				want = []string{"OWN_NAME=value-1"}
			}
			var got []string
			for line := range strings.Lines(s.output(t, pod)) {
				if line = strings.TrimSuffix(line, "\n"); strings.Contains(line, "=value-") {
					got = append(got, line)
				}
			}
			slices.Sort(got)
			slices.Sort(want)
			if !slices.Equal(got, want) {
				t.Errorf("the environment has\n%q\nwant\n%q", got, want)
			}
		})
	}
}

func TestConformanceConfigMapObjects(t *testing.T) {
	s := newStage(t)
	maps := s.client.CoreV1().ConfigMaps(s.ns)
	s.conforms(t, "[sig-node] ConfigMap should fail to create ConfigMap with empty key", func(t *testing.T) {
		_, err := maps.Create(t.Context(), &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "empty-key"}, Data: map[string]string{"": "value-1"}}, metav1.CreateOptions{})
		if !apierrors.IsInvalid(err) {
			t.Fatalf("creating: %v, want it to be invalid", err)
		}
		contains(t, err.Error(), "data[]: Invalid value")
	})

	s.conforms(t, "[sig-node] ConfigMap should update ConfigMap successfully", func(t *testing.T) {
		object := s.configMap(t, threeValues())
		object.Data = map[string]string{"data": "value"}
		if _, err := maps.Update(t.Context(), object, metav1.UpdateOptions{}); err != nil {
			t.Fatal(err)
		}
		got, err := maps.Get(t.Context(), object.Name, metav1.GetOptions{})
		if err != nil || len(got.Data) != 1 || got.Data["data"] != "value" {
			t.Errorf("holds %q, %v", got.Data, err)
		}
	})

	s.conforms(t, "[sig-node] ConfigMap should run through a ConfigMap lifecycle", func(t *testing.T) {
		made, err := maps.Create(t.Context(), &corev1.ConfigMap{
			ObjectMeta: metav1.ObjectMeta{Name: "lifecycle", Labels: map[string]string{"test-configmap-static": "true"}},
			Data:       map[string]string{"valueName": "value"},
		}, metav1.CreateOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if got, err := maps.Get(t.Context(), made.Name, metav1.GetOptions{}); err != nil || got.Data["valueName"] != "value" || got.Labels["test-configmap-static"] != "true" {
			t.Errorf("after creating: %+v, %v", got, err)
		}
		patch := []byte(`{"metadata":{"labels":{"test-configmap":"patched"}},"data":{"valueName":"value1"}}`)
		if _, err := maps.Patch(t.Context(), made.Name, types.StrategicMergePatchType, patch, metav1.PatchOptions{}); err != nil {
			t.Fatal(err)
		}
		everywhere, err := s.client.CoreV1().ConfigMaps("").List(t.Context(), metav1.ListOptions{LabelSelector: "test-configmap=patched"})
		if err != nil || len(everywhere.Items) != 1 || everywhere.Items[0].UID != made.UID ||
			everywhere.Items[0].Labels["test-configmap-static"] != "true" || everywhere.Items[0].Data["valueName"] != "value1" {
			t.Errorf("by its new label in all namespaces: %+v, %v", everywhere.Items, err)
		}
		static := metav1.ListOptions{LabelSelector: "test-configmap-static=true"}
		if err := maps.DeleteCollection(t.Context(), metav1.DeleteOptions{}, static); err != nil {
			t.Fatal(err)
		}
		if left, err := maps.List(t.Context(), static); err != nil || len(left.Items) != 0 {
			t.Errorf("after deleting the collection: %d left, %v", len(left.Items), err)
		}
	})
}

func TestConformanceSecretObjects(t *testing.T) {
	s := newStage(t)
	secrets := s.client.CoreV1().Secrets(s.ns)
	s.conforms(t, "[sig-node] Secrets should fail to create secret due to empty secret key", func(t *testing.T) {
		_, err := secrets.Create(t.Context(), &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: "empty-key"}, Data: map[string][]byte{"": []byte("value-1\n")}}, metav1.CreateOptions{})
		if !apierrors.IsInvalid(err) {
			t.Fatalf("creating: %v, want it to be invalid", err)
		}
		contains(t, err.Error(), "data[]: Invalid value")
		if strings.Contains(err.Error(), "value-1") {
			t.Errorf("the refusal shows the secret: %v", err)
		}
	})

	s.conforms(t, "[sig-node] Secrets should patch a secret", func(t *testing.T) {
		made, err := secrets.Create(t.Context(), &corev1.Secret{
			ObjectMeta: metav1.ObjectMeta{Name: "patched", Labels: map[string]string{"testsecret-constant": "true"}},
			Data:       map[string][]byte{"key": []byte("value")}, Type: corev1.SecretTypeOpaque,
		}, metav1.CreateOptions{})
		if err != nil {
			t.Fatal(err)
		}
		everywhere := func() int {
			list, err := s.client.CoreV1().Secrets("").List(t.Context(), metav1.ListOptions{LabelSelector: "testsecret-constant=true"})
			if err != nil {
				t.Fatal(err)
			}
			return len(list.Items)
		}
		if n := everywhere(); n != 1 {
			t.Errorf("%d secrets of that label, want 1", n)
		}
		patch := []byte(`{"metadata":{"labels":{"testsecret":"true"}},"data":{"key":"dmFsdWUx"}}`)
		if _, err := secrets.Patch(t.Context(), made.Name, types.StrategicMergePatchType, patch, metav1.PatchOptions{}); err != nil {
			t.Fatal(err)
		}
		if got, err := secrets.Get(t.Context(), made.Name, metav1.GetOptions{}); err != nil || string(got.Data["key"]) != "value1" || got.Labels["testsecret"] != "true" {
			t.Errorf("after the patch: labels %q, %d bytes, %v", got.Labels, len(got.Data["key"]), err)
		}
		if err := secrets.DeleteCollection(t.Context(), metav1.DeleteOptions{}, metav1.ListOptions{LabelSelector: "testsecret=true"}); err != nil {
			t.Fatal(err)
		}
		if n := everywhere(); n != 0 {
			t.Errorf("%d secrets are left", n)
		}
	})
}
