package admissionpolicy

import (
	"context"
	"fmt"
	"regexp"
	"strings"

	v1 "k8s.io/api/admissionregistration/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/apiserver/pkg/admission/plugin/cel"
	"k8s.io/apiserver/pkg/admission/plugin/policy/validating"
	"k8s.io/apiserver/pkg/cel/environment"

	"laterna.dev/laterna/internal/registry/admissionregistration/matching"
)

// expressions compiles those of one policy, in their order: they may name its variables.
type expressions struct {
	ctx      context.Context // that of the request; the value lives no longer
	compiler cel.Compiler
	// variables is the compiler where there are any.
	variables *cel.CompositedCompiler
	params    bool
	// known are expressions that were taken before.
	known map[string]bool
}

// compiling begins with the expressions of a policy.
func compiling(ctx context.Context, c *matching.Conditions, p policy, known map[string]bool) (*expressions, *field.Error) {
	spec := field.NewPath("spec")
	if err := matching.Ended(ctx, spec); err != nil {
		return nil, err
	}
	e := &expressions{ctx: ctx, params: p.paramKind != nil, known: known}
	if len(p.variables) == 0 {
		e.compiler = c.Compiler()
		return e, nil
	}
	composed, err := cel.NewCompositedCompiler(environment.MustBaseEnvSet(environment.DefaultCompatibilityVersion()))
	if err != nil {
		return nil, field.InternalError(spec.Child("variables"), fmt.Errorf("making a compiler: %w", err))
	}
	e.compiler, e.variables = composed, composed
	return e, nil
}

// with are the variables that an expression may use beside the policy's own.
func (e *expressions) with(authorizer, patches bool) cel.OptionalVariableDeclarations {
	return cel.OptionalVariableDeclarations{HasParams: e.params, HasAuthorizer: authorizer, HasPatchTypes: patches}
}

// check compiles an expression.
func (e *expressions) check(accessor cel.ExpressionAccessor, with cel.OptionalVariableDeclarations, at *field.Path) (errs field.ErrorList) {
	if err := matching.Compile(e.ctx, e.compiler, accessor, with, e.known[accessor.GetExpression()], at); err != nil {
		errs = append(errs, err)
	}
	return errs
}

// declare compiles the variables, which later ones and all other expressions may name.
func (e *expressions) declare(variables []v1.Variable, at *field.Path) (errs field.ErrorList) {
	for i, v := range variables {
		at := at.Index(i)
		switch {
		case strings.TrimSpace(v.Name) == "":
			errs = append(errs, field.Required(at.Child("name"), "name is not specified"))
		case !identifier(v.Name):
			errs = append(errs, field.Invalid(at.Child("name"), v.Name, "must be a valid CEL identifier"))
		}
		if strings.TrimSpace(v.Expression) == "" {
			errs = append(errs, field.Required(at.Child("expression"), "expression is not specified"))
			continue
		}
		if err := matching.Ended(e.ctx, at); err != nil {
			return append(errs, err)
		}
		variable := &validating.Variable{Name: v.Name, Expression: v.Expression}
		result := e.variables.CompileAndStoreVariable(variable, e.with(true, false), matching.Mode(e.known[v.Expression]))
		if err := matching.Mistake(variable, result.Error, at.Child("expression")); err != nil {
			errs = append(errs, err)
		}
	}
	return errs
}

var (
	celName     = regexp.MustCompile("^[_a-zA-Z][_a-zA-Z0-9]*$")
	celReserved = regexp.MustCompile("^(true|false|null|in|as|break|const|continue|else|for|function|if|import|let|loop|package|namespace|return|var|void|while)$")
)

// identifier tells whether CEL can name something so.
func identifier(name string) bool { return celName.MatchString(name) && !celReserved.MatchString(name) }
