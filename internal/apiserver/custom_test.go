package apiserver_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"

	"laterna.dev/laterna/internal/encryption"
)

var (
	definitions = schema.GroupVersionResource{Group: "apiextensions.k8s.io", Version: "v1", Resource: "customresourcedefinitions"}
	widgets     = schema.GroupVersionResource{Group: "shop.example.com", Version: "v1", Resource: "widgets"}
)

// defined is the definition of widgets.
func defined(t *testing.T) *unstructured.Unstructured {
	t.Helper()
	o := &unstructured.Unstructured{}
	must(t, json.Unmarshal([]byte(`{"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": {"name": "widgets.shop.example.com"}, "spec": {
		"group": "shop.example.com", "scope": "Namespaced", "names": {"plural": "widgets", "kind": "Widget"}, "versions": [{"name": "v1", "served": true, "storage": true,
		"schema": {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": true}}}]}}`), &o.Object))
	return o
}

func widget(name string) *unstructured.Unstructured {
	return &unstructured.Unstructured{Object: map[string]any{"apiVersion": "shop.example.com/v1", "kind": "Widget", "metadata": map[string]any{"name": name}, "secret": canary}}
}

func (s *system) defines() dynamic.ResourceInterface {
	s.t.Helper()
	c, err := dynamic.NewForConfig(s.config("admin", "system:masters"))
	must(s.t, err)
	return c.Resource(definitions)
}

// code is what a path is answered with.
func (s *system) code(path string) int {
	s.t.Helper()
	code, _ := s.fetch(s.privileged(), http.MethodGet, path, nil)
	return code
}

// TestCustomResourcesBeginWithTheFirstDefinition makes none that begins nothing, and one
// whose objects are served when it is answered, and after a restart.
func TestCustomResourcesBeginWithTheFirstDefinition(t *testing.T) {
	dir := t.TempDir()
	t.Run("first", func(t *testing.T) {
		s := boot(t, dir)
		const group = "/apis/shop.example.com/v1"
		if code := s.code(group); code != http.StatusNotFound {
			t.Errorf("before: %d", code)
		}
		invalid := defined(t)
		must(t, unstructured.SetNestedField(invalid.Object, "Nowhere", "spec", "scope"))
		if _, err := s.defines().Create(t.Context(), invalid, metav1.CreateOptions{}); !apierrors.IsInvalid(err) {
			t.Errorf("an invalid one: %v", err)
		}
		_, err := s.defines().Create(t.Context(), defined(t), metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
		must(t, err)
		if s.server.ServesCustomResources() {
			t.Error("they are served for nobody")
		}
		// Server-side apply makes objects by another way.
		raw, err := json.Marshal(defined(t))
		must(t, err)
		_, err = s.defines().Patch(t.Context(), "widgets.shop.example.com", types.ApplyPatchType, raw, metav1.PatchOptions{FieldManager: "test"})
		must(t, err)
		if !s.server.ServesCustomResources() {
			t.Error("they are not served when a definition is answered")
		}
		eventually(t, func() error {
			if code := s.code(group); code != http.StatusOK {
				return fmt.Errorf("%s: %d", group, code)
			}
			return nil
		})
		_, err = s.dynamic(widgets, "admin", "system:masters").Create(t.Context(), widget("a"), metav1.CreateOptions{})
		must(t, err)
	})
	t.Run("again", func(t *testing.T) {
		s := boot(t, dir)
		_, err := s.dynamic(widgets, "admin", "system:masters").Get(t.Context(), "a", metav1.GetOptions{})
		must(t, err)
	})
}

// TestCustomResourcesAreStoredAsInKubernetes looks at the keys, and encrypts what a
// provider configuration names, before and behind a restart.
func TestCustomResourcesAreStoredAsInKubernetes(t *testing.T) {
	const key = "/registry/shop.example.com/widgets/default/a"
	dir := t.TempDir()
	stored := func(s *system, key string) []byte {
		t.Helper()
		got, err := s.raw().Get(t.Context(), key)
		must(t, err)
		if len(got.Kvs) != 1 {
			t.Fatalf("nothing is at %s", key)
		}
		return got.Kvs[0].Value
	}
	life(t, dir, "plain", "", func(s *system) {
		_, err := s.defines().Create(t.Context(), defined(t), metav1.CreateOptions{})
		must(t, err)
		eventually(t, func() error {
			_, err := s.dynamic(widgets, "admin", "system:masters").Create(t.Context(), widget("a"), metav1.CreateOptions{})
			return err
		})
		if v := stored(s, key); !bytes.HasPrefix(v, []byte("{")) || !bytes.Contains(v, []byte(canary)) {
			t.Errorf("stored as %.80q", v)
		}
		if v := stored(s, "/registry/apiextensions.k8s.io/customresourcedefinitions/widgets.shop.example.com"); !bytes.HasPrefix(v, []byte("k8s\x00")) {
			t.Errorf("a definition begins %.20q", v)
		}
		all, err := s.raw().Get(t.Context(), "/registry/widgets", clientv3.WithPrefix(), clientv3.WithCountOnly())
		must(t, err)
		if all.Count > 0 {
			t.Errorf("%d are stored where others are", all.Count)
		}
	})
	config := strings.Replace(providers(provider("aescbc", "key1", 32, "c"), "{identity: {}}"), "[secrets]", "[widgets.shop.example.com]", 1)
	life(t, dir, "encrypted", config, func(s *system) {
		// Nobody has asked for a widget.
		encryptionStatus(t, s.admin(), encryption.RewritePath)
		if status := completed(t, s.admin()); status.Stale != 0 {
			t.Errorf("%+v", status)
		}
		if v := stored(s, key); !bytes.HasPrefix(v, []byte("k8s:enc:aescbc:v1:key1:")) {
			t.Errorf("stored as %.80q", v)
		}
		got, err := s.dynamic(widgets, "admin", "system:masters").Get(t.Context(), "a", metav1.GetOptions{})
		must(t, err)
		if got.Object["secret"] != canary {
			t.Errorf("read as %v", got.Object)
		}
	})
}

// TestServersThatShareAStoreServeCustomResources defines on one what the other serves.
func TestServersThatShareAStoreServeCustomResources(t *testing.T) {
	s := boot(t, t.TempDir())
	other := s.beside(t)
	_, err := s.defines().Create(t.Context(), defined(t), metav1.CreateOptions{})
	must(t, err)
	eventually(t, func() error {
		_, err := s.dynamic(widgets, "admin", "system:masters").Create(t.Context(), widget("a"), metav1.CreateOptions{})
		return err
	})
	began := time.Now()
	eventually(t, func() error {
		_, err := other.dynamic(widgets, "admin", "system:masters").Get(t.Context(), "a", metav1.GetOptions{})
		return err
	})
	t.Logf("the other serves it %s later", time.Since(began))
}

// TestDefinitionInAGroupOfTheServer defines more in a group that is served: what is
// served stays, in both forms of discovery and in the documents.
func TestDefinitionInAGroupOfTheServer(t *testing.T) {
	s := boot(t, t.TempDir())
	d := defined(t)
	d.SetName("widgets.projection.laterna.dev")
	must(t, unstructured.SetNestedField(d.Object, "projection.laterna.dev", "spec", "group"))
	must(t, unstructured.SetNestedField(d.Object["spec"].(map[string]any)["versions"].([]any)[0].(map[string]any), "v1alpha1", "name"))
	listed := func() (n int) {
		t.Helper()
		groups, err := s.admin().Discovery().ServerGroups()
		must(t, err)
		for _, g := range groups.Groups {
			if g.Name == "projection.laterna.dev" {
				n += len(g.Versions)
			}
		}
		_, raw := s.fetch(s.privileged(), http.MethodGet, "/apis", nil)
		if !bytes.Contains(raw, []byte(`"projection.laterna.dev/v1alpha1"`)) {
			t.Error("the older list lacks the group")
		}
		if code := s.code("/openapi/v3/apis/projection.laterna.dev/v1alpha1"); code != http.StatusOK {
			t.Errorf("the document: %d", code)
		}
		return n
	}
	before := listed()
	_, err := s.defines().Create(t.Context(), d, metav1.CreateOptions{})
	must(t, err)
	eventually(t, func() error {
		now, err := s.defines().Get(t.Context(), d.GetName(), metav1.GetOptions{})
		if err != nil {
			return err
		}
		if raw, err := json.Marshal(now.Object["status"]); err != nil || !strings.Contains(string(raw), "InitialNamesAccepted") {
			return fmt.Errorf("status %s, %v", raw, err)
		}
		return nil
	})
	if n := listed(); n != before {
		t.Errorf("%d versions are listed, %d before", n, before)
	}
	must(t, s.defines().Delete(t.Context(), d.GetName(), metav1.DeleteOptions{}))
	eventually(t, func() error {
		_, err := s.defines().Get(t.Context(), d.GetName(), metav1.GetOptions{})
		if !apierrors.IsNotFound(err) {
			return fmt.Errorf("it is there: %v", err)
		}
		return nil
	})
	if n := listed(); n != before {
		t.Errorf("%d versions are listed, %d before", n, before)
	}
}

// TestFaultsOfCustomResourcesAreCounted sends objects with more faults than can be listed:
// the library would take minutes for the text.
func TestFaultsOfCustomResourcesAreCounted(t *testing.T) {
	s := boot(t, t.TempDir())
	d := defined(t)
	version := d.Object["spec"].(map[string]any)["versions"].([]any)[0].(map[string]any)
	must(t, unstructured.SetNestedMap(version, map[string]any{"type": "object", "properties": map[string]any{
		"names": map[string]any{"type": "array", "items": map[string]any{"type": "string"}}}}, "schema", "openAPIV3Schema"))
	_, err := s.defines().Create(t.Context(), d, metav1.CreateOptions{})
	must(t, err)
	objects := s.dynamic(widgets, "admin", "system:masters")
	eventually(t, func() error {
		_, err := objects.Create(t.Context(), widget("good"), metav1.CreateOptions{})
		return err
	})
	names, labels := make([]any, 90_000), map[string]any{}
	for i := range names {
		names[i] = int64(i)
	}
	for i := range 5000 {
		labels[fmt.Sprintf("-%d", i)] = "a"
	}
	content, metadata := widget("content"), widget("metadata")
	content.Object["names"] = names
	must(t, unstructured.SetNestedMap(metadata.Object, labels, "metadata", "labels"))
	few := widget("few")
	few.Object["names"] = names[:3]
	for what, tc := range map[string]struct {
		o      *unstructured.Unstructured
		causes int
	}{"content": {content, 101}, "metadata": {metadata, 101}, "few": {few, 3}} {
		began := time.Now()
		_, err := objects.Create(t.Context(), tc.o, metav1.CreateOptions{})
		var status apierrors.APIStatus
		if !errors.As(err, &status) || !apierrors.IsInvalid(err) || len(status.Status().Details.Causes) != tc.causes {
			t.Errorf("%s: %.300v", what, err)
		}
		t.Logf("%s is refused after %s", what, time.Since(began))
	}
	updated, err := objects.Get(t.Context(), "good", metav1.GetOptions{})
	must(t, err)
	updated.Object["names"] = names
	if _, err := objects.Update(t.Context(), updated, metav1.UpdateOptions{}); !apierrors.IsInvalid(err) {
		t.Errorf("an update: %.300v", err)
	}
	for i := range names {
		names[i] = "a"
	}
	_, err = objects.Update(t.Context(), updated, metav1.UpdateOptions{})
	must(t, err) // as many without a fault
}
