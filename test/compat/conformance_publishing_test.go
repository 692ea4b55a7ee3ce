package compat

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	v1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

const (
	// foo and waldo are the schemas of upstream's test.
	foo = `{"description": "Foo CRD for Testing", "type": "object", "properties": {
		"spec": {"type": "object", "description": "Specification of Foo", "properties": {
			"bars": {"description": "List of Bars and their specs.", "type": "array", "items": {"type": "object", "required": ["name"], "properties": {
				"name": {"description": "Name of Bar.", "type": "string"},
				"age": {"description": "Age of Bar.", "type": "string"},
				"feeling": {"description": "Whether Bar is feeling great.", "type": "string", "enum": ["Great", "Down"]},
				"bazs": {"description": "List of Bazs.", "items": {"type": "string"}, "type": "array"}}}}}},
		"status": {"description": "Status of Foo", "type": "object", "properties": {
			"bars": {"description": "List of Bars and their statuses.", "type": "array", "items": {"type": "object", "properties": {
				"name": {"description": "Name of Bar.", "type": "string"},
				"available": {"description": "Whether the Bar is installed.", "type": "boolean"},
				"quxType": {"description": "Indicates to external qux type.", "pattern": "in-tree|out-of-tree", "type": "string"}}}}}}}}`
	waldo = `{"description": "Waldo CRD for Testing", "type": "object", "properties": {
		"spec": {"description": "Specification of Waldo", "type": "object", "properties": {"dummy": {"description": "Dummy property.", "type": "string"}}},
		"status": {"description": "Status of Waldo", "type": "object", "properties": {"bars": {"description": "List of Bars and their statuses.", "type": "array", "items": {"type": "object"}}}}}}`
	preserveRoot   = `{"type": "object", "description": "preserve-unknown-properties at root for Testing", "x-kubernetes-preserve-unknown-fields": true, "properties": {"spec": {"description": "Specification of Waldo", "type": "object", "properties": {"dummy": {"description": "Dummy property.", "type": "string"}}}}}`
	preserveNested = `{"type": "object", "description": "preserve-unknown-properties in nested field for Testing", "properties": {"spec": {"description": "Specification of Waldo", "type": "object", "x-kubernetes-preserve-unknown-fields": true, "properties": {"dummy": {"description": "Dummy property.", "type": "string"}}}}}`
)

// nameOf is what a version is called in the documents: its group backwards.
func nameOf(c *v1.CustomResourceDefinition, version string) string {
	parts := strings.Split(c.Spec.Group, ".")
	for i, j := 0, len(parts)-1; i < j; i, j = i+1, j-1 {
		parts[i], parts[j] = parts[j], parts[i]
	}
	return strings.Join(append(parts, version, c.Spec.Names.Kind), ".")
}

// published waits until a version is in the documents, of version 2 with a description of
// the schema, or is in none.
func (d *definer) published(t *testing.T, c *v1.CustomResourceDefinition, version string, want bool) {
	t.Helper()
	name, root := nameOf(c, version), "apis/"+c.Spec.Group+"/"+version
	schema := ""
	for _, v := range c.Spec.Versions {
		if v.Name == version && v.Schema.OpenAPIV3Schema.XPreserveUnknownFields == nil { // version 2 cannot say the rest
			schema = v.Schema.OpenAPIV3Schema.Description
		}
	}
	eventually(t, 20*time.Second, func() error {
		raw, err := d.client.Discovery().RESTClient().Get().AbsPath("/openapi/v2").SetHeader("Accept", "application/json").Do(t.Context()).Raw()
		if err != nil {
			return err
		}
		var doc struct {
			Definitions map[string]struct {
				Description string
				Properties  map[string]any
			}
		}
		if err := json.Unmarshal(raw, &doc); err != nil {
			return err
		}
		shown, found := doc.Definitions[name]
		if found != want || want && shown.Description != schema {
			return fmt.Errorf("%s is in version 2: %v, with description %q", name, found, shown.Description)
		}
		v3, err := d.client.Discovery().OpenAPIV3().Paths()
		if err != nil {
			return err
		}
		found = false
		if group := v3[root]; group != nil {
			raw, err := group.Schema("application/json")
			if err != nil {
				return err
			}
			found = strings.Contains(string(raw), `"`+name+`":`)
		}
		if found != want {
			return fmt.Errorf("%s is in version 3: %v", name, found)
		}
		return nil
	})
}

// publish makes a definition of versions with one schema, and awaits it in the documents.
func (d *definer) publish(t *testing.T, group, schema string, versions ...string) *v1.CustomResourceDefinition {
	t.Helper()
	var all []v1.CustomResourceDefinitionVersion
	for _, v := range versions {
		all = append(all, served(t, v, schema))
	}
	c := d.define(t, d.definition(group, all...))
	for _, v := range versions {
		d.published(t, c, v, true)
	}
	return c
}

// unpublish deletes a definition, which leaves the documents.
func (d *definer) unpublish(t *testing.T, c *v1.CustomResourceDefinition) {
	t.Helper()
	if err := d.definitions.ApiextensionsV1().CustomResourceDefinitions().Delete(t.Context(), c.Name, metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	for _, v := range c.Spec.Versions {
		d.published(t, c, v.Name, false)
	}
}

// takes has kubectl create and apply an object with fields.
func (d *definer) takes(t *testing.T, c *v1.CustomResourceDefinition, fields string) {
	t.Helper()
	raw, err := object(t, c, c.Spec.Versions[0].Name, "test-cr", fields).MarshalJSON()
	if err != nil {
		t.Fatal(err)
	}
	for _, verb := range []string{"create", "apply"} {
		d.sh(t, fmt.Sprintf("kubectl %s -n %s -f - <<'END'\n%s\nEND\nkubectl delete -n %s %s test-cr", verb, d.ns, raw, d.ns, c.Name))
	}
}

// explains looks for a pattern in what kubectl explains.
func (d *definer) explains(t *testing.T, c *v1.CustomResourceDefinition, path, pattern string) {
	t.Helper()
	if out := d.sh(t, "kubectl explain "+c.Spec.Names.Plural+path); !regexp.MustCompile("(?s)" + pattern).MatchString(out) {
		t.Errorf("explained, where %s is wanted, as\n%s", pattern, out)
	}
}

// publishes are the behaviours of schemas in OpenAPI documents.
func (d *definer) publishes(t *testing.T) {
	d.conforms(t, "[sig-api-machinery] CustomResourcePublishOpenAPI [Privileged:ClusterAdmin] works for CRD with validation schema", func(t *testing.T) {
		c := d.publish(t, "publish-foo.example.com", foo, "v1")
		d.takes(t, c, `{"spec": {"bars": [{"name": "test-bar"}]}}`)
		for fields, want := range map[string]string{
			`{"spec": {"bars": [{"name": "test-bar", "feeling": "NonExistentValue"}]}}`: `Unsupported value: "NonExistentValue"`,
			`{"spec": {"foo": true}}`:             `unknown field "spec.foo"`,
			`{"spec": {"bars": [{"age": "10"}]}}`: `spec.bars[0].name: Required value`,
		} {
			raw, err := object(t, c, "v1", "test-foo", fields).MarshalJSON()
			if err != nil {
				t.Fatal(err)
			}
			contains(t, d.fails(t, fmt.Sprintf("kubectl create -n %s -f - <<'END'\n%s\nEND", d.ns, raw)), want)
		}
		d.explains(t, c, "", `DESCRIPTION:.*Foo CRD for Testing.*FIELDS:.*apiVersion.*<string>.*APIVersion defines.*spec.*<Object>.*Specification of Foo`)
		d.explains(t, c, ".metadata", `DESCRIPTION:.*Standard object's metadata.*FIELDS:.*creationTimestamp.*<string>.*CreationTimestamp is a timestamp`)
		d.explains(t, c, ".spec", `DESCRIPTION:.*Specification of Foo.*FIELDS:.*bars.*<\[\]Object>.*List of Bars and their specs`)
		d.explains(t, c, ".spec.bars", `bars.*<\[\]Object>.*DESCRIPTION:.*List of Bars and their specs.*FIELDS:.*bazs.*<\[\]string>.*List of Bazs.*name.*<string>.*Name of Bar`)
		contains(t, d.fails(t, "kubectl explain "+c.Spec.Names.Plural+".spec.bars2"), `field "bars2" does not exist`)
		d.unpublish(t, c)
	})
	for _, tc := range []struct{ behaviour, schema, fields, explained string }{
		{behaviour: "[sig-api-machinery] CustomResourcePublishOpenAPI [Privileged:ClusterAdmin] works for CRD without validation schema",
			schema: loose, fields: `{"a": {"b": [{"c": "d"}]}}`, explained: `DESCRIPTION:.*<empty>`},
		{behaviour: "[sig-api-machinery] CustomResourcePublishOpenAPI [Privileged:ClusterAdmin] works for CRD preserving unknown fields at the schema root",
			schema: preserveRoot, fields: `{"a": {"b": [{"c": "d"}]}}`, explained: `KIND:.*Thing`},
		{behaviour: "[sig-api-machinery] CustomResourcePublishOpenAPI [Privileged:ClusterAdmin] works for CRD preserving unknown fields in an embedded object",
			schema: preserveNested, fields: `{"spec": {"a": null, "b": [{"c": "d"}]}}`, explained: `DESCRIPTION:.*preserve-unknown-properties in nested field for Testing`},
	} {
		d.conforms(t, tc.behaviour, func(t *testing.T) {
			c := d.publish(t, "publish-unknown.example.com", tc.schema, "v1")
			d.takes(t, c, tc.fields)
			d.explains(t, c, "", tc.explained)
			d.unpublish(t, c)
		})
	}
	d.publishesMany(t)
}

// publishesMany are the behaviours of definitions beside each other, and of their versions.
func (d *definer) publishesMany(t *testing.T) {
	d.conforms(t, "[sig-api-machinery] CustomResourcePublishOpenAPI [Privileged:ClusterAdmin] works for multiple CRDs of different groups", func(t *testing.T) {
		one, other := d.publish(t, "publish-a.example.com", foo, "v1"), d.publish(t, "publish-b.example.com", waldo, "v1beta1")
		d.published(t, one, "v1", true)
		d.unpublish(t, one)
		d.published(t, other, "v1beta1", true)
		d.unpublish(t, other)
	})
	d.conforms(t, "[sig-api-machinery] CustomResourcePublishOpenAPI [Privileged:ClusterAdmin] works for multiple CRDs of same group but different versions", func(t *testing.T) {
		d.unpublish(t, d.publish(t, "publish-versions.example.com", foo, "v2", "v3"))
		one, other := d.publish(t, "publish-common.example.com", foo, "v4"), d.publish(t, "publish-common.example.com", waldo, "v5")
		d.published(t, one, "v4", true)
		d.unpublish(t, one)
		d.unpublish(t, other)
	})
	d.conforms(t, "[sig-api-machinery] CustomResourcePublishOpenAPI [Privileged:ClusterAdmin] works for multiple CRDs of same group and version but different kinds", func(t *testing.T) {
		one, other := d.publish(t, "publish-kinds.example.com", foo, "v6"), d.publish(t, "publish-kinds.example.com", waldo, "v6")
		d.published(t, one, "v6", true)
		d.unpublish(t, one)
		d.published(t, other, "v6", true)
		d.unpublish(t, other)
	})
	d.conforms(t, "[sig-api-machinery] CustomResourcePublishOpenAPI [Privileged:ClusterAdmin] updates the published spec when one version gets renamed", func(t *testing.T) {
		old := d.publish(t, "publish-renamed.example.com", foo, "v2", "v3")
		now := d.patchDefinition(t, old.Name, `[{"op":"test","path":"/spec/versions/1/name","value":"v3"},{"op":"replace","path":"/spec/versions/1/name","value":"v4"}]`)
		d.published(t, now, "v4", true)
		d.published(t, old, "v3", false)
		d.published(t, now, "v2", true)
		d.unpublish(t, now)
	})
	d.conforms(t, "[sig-api-machinery] CustomResourcePublishOpenAPI [Privileged:ClusterAdmin] removes definition from spec when one version gets changed to not be served", func(t *testing.T) {
		c := d.publish(t, "publish-unserved.example.com", foo, "v5", "v6alpha1")
		c = d.patchDefinition(t, c.Name, `[{"op":"replace","path":"/spec/versions/1/served","value":false}]`)
		d.published(t, c, "v6alpha1", false)
		d.published(t, c, "v5", true)
		d.unpublish(t, c)
	})
}
