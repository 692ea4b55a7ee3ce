package compat

import (
	"encoding/json"
	"fmt"
	"slices"
	"testing"
	"time"

	apidiscovery "k8s.io/api/apidiscovery/v2"
	v1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/discovery"
)

// cronSpec are the properties of upstream's test.
const cronSpec = `"foo": {"type": "string"}, "cronSpec": {"type": "string", "pattern": "^(\\d+|\\*)(/\\d+)?(\\s+(\\d+|\\*)(/\\d+)?){4}$"},
	"ports": {"type": "array", "x-kubernetes-list-map-keys": ["containerPort", "protocol"], "x-kubernetes-list-type": "map", "items": {
		"type": "object", "required": ["containerPort", "protocol"], "properties": {"containerPort": {"format": "int32", "type": "integer"}, "hostIP": {"type": "string"},
			"hostPort": {"format": "int32", "type": "integer"}, "name": {"type": "string"}, "protocol": {"type": "string"}}}}`

// applied applies YAML strictly, with a name and upstream's values, and returns what is
// answered.
func (d *definer) applied(t *testing.T, c *v1.CustomResourceDefinition, metadata, spec string) (string, error) {
	t.Helper()
	body := fmt.Sprintf("\napiVersion: %s/v1beta1\nkind: %s\nmetadata:\n  name: mytest\n%sspec:\n%s  cronSpec: \"* * * * */5\"\n  ports:\n  - name: x\n    containerPort: 80\n    protocol: TCP",
		c.Spec.Group, c.Spec.Names.Kind, metadata, spec)
	raw, err := d.client.Discovery().RESTClient().Patch(types.ApplyPatchType).AbsPath("/apis", c.Spec.Group, "v1beta1", c.Spec.Names.Plural, "mytest").
		Param("fieldManager", "field_validation_mgr").Param("fieldValidation", "Strict").Body([]byte(body)).DoRaw(t.Context())
	return string(raw), err
}

// wide is a definition of objects without a namespace, in two versions.
func (d *definer) wide(t *testing.T, schema string) *v1.CustomResourceDefinition {
	t.Helper()
	c := d.definition("validated.example.com", served(t, "v1beta1", schema), served(t, "v1beta2", schema))
	c.Spec.Scope = v1.ClusterScoped
	return d.define(t, c)
}

// fieldsAreValidated are the behaviours of strict requests.
func (d *definer) fieldsAreValidated(t *testing.T) {
	const strict = `{"type": "object", "properties": {"spec": {"type": "object", "properties": {` + cronSpec + `}}}}`
	const keeping = `{"type": "object", "properties": {"spec": {"type": "object", "x-kubernetes-preserve-unknown-fields": true, "properties": {` + cronSpec + `,
		"template": {"type": "object", "x-kubernetes-embedded-resource": true, "properties": {"metadata": {"type": "object", "properties": {"name": {"type": "string"}}}, "spec": {"type": "object"}}}}}}}`
	for _, tc := range []struct{ behaviour, schema, metadata, spec, says string }{
		{behaviour: "[sig-api-machinery] FieldValidation should create/apply a valid CR for CRD with validation schema",
			schema: strict, spec: "  foo: foo1\n"},
		{behaviour: "[sig-api-machinery] FieldValidation should create/apply a CR with unknown fields for CRD with no validation schema",
			schema: loose, spec: "  unknown: uk1\n"},
		{behaviour: "[sig-api-machinery] FieldValidation should create/apply an invalid CR with extra properties for CRD with validation schema",
			schema: strict, metadata: "unknownField: unknown\n", spec: "  foo: foo1\n", says: ".unknownField: field not declared in schema"},
		{behaviour: "[sig-api-machinery] FieldValidation should detect unknown metadata fields in both the root and embedded object of a CR",
			schema: keeping, metadata: "  unknownMeta: unknown\n", spec: "  foo: foo1\n  template:\n    apiVersion: foo/v1\n    kind: Sub\n    metadata:\n      unknownSubMeta: unknown\n      name: subobject\n",
			says: ".spec.template.metadata.unknownSubMeta: field not declared in schema"},
		{behaviour: "[sig-api-machinery] FieldValidation should detect duplicates in a CR when preserving unknown fields",
			schema: keeping, spec: "  unknown: uk1\n  foo: foo1\n  foo: foo2\n", says: `key \"foo\" already set in map`},
	} {
		d.conforms(t, tc.behaviour, func(t *testing.T) {
			out, err := d.applied(t, d.wide(t, tc.schema), tc.metadata, tc.spec)
			if (err != nil) != (tc.says != "") {
				t.Fatalf("answered with %v\n%s", err, out)
			}
			contains(t, out, tc.says)
			if tc.metadata == "  unknownMeta: unknown\n" {
				contains(t, out, ".metadata.unknownMeta: field not declared in schema")
			}
		})
	}
}

// discoversCustomResources are the behaviours of aggregated discovery.
func (d *definer) discoversCustomResources(t *testing.T) {
	d.conforms(t, "[sig-api-machinery] AggregatedDiscovery should support raw aggregated discovery request for CRDs", func(t *testing.T) {
		c := d.define(t, d.definition("discovered.example.com", served(t, "v1", loose)))
		eventually(t, 10*time.Second, func() error {
			raw, err := d.client.Discovery().RESTClient().Get().AbsPath("/apis").SetHeader("Accept", "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList").Do(t.Context()).Raw()
			if err != nil {
				return err
			}
			var all apidiscovery.APIGroupDiscoveryList
			if err := json.Unmarshal(raw, &all); err != nil {
				return err
			}
			for _, g := range all.Items {
				for _, v := range g.Versions {
					for _, r := range v.Resources {
						if g.Name == c.Spec.Group && v.Version == "v1" && r.Resource == c.Spec.Names.Plural && v.Freshness == apidiscovery.DiscoveryFreshnessCurrent {
							return nil
						}
					}
				}
			}
			return fmt.Errorf("%s is not in %s", c.Name, raw)
		})
	})
	d.conforms(t, "[sig-api-machinery] AggregatedDiscovery should support aggregated discovery interface for CRDs", func(t *testing.T) {
		c := d.define(t, d.definition("discovered.example.com", served(t, "v1", loose)))
		aggregated, ok := d.client.Discovery().(discovery.AggregatedDiscoveryInterface)
		if !ok {
			t.Fatalf("the client is a %T", d.client.Discovery())
		}
		eventually(t, 10*time.Second, func() error {
			_, resources, _, err := aggregated.GroupsAndMaybeResources()
			if err != nil {
				return err
			}
			list := resources[schema.GroupVersion{Group: c.Spec.Group, Version: "v1"}]
			if list == nil || !slices.ContainsFunc(list.APIResources, func(r metav1.APIResource) bool { return r.Name == c.Spec.Names.Plural }) {
				return fmt.Errorf("%s is not in %v", c.Name, list)
			}
			return nil
		})
	})
}
