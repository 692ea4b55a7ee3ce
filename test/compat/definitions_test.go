package compat

import (
	"context"
	"encoding/json"
	"fmt"
	"testing"
	"time"

	v1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apiextensions-apiserver/pkg/client/clientset/clientset"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"
)

// definer is a system without a node, on which custom resources are defined.
type definer struct {
	*stage
	definitions clientset.Interface
	objects     dynamic.Interface
}

func newDefiner(t *testing.T, flags ...string) *definer {
	t.Helper()
	own := started(t, append(flags, "--node=false")...)
	own.sh(t, "kubectl create namespace desk")
	return definerOf(t, &stage{system: own, ns: "desk", client: own.client(t)})
}

func definerOf(t *testing.T, s *stage) *definer {
	t.Helper()
	d := &definer{stage: s}
	var err error
	if d.definitions, err = clientset.NewForConfig(s.config(t)); err != nil {
		t.Fatal(err)
	}
	if d.objects, err = dynamic.NewForConfig(s.config(t)); err != nil {
		t.Fatal(err)
	}
	return d
}

// loose is a schema that takes everything.
const loose = `{"type": "object", "x-kubernetes-preserve-unknown-fields": true}`

// served is a version that is served, with a schema in JSON.
func served(t testing.TB, name, schema string) v1.CustomResourceDefinitionVersion {
	t.Helper()
	v := v1.CustomResourceDefinitionVersion{Name: name, Served: true, Schema: &v1.CustomResourceValidation{OpenAPIV3Schema: &v1.JSONSchemaProps{}}}
	if err := json.Unmarshal([]byte(schema), v.Schema.OpenAPIV3Schema); err != nil {
		t.Fatalf("%v in %s", err, schema)
	}
	return v
}

// definition is of a namespaced kind with names of its own, whose first version is stored.
func (d *definer) definition(group string, versions ...v1.CustomResourceDefinitionVersion) *v1.CustomResourceDefinition {
	n := d.names.Add(1)
	plural, kind := fmt.Sprintf("things%d", n), fmt.Sprintf("Thing%d", n)
	c := &v1.CustomResourceDefinition{ObjectMeta: metav1.ObjectMeta{Name: plural + "." + group}, Spec: v1.CustomResourceDefinitionSpec{
		Group: group, Scope: v1.NamespaceScoped, Versions: versions,
		Names: v1.CustomResourceDefinitionNames{Plural: plural, Kind: kind},
	}}
	c.Spec.Versions[0].Storage = true
	return c
}

// define makes a definition and waits until its objects are served; it is deleted when the
// test ends.
func (d *definer) define(t testing.TB, c *v1.CustomResourceDefinition) *v1.CustomResourceDefinition {
	t.Helper()
	all := d.definitions.ApiextensionsV1().CustomResourceDefinitions()
	if _, err := all.Create(t.Context(), c, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = all.Delete(context.Background(), c.Name, metav1.DeleteOptions{}) })
	return d.established(t, c.Name)
}

// established waits until the objects of a definition are served.
func (d *definer) established(t testing.TB, name string) (now *v1.CustomResourceDefinition) {
	t.Helper()
	eventually(t, 20*time.Second, func() (err error) {
		if now, err = d.definitions.ApiextensionsV1().CustomResourceDefinitions().Get(t.Context(), name, metav1.GetOptions{}); err != nil {
			return err
		}
		for _, c := range now.Status.Conditions {
			if c.Type == v1.Established && c.Status == v1.ConditionTrue {
				_, err = d.objectsOf(now, now.Spec.Versions[0].Name).List(t.Context(), metav1.ListOptions{})
				return err
			}
		}
		return fmt.Errorf("%s has conditions %+v", name, now.Status.Conditions)
	})
	return now
}

// gone waits until a definition is deleted.
func (d *definer) gone(t testing.TB, name string) {
	t.Helper()
	eventually(t, 20*time.Second, func() error {
		now, err := d.definitions.ApiextensionsV1().CustomResourceDefinitions().Get(context.Background(), name, metav1.GetOptions{})
		if err == nil {
			return fmt.Errorf("%s is there, with conditions %+v", name, now.Status.Conditions)
		}
		return nil
	})
}

// objectsOf are the objects of a definition, in the stage's namespace where it has one.
func (d *definer) objectsOf(c *v1.CustomResourceDefinition, version string) dynamic.ResourceInterface {
	all := d.objects.Resource(schema.GroupVersionResource{Group: c.Spec.Group, Version: version, Resource: c.Spec.Names.Plural})
	if c.Spec.Scope == v1.NamespaceScoped {
		return all.Namespace(d.ns)
	}
	return all
}

// object is one of a definition, with fields in JSON.
func object(t testing.TB, c *v1.CustomResourceDefinition, version, name, fields string) *unstructured.Unstructured {
	t.Helper()
	o := &unstructured.Unstructured{}
	if err := json.Unmarshal([]byte(fields), &o.Object); err != nil {
		t.Fatalf("%v in %s", err, fields)
	}
	o.SetAPIVersion(c.Spec.Group + "/" + version)
	o.SetKind(c.Spec.Names.Kind)
	o.SetName(name)
	return o
}

// make creates an object of a definition, in the version that is stored.
func (d *definer) make(t testing.TB, c *v1.CustomResourceDefinition, name, fields string) *unstructured.Unstructured {
	t.Helper()
	version := c.Spec.Versions[0].Name
	made, err := d.objectsOf(c, version).Create(t.Context(), object(t, c, version, name, fields), metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return made
}

// patchDefinition changes a definition by a JSON patch.
func (d *definer) patchDefinition(t testing.TB, name, patch string) *v1.CustomResourceDefinition {
	t.Helper()
	now, err := d.definitions.ApiextensionsV1().CustomResourceDefinitions().Patch(t.Context(), name, types.JSONPatchType, []byte(patch), metav1.PatchOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return now
}
