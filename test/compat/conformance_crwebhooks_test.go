package compat

import (
	"fmt"
	"testing"
	"time"

	admission "k8s.io/api/admissionregistration/v1"
	v1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// rulesOf are about the objects of a definition, in its first version.
func rulesOf(c *v1.CustomResourceDefinition) []admission.RuleWithOperations {
	return []admission.RuleWithOperations{{
		Operations: []admission.OperationType{admission.Create, admission.Update, admission.Delete},
		Rule:       admission.Rule{APIGroups: []string{c.Spec.Group}, APIVersions: []string{c.Spec.Versions[0].Name}, Resources: []string{c.Spec.Names.Plural}},
	}}
}

// changed has two webhooks change the objects of a definition, one after the other.
func (d *definer) changed(t *testing.T, c *v1.CustomResourceDefinition) {
	t.Helper()
	h := d.hooks(t)
	one, two := h.changing("stage-1", "/stage-1", ""), h.changing("stage-2", "/stage-2", "")
	one.NamespaceSelector, two.NamespaceSelector = nil, nil
	one.Rules, two.Rules = rulesOf(c), rulesOf(c)
	h.mutating(t, one, two, h.changing("marker", "/stage-1", "configmaps"))
}

// webhooksOfCustomResources are the behaviours of webhooks that are asked about them.
func (d *definer) webhooksOfCustomResources(t *testing.T) {
	d.conforms(t, "[sig-api-machinery] AdmissionWebhook [Privileged:ClusterAdmin] should be able to deny custom resource creation, update and deletion", func(t *testing.T) {
		c := d.define(t, d.definition("denied.example.com", served(t, "v1", loose)))
		h := d.hooks(t)
		w := h.hook("deny-objects", "/deny-objects", "")
		w.NamespaceSelector, w.Rules = nil, rulesOf(c)
		objects := d.objectsOf(c, "v1")
		d.make(t, c, "before", `{"data": {"webhook-e2e-test": "webhook-disallow"}}`)
		h.validating(t, w, h.hook("marker", "/deny-maps", "configmaps"))
		const why = "the custom resource contains unwanted data"
		_, err := objects.Create(t.Context(), object(t, c, "v1", "denied", `{"data": {"webhook-e2e-test": "webhook-disallow"}}`), metav1.CreateOptions{})
		refused(t, err, why)
		d.make(t, c, "allowed", `{"data": {"mutation-start": "no"}}`)
		patch := func(name, value string) error {
			_, err := objects.Patch(t.Context(), name, types.MergePatchType, fmt.Appendf(nil, `{"data": {"webhook-e2e-test": %s}}`, value), metav1.PatchOptions{})
			return err
		}
		refused(t, patch("allowed", `"webhook-disallow"`), why)
		refused(t, objects.Delete(t.Context(), "before", metav1.DeleteOptions{}), why)
		if err := patch("before", "null"); err != nil {
			t.Error(err)
		}
		if err := objects.Delete(t.Context(), "before", metav1.DeleteOptions{}); err != nil {
			t.Error(err)
		}
	})

	d.conforms(t, "[sig-api-machinery] AdmissionWebhook [Privileged:ClusterAdmin] should deny crd creation", func(t *testing.T) {
		h := d.hooks(t)
		w := h.hook("deny-definitions", "/deny-objects", "")
		w.NamespaceSelector, w.ObjectSelector = nil, &metav1.LabelSelector{MatchLabels: map[string]string{"webhook-e2e-test": "webhook-disallow"}}
		w.Rules = []admission.RuleWithOperations{{Operations: []admission.OperationType{admission.Create}, Rule: admission.Rule{
			APIGroups: []string{"apiextensions.k8s.io"}, APIVersions: []string{"*"}, Resources: []string{"customresourcedefinitions"}}}}
		h.validating(t, w, h.hook("marker", "/deny-maps", "configmaps"))
		c := d.definition("refused.example.com", served(t, "v1", loose))
		c.Labels = map[string]string{"webhook-e2e-test": "webhook-disallow"}
		_, err := d.definitions.ApiextensionsV1().CustomResourceDefinitions().Create(t.Context(), c, metav1.CreateOptions{})
		refused(t, err, "the custom resource contains unwanted data")
	})

	const data = `{"type": "object", "x-kubernetes-preserve-unknown-fields": true}`
	d.conforms(t, "[sig-api-machinery] AdmissionWebhook [Privileged:ClusterAdmin] should mutate custom resource", func(t *testing.T) {
		c := d.define(t, d.definition("changed.example.com", served(t, "v1", data)))
		d.changed(t, c)
		if made := d.make(t, c, "changed", `{"data": {"mutation-start": "yes"}}`); fmt.Sprint(made.Object["data"]) != "map[mutation-stage-1:yes mutation-stage-2:yes mutation-start:yes]" {
			t.Errorf("made as %v", made.Object)
		}
	})

	d.conforms(t, "[sig-api-machinery] AdmissionWebhook [Privileged:ClusterAdmin] should mutate custom resource with different stored version", func(t *testing.T) {
		c := d.define(t, d.definition("stored.example.com", served(t, "v1", data), served(t, "v2", data)))
		d.changed(t, c)
		d.make(t, c, "changed", `{"data": {"mutation-start": "no"}}`)
		d.patchDefinition(t, c.Name, `[{"op":"replace","path":"/spec/versions/0/storage","value":false},{"op":"replace","path":"/spec/versions/1/storage","value":true}]`)
		// Those who write in the version that is stored now are asked about in the other.
		for _, version := range []string{"v2", "v1"} {
			eventually(t, 10*time.Second, func() error {
				now, err := d.objectsOf(c, version).Patch(t.Context(), "changed", types.MergePatchType, []byte(`{"data": {"mutation-start": "yes", "mutation-stage-1": null, "mutation-stage-2": null}}`), metav1.PatchOptions{})
				if err == nil && fmt.Sprintf("%v %s", now.Object["data"], now.GetAPIVersion()) != "map[mutation-stage-1:yes mutation-stage-2:yes mutation-start:yes] stored.example.com/"+version {
					err = fmt.Errorf("changed to %v", now.Object)
				}
				return err
			})
		}
	})

	d.conforms(t, "[sig-api-machinery] AdmissionWebhook [Privileged:ClusterAdmin] should mutate custom resource with pruning", func(t *testing.T) {
		c := d.define(t, d.definition("pruned.example.com", served(t, "v1", `{"type": "object", "properties": {"data": {"type": "object", "properties": {
			"mutation-start": {"type": "string"}, "mutation-stage-1": {"type": "string"}}}}}`)))
		d.changed(t, c)
		if made := d.make(t, c, "changed", `{"data": {"mutation-start": "yes"}}`); fmt.Sprint(made.Object["data"]) != "map[mutation-stage-1:yes mutation-start:yes]" {
			t.Errorf("made as %v", made.Object)
		}
	})
}
