// Package flowschema owns the FlowSchema kind of flowcontrol.apiserver.k8s.io/v1: defaults,
// validation, table and storage with the status subresource.
//
// Which schema a request matches is decided by the library, in internal/apiserver/fairness;
// the levels that schemas lead to are in registry/flowcontrol/prioritylevelconfiguration, and
// the schemas that always exist in registry/flowcontrol/bootstrap.
package flowschema

import (
	"cmp"
	"context"
	"time"

	flowcontrolv1 "k8s.io/api/flowcontrol/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"laterna.dev/laterna/internal/registry/resource"
)

type schema = flowcontrolv1.FlowSchema

// defaultPrecedence is that of a schema that does not say.
const defaultPrecedence = 1000

// Definition describes flow schemas.
func Definition() resource.Definition[*schema] {
	halves := resource.Halves[*schema, flowcontrolv1.FlowSchemaSpec, flowcontrolv1.FlowSchemaStatus]{
		Spec:   func(s *schema) *flowcontrolv1.FlowSchemaSpec { return &s.Spec },
		Status: func(s *schema) *flowcontrolv1.FlowSchemaStatus { return &s.Status },
	}
	rules := halves.Main(validate, func(s, _ *schema) field.ErrorList { return validate(s) })
	rules.PrepareCreate = keepFound(rules.PrepareCreate)
	status := halves.Sub(func(s, _ *schema) field.ErrorList { return validateStatus(&s.Status) })
	resource.KeepMetadata(status)
	return resource.Definition[*schema]{
		GroupVersion: flowcontrolv1.SchemeGroupVersion,
		Plural:       "flowschemas",
		Singular:     "flowschema",
		New:          func() *schema { return &schema{} },
		NewList:      func() runtime.Object { return &flowcontrolv1.FlowSchemaList{} },
		Default: func(s *schema) {
			s.Spec.MatchingPrecedence = cmp.Or(s.Spec.MatchingPrecedence, defaultPrecedence)
		},
		Rules:   rules,
		Status:  status,
		Columns: columns(),
	}
}

type foundKey struct{}

// WithFound returns a context in which new schemas begin with the condition that the level
// they lead to exists since a time, instead of none. It is for who has just seen to that.
func WithFound(ctx context.Context, at time.Time) context.Context {
	return context.WithValue(ctx, foundKey{}, metav1.NewTime(at))
}

// keepFound is prepare for a new schema, and the condition where that is wanted.
func keepFound(prepare func(context.Context, *schema)) func(context.Context, *schema) {
	return func(ctx context.Context, s *schema) {
		prepare(ctx, s)
		if at, ok := ctx.Value(foundKey{}).(metav1.Time); ok {
			s.Status.Conditions = []flowcontrolv1.FlowSchemaCondition{found(s.Spec.PriorityLevelConfiguration.Name, at)}
		}
	}
}

// found is what the library says of a schema whose level exists, in its words: it writes
// what says something else.
func found(level string, at metav1.Time) flowcontrolv1.FlowSchemaCondition {
	return flowcontrolv1.FlowSchemaCondition{
		Type:               flowcontrolv1.FlowSchemaConditionDangling,
		Status:             flowcontrolv1.ConditionFalse,
		Reason:             "Found",
		Message:            `This FlowSchema references the PriorityLevelConfiguration object named "` + level + `" and it exists`,
		LastTransitionTime: at,
	}
}

func columns() resource.Columns[*schema] {
	spec := flowcontrolv1.FlowSchemaSpec{}.SwaggerDoc()
	return resource.Columns[*schema]{
		Columns: []resource.Column{
			resource.Name(),
			{Name: "PriorityLevel", Type: "string", Description: flowcontrolv1.PriorityLevelConfigurationReference{}.SwaggerDoc()["name"]},
			{Name: "MatchingPrecedence", Type: "string", Description: spec["matchingPrecedence"]},
			{Name: "DistinguisherMethod", Type: "string", Description: spec["distinguisherMethod"]},
			resource.AgeColumn(),
			{Name: "MissingPL", Type: "string", Description: "references a broken or non-existent PriorityLevelConfiguration"},
		},
		Row: func(s *schema) []any {
			method := "<none>"
			if m := s.Spec.DistinguisherMethod; m != nil {
				method = string(m.Type)
			}
			missing := "?"
			for _, c := range s.Status.Conditions {
				if c.Type == flowcontrolv1.FlowSchemaConditionDangling {
					missing = string(c.Status)
					break
				}
			}
			return []any{s.Name, s.Spec.PriorityLevelConfiguration.Name, int64(s.Spec.MatchingPrecedence), method, resource.Age(s), missing}
		},
		// As requests meet them.
		Order: func(a, b *schema) int {
			return cmp.Or(cmp.Compare(a.Spec.MatchingPrecedence, b.Spec.MatchingPrecedence), cmp.Compare(a.Name, b.Name))
		},
	}
}
