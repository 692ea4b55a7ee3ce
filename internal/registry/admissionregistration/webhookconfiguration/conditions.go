package webhookconfiguration

import (
	"context"
	"reflect"

	v1 "k8s.io/api/admissionregistration/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"laterna.dev/laterna/internal/registry/admissionregistration/matching"
)

// newConditions returns what checks the conditions of a new configuration.
func newConditions(ctx context.Context, c *matching.Conditions) checkConditions {
	return checkBut(ctx, c, nil)
}

// changedConditions returns what checks the conditions of a configuration that there is.
// While none of them changes they are not looked at: an expression that was taken once
// stays, be the language another by now.
func changedConditions(ctx context.Context, c *matching.Conditions, hooks, old []hook) checkConditions {
	changed := len(hooks) != len(old)
	known := map[string]bool{}
	for i, h := range old {
		changed = changed || !reflect.DeepEqual(h.conditions, hooks[i].conditions)
		matching.Known(h.conditions, known)
	}
	if !changed {
		return func([]v1.MatchCondition, *field.Path) field.ErrorList { return nil }
	}
	return checkBut(ctx, c, known)
}

func checkBut(ctx context.Context, c *matching.Conditions, known map[string]bool) checkConditions {
	return func(all []v1.MatchCondition, at *field.Path) field.ErrorList {
		return c.Check(ctx, all, false, known, at)
	}
}
