package webhookconfiguration

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"sync"

	v1 "k8s.io/api/admissionregistration/v1"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
	admissioncel "k8s.io/apiserver/pkg/admission/plugin/cel"
	"k8s.io/apiserver/pkg/admission/plugin/webhook/matchconditions"
	"k8s.io/apiserver/pkg/cel"
	"k8s.io/apiserver/pkg/cel/environment"
)

// maxConditions is how many match conditions a webhook may have.
const maxConditions = 64

// Conditions checks match conditions, which are CEL expressions. What it takes to compile
// one is made when there is the first: it takes time and memory. It may be used by several
// goroutines.
type Conditions struct{ compiler func() admissioncel.Compiler }

// NewConditions returns what checks conditions.
func NewConditions() *Conditions {
	return &Conditions{sync.OnceValue(func() admissioncel.Compiler {
		return admissioncel.NewCompiler(environment.MustBaseEnvSet(environment.DefaultCompatibilityVersion()))
	})}
}

// check returns what checks the conditions of a new configuration.
func (c *Conditions) check(ctx context.Context) checkConditions { return c.checkBut(ctx, nil) }

// checkChange returns what checks the conditions of a configuration that there is. While
// none of them changes they are not looked at: an expression that was taken once stays, be
// the language another by now.
func (c *Conditions) checkChange(ctx context.Context, hooks, old []hook) checkConditions {
	changed := len(hooks) != len(old)
	known := map[string]bool{}
	for i, h := range old {
		changed = changed || !reflect.DeepEqual(h.conditions, hooks[i].conditions)
		for _, m := range h.conditions {
			known[strings.TrimSpace(m.Expression)] = true
		}
	}
	if !changed {
		return func([]v1.MatchCondition, *field.Path) field.ErrorList { return nil }
	}
	return c.checkBut(ctx, known)
}

// checkBut checks conditions. Expressions that are known may use what new ones may not.
func (c *Conditions) checkBut(ctx context.Context, known map[string]bool) checkConditions {
	return func(all []v1.MatchCondition, at *field.Path) field.ErrorList {
		var errs field.ErrorList
		if len(all) > maxConditions {
			return append(errs, field.TooMany(at, len(all), maxConditions))
		}
		names := map[string]bool{}
		for i, m := range all {
			at := at.Index(i)
			if expression := strings.TrimSpace(m.Expression); expression == "" {
				errs = append(errs, field.Required(at.Child("expression"), ""))
			} else if err := c.compile(ctx, expression, known[expression], at.Child("expression")); err != nil {
				errs = append(errs, err)
			}
			if m.Name == "" {
				errs = append(errs, field.Required(at.Child("name"), ""))
				continue
			}
			for _, msg := range validation.IsQualifiedName(m.Name) {
				errs = append(errs, field.Invalid(at.Child("name"), m.Name, msg))
			}
			if names[m.Name] {
				errs = append(errs, field.Duplicate(at.Child("name"), m.Name))
			}
			names[m.Name] = true
		}
		return errs
	}
}

// compile returns what is wrong with an expression. There may be many, so that it stops
// with the request.
func (c *Conditions) compile(ctx context.Context, expression string, known bool, at *field.Path) *field.Error {
	if ctx.Err() != nil {
		return field.InternalError(at, fmt.Errorf("compiling match conditions: %w", context.Cause(ctx)))
	}
	mode := environment.NewExpressions
	if known {
		mode = environment.StoredExpressions
	}
	err := c.compiler().CompileCELExpression(&matchconditions.MatchCondition{Expression: expression}, admissioncel.OptionalVariableDeclarations{HasAuthorizer: true}, mode).Error
	switch {
	case err == nil:
		return nil
	case err.Type == cel.ErrorTypeRequired:
		return field.Required(at, err.Detail)
	case err.Type == cel.ErrorTypeInvalid:
		return field.Invalid(at, expression, err.Detail)
	}
	return field.InternalError(at, errors.New(err.Detail))
}
