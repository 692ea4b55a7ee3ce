package admissionpolicy

import (
	"context"
	"fmt"
	"strings"

	v1 "k8s.io/api/admissionregistration/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/apiserver/pkg/authorization/authorizer"
	"k8s.io/apiserver/pkg/endpoints/request"

	"laterna.dev/laterna/internal/registry/core/podspec/check"
)

// Access is how it is found out who may name parameters: whoever writes a policy shows with
// it what parameters hold. All fields are required.
type Access struct {
	Authorizer authorizer.Authorizer
	// Resource returns the resource of a kind, "" where none is known.
	Resource func(schema.GroupVersionKind) string
	// ParamKind returns that of a policy, nil where it has none. Its error says that there
	// is no such policy, or that it cannot be read.
	ParamKind func(ctx context.Context, policy string) (*v1.ParamKind, error)
}

// anything stands for any group, version or resource.
const anything = "*"

// ofKind are the attributes of a request for objects of a kind. What is not known about the
// kind could be anything; why says what.
func (a Access) ofKind(k *v1.ParamKind) (attrs authorizer.AttributesRecord, why error) {
	attrs = authorizer.AttributesRecord{ResourceRequest: true, APIGroup: anything, APIVersion: anything, Resource: anything}
	if k == nil {
		return attrs, nil
	}
	gv, err := schema.ParseGroupVersion(k.APIVersion)
	if err != nil {
		return attrs, fmt.Errorf("unable to parse paramKind %v", k)
	}
	attrs.APIGroup, attrs.APIVersion = gv.Group, gv.Version
	resource := a.Resource(gv.WithKind(k.Kind))
	if resource == "" {
		return attrs, fmt.Errorf("unable to resolve paramKind %v", k)
	}
	attrs.Resource = resource
	return attrs, nil
}

// mayRead tells whether whoever asks may do what attrs say.
func (a Access) mayRead(ctx context.Context, attrs *authorizer.AttributesRecord, what string) (bool, error) {
	u, ok := request.UserFrom(ctx)
	if !ok {
		return false, fmt.Errorf("cannot identify user to authorize read access to %s", what)
	}
	attrs.User = u
	decision, _, err := a.Authorizer.Authorize(ctx, attrs)
	return decision == authorizer.DecisionAllow, err
}

// policy refuses a policy whose writer may not read all parameters of its kind. old is the
// kind before, nil for none.
func (a Access) policy(ctx context.Context, k, old *v1.ParamKind) field.ErrorList {
	if k == nil || old != nil && *old == *k {
		return nil
	}
	attrs, _ := a.ofKind(k)
	attrs.Verb, attrs.Name, attrs.Namespace = "get", anything, anything
	allowed, err := a.mayRead(ctx, &attrs, "paramKind resources")
	if err == nil && !allowed {
		err = fmt.Errorf(`user %v must have "get" permission on all objects of the referenced paramKind (kind=%s, apiVersion=%s)`, attrs.User.GetName(), k.Kind, k.APIVersion)
	}
	return forbidden("paramKind", err)
}

// binding refuses a binding whose writer may not read the parameters that it names. old is
// the binding before, nil for none.
func (a Access) binding(ctx context.Context, b binding, old *binding) field.ErrorList {
	if b.params == nil || old != nil && old.policy == b.policy && equality.Semantic.DeepEqual(old.params, b.params) {
		return nil
	}
	kind, err := a.ParamKind(ctx, b.policy)
	why := err
	if err != nil {
		kind, why = nil, fmt.Errorf("unable to get policy %s", b.policy)
	}
	attrs, unknown := a.ofKind(kind)
	if unknown != nil {
		why = unknown
	}
	attrs.Verb, attrs.Name, attrs.Namespace = "get", b.params.Name, b.params.Namespace
	if b.params.Name == "" {
		attrs.Verb = "list"
	}
	allowed, err := a.mayRead(ctx, &attrs, "paramRef object")
	switch {
	case err != nil:
		err = fmt.Errorf("failed to authorize request: %w", err)
	case allowed:
	case why != nil:
		err = fmt.Errorf(`%w to determine minimum required permissions and user %v does not have "%v" permission for all groups, versions and resources`, why, attrs.User.GetName(), attrs.Verb)
	default:
		err = fmt.Errorf(`user %v does not have "%v" permission on the object referenced by paramRef`, attrs.User.GetName(), attrs.Verb)
	}
	return forbidden("paramRef", err)
}

func forbidden(name string, err error) field.ErrorList {
	if err == nil {
		return nil
	}
	return field.ErrorList{field.Forbidden(field.NewPath("spec", name), err.Error())}
}

func validateParamKind(k v1.ParamKind, at *field.Path) (errs field.ErrorList) {
	version := at.Child("apiVersion")
	switch gv, err := schema.ParseGroupVersion(k.APIVersion); {
	case k.APIVersion == "":
		errs = append(errs, field.Required(version, ""))
	case err != nil:
		errs = append(errs, field.Invalid(version, k.APIVersion, err.Error()))
	default:
		if gv.Group != "" {
			errs = append(errs, joined(validation.IsDNS1123Subdomain(gv.Group), gv.Group, "", version)...)
		}
		if gv.Version == "" {
			errs = append(errs, field.Invalid(version, k.APIVersion, "version must be specified"))
		} else {
			errs = append(errs, joined(validation.IsDNS1035Label(gv.Version), gv.Version, "", version)...)
		}
	}
	if missing := check.Required(k.Kind, at.Child("kind")); missing != nil {
		return append(errs, missing...)
	}
	return append(errs, joined(validation.IsDNS1035Label(strings.ToLower(k.Kind)), k.Kind, "may have mixed case, but should otherwise match: ", at.Child("kind"))...)
}

// joined makes one error of all messages about value.
func joined(msgs []string, value, before string, at *field.Path) field.ErrorList {
	if len(msgs) == 0 {
		return nil
	}
	return field.ErrorList{field.Invalid(at, value, before+strings.Join(msgs, ","))}
}
