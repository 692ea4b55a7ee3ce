package matching

import (
	"context"
	"errors"
	"fmt"
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

// maxConditions is how many match conditions a webhook or a policy may have.
const maxConditions = 64

// Conditions checks match conditions, which are CEL expressions. What it takes to compile
// one is made when there is the first: it takes time and memory. It may be used by several
// goroutines.
type Conditions struct {
	// Compiler compiles expressions that name no variables of a policy.
	Compiler func() admissioncel.Compiler
}

// NewConditions returns what checks conditions.
func NewConditions() *Conditions {
	return &Conditions{sync.OnceValue(func() admissioncel.Compiler {
		return admissioncel.NewCompiler(environment.MustBaseEnvSet(environment.DefaultCompatibilityVersion()))
	})}
}

// Check checks conditions, which may speak of params where there are. Expressions that are
// known may use what new ones may not: what was taken once stays, be the language another
// by now.
func (c *Conditions) Check(ctx context.Context, all []v1.MatchCondition, params bool, known map[string]bool, at *field.Path) field.ErrorList {
	var errs field.ErrorList
	if len(all) > maxConditions {
		return append(errs, field.TooMany(at, len(all), maxConditions))
	}
	names := map[string]bool{}
	for i, m := range all {
		at := at.Index(i)
		if expression := strings.TrimSpace(m.Expression); expression == "" {
			errs = append(errs, field.Required(at.Child("expression"), ""))
		} else if err := c.compile(ctx, expression, params, known[expression], at.Child("expression")); err != nil {
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

func (c *Conditions) compile(ctx context.Context, expression string, params, known bool, at *field.Path) *field.Error {
	if err := Ended(ctx, at); err != nil {
		return err // before the compiler is made
	}
	return Compile(ctx, c.Compiler(), &matchconditions.MatchCondition{Expression: expression}, admissioncel.OptionalVariableDeclarations{HasParams: params, HasAuthorizer: true}, known, at)
}

// Known are the expressions of conditions, as Check takes them.
func Known(all []v1.MatchCondition, into map[string]bool) {
	for _, m := range all {
		into[strings.TrimSpace(m.Expression)] = true
	}
}

// Compile returns what is wrong with an expression that may use certain variables. There may
// be many, so that it stops with the request.
func Compile(ctx context.Context, compiler admissioncel.Compiler, e admissioncel.ExpressionAccessor, with admissioncel.OptionalVariableDeclarations, known bool, at *field.Path) *field.Error {
	if err := Ended(ctx, at); err != nil {
		return err
	}
	return Mistake(e, compiler.CompileCELExpression(e, with, Mode(known)).Error, at)
}

// Mode is how an expression is compiled.
func Mode(known bool) environment.Type {
	if known {
		return environment.StoredExpressions
	}
	return environment.NewExpressions
}

// Ended is an error once nobody waits for the answer any more.
func Ended(ctx context.Context, at *field.Path) *field.Error {
	if ctx.Err() == nil {
		return nil
	}
	return field.InternalError(at, fmt.Errorf("compiling expressions: %w", context.Cause(ctx)))
}

// Mistake is what a compiler found in an expression, nil where it found nothing.
func Mistake(e admissioncel.ExpressionAccessor, err *cel.Error, at *field.Path) *field.Error {
	switch {
	case err == nil:
		return nil
	case err.Type == cel.ErrorTypeRequired:
		return field.Required(at, err.Detail)
	case err.Type == cel.ErrorTypeInvalid:
		return field.Invalid(at, e.GetExpression(), err.Detail)
	}
	return field.InternalError(at, errors.New(err.Detail))
}
