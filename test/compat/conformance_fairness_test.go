package compat

import (
	"strings"
	"testing"

	flowcontrolv1 "k8s.io/api/flowcontrol/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"
)

func TestConformanceFairness(t *testing.T) {
	s := newDesk(t)
	schemas := life{
		resource: flowcontrolv1.SchemeGroupVersion.WithResource("flowschemas"), silent: true, statusAlone: true,
		object: func() map[string]any {
			return part{"kind": "FlowSchema", "spec": part{
				"matchingPrecedence": int64(10000), "priorityLevelConfiguration": part{"name": "global-default"}, "distinguisherMethod": part{"type": "ByUser"},
				"rules": []any{part{"subjects": []any{part{"kind": "User", "user": part{"name": "example-e2e-non-existent-user"}}}, "nonResourceRules": []any{part{"verbs": []any{"*"}, "nonResourceURLs": []any{"*"}}}}},
			}}
		},
		status: part{"conditions": []any{
			// The server insists on this one.
			part{"type": "Dangling", "status": "False", "reason": "Found", "lastTransitionTime": "2026-01-01T00:00:00Z",
				"message": `This FlowSchema references the PriorityLevelConfiguration object named "global-default" and it exists`},
			part{"type": "StatusUpdateFailed", "status": "False", "reason": "E2E", "message": "Set from an e2e test", "lastTransitionTime": "2026-01-01T00:00:00Z"},
		}},
		settled: func(o *unstructured.Unstructured) bool {
			conditions, _, err := unstructured.NestedSlice(o.Object, "status", "conditions")
			return err == nil && len(conditions) > 0
		},
	}
	levels := life{
		resource: flowcontrolv1.SchemeGroupVersion.WithResource("prioritylevelconfigurations"), silent: true, statusAlone: true,
		object: func() map[string]any {
			return part{"kind": "PriorityLevelConfiguration", "spec": part{"type": "Limited", "limited": part{"nominalConcurrencyShares": int64(2), "limitResponse": part{"type": "Reject"}}}}
		},
		status: part{"conditions": []any{part{"type": "StatusUpdateFailed", "status": "False", "reason": "E2E", "message": "Set from an e2e test", "lastTransitionTime": "2026-01-01T00:00:00Z"}}},
	}
	s.conforms(t, "[sig-api-machinery] API priority and fairness should support FlowSchema API operations", func(t *testing.T) {
		s.lives(schemas)(t)
		s.changesSpec(t, schemas, []string{"spec", "matchingPrecedence"})
	})
	s.conforms(t, "[sig-api-machinery] API priority and fairness should support PriorityLevelConfiguration API operations", func(t *testing.T) {
		s.lives(levels)(t)
		s.changesSpec(t, levels, []string{"spec", "limited", "nominalConcurrencyShares"})
	})
}

// changesSpec patches and updates a number of an object's spec.
func (s *stage) changesSpec(t *testing.T, l life, path []string) {
	client, err := dynamic.NewForConfig(s.config(t))
	s.must(t, err)
	own := client.Resource(l.resource)
	o := &unstructured.Unstructured{Object: l.object()}
	o.SetGroupVersionKind(schema.FromAPIVersionAndKind(l.resource.GroupVersion().String(), o.GetKind()))
	o.SetGenerateName("e2e-example-")
	made, err := own.Create(t.Context(), o, metav1.CreateOptions{})
	s.must(t, err)
	defer func() { s.must(t, own.Delete(t.Context(), made.GetName(), metav1.DeleteOptions{})) }()
	patched, err := own.Patch(t.Context(), made.GetName(), types.MergePatchType, []byte(`{"`+strings.Join(path, `":{"`)+`":4`+strings.Repeat("}", len(path))), metav1.PatchOptions{})
	s.must(t, err)
	if got, _, _ := unstructured.NestedInt64(patched.Object, path...); got != 4 || patched.GetGeneration() != 2 {
		t.Errorf("patched to %v", patched.Object)
	}
	s.must(t, unstructured.SetNestedField(patched.Object, int64(6), path...))
	patched.SetResourceVersion("") // of a schema the status may have been written since
	updated, err := own.Update(t.Context(), patched, metav1.UpdateOptions{})
	s.must(t, err)
	if got, _, _ := unstructured.NestedInt64(updated.Object, path...); got != 6 || updated.GetGeneration() != 3 {
		t.Errorf("updated to %v", updated.Object)
	}
}
