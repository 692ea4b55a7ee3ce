package apiextensions

import (
	"context"
	"fmt"

	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apiextensions-apiserver/pkg/registry/customresourcedefinition"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/apiserver/pkg/registry/rest"

	"laterna.dev/laterna/internal/registry/bounds"
	"laterna.dev/laterna/internal/registry/resource"
)

// Plural is the resource of definitions.
const Plural = "customresourcedefinitions"

// Version is the group-version of definitions.
var Version = apiextensionsv1.SchemeGroupVersion

// AddToScheme adds the types of the API, with their defaults and conversions.
func AddToScheme(s *runtime.Scheme) error {
	if err := apiextensionsv1.AddToScheme(s); err != nil {
		return err
	}
	s.AddTypeDefaultingFunc(&apiextensionsv1.CustomResourceDefinition{}, func(obj any) {
		c := obj.(*apiextensionsv1.CustomResourceDefinition)
		apiextensionsv1.SetObjectDefaults_CustomResourceDefinition(c)
		// Of conditions that are null `kubectl wait --for=condition=Established` fails, which
		// is what people type right after the definition.
		if c.Status.Conditions == nil {
			c.Status.Conditions = []apiextensionsv1.CustomResourceDefinitionCondition{}
		}
	})
	return nil
}

// Hub adds the types that the library works on.
func Hub(s *runtime.Scheme) error { return apiextensions.AddToScheme(s) }

// Storages returns the storages of definitions. begin is called before a definition is
// stored, and returns when custom resources are served.
func Storages(env resource.Env, begin func(context.Context) error) (map[string]rest.Storage, error) {
	stored, err := customresourcedefinition.NewREST(env.Scheme, env.Getter)
	if err != nil {
		return nil, fmt.Errorf("storage of %s: %w", Plural, err)
	}
	return map[string]rest.Storage{
		Plural:             &definitions{stored, begin},
		Plural + "/status": customresourcedefinition.NewStatusREST(env.Scheme, stored),
	}, nil
}

// definitions are stored once somebody serves what they define.
type definitions struct {
	*customresourcedefinition.REST
	begin func(context.Context) error
}

// Create implements rest.Creater.
func (d *definitions) Create(ctx context.Context, obj runtime.Object, validate rest.ValidateObjectFunc, options *metav1.CreateOptions) (runtime.Object, error) {
	if err := few(obj); err != nil {
		return nil, err
	}
	return d.REST.Create(ctx, obj, d.begun(validate, options.DryRun), options)
}

// Update implements rest.Updater. Server-side apply makes objects that there are not.
func (d *definitions) Update(ctx context.Context, name string, change rest.UpdatedObjectInfo, validateNew rest.ValidateObjectFunc, validate rest.ValidateObjectUpdateFunc, create bool, options *metav1.UpdateOptions) (runtime.Object, bool, error) {
	change = rest.WrapUpdatedObjectInfo(change, func(_ context.Context, obj, _ runtime.Object) (runtime.Object, error) { return obj, few(obj) })
	return d.REST.Update(ctx, name, change, d.begun(validateNew, options.DryRun), validate, create, options)
}

// maxVersions bounds the versions of a definition, maxColumns the columns of each: the
// library compares each with all others, and lists every fault.
const maxVersions, maxColumns = 100, 100

// few refuses definitions with more parts than anybody has use for.
func few(obj runtime.Object) error {
	c, ok := obj.(*apiextensions.CustomResourceDefinition)
	if !ok {
		return nil
	}
	var errs field.ErrorList
	at := field.NewPath("spec", "versions")
	if n := len(c.Spec.Versions); n > maxVersions {
		errs = append(errs, field.TooMany(at, n, maxVersions))
	}
	for i := range c.Spec.Versions {
		if n := len(c.Spec.Versions[i].AdditionalPrinterColumns); n > maxColumns {
			errs = append(errs, field.TooMany(at.Index(i).Child("additionalPrinterColumns"), n, maxColumns))
		}
	}
	if n := len(c.Spec.AdditionalPrinterColumns); n > maxColumns {
		errs = append(errs, field.TooMany(field.NewPath("spec", "additionalPrinterColumns"), n, maxColumns))
	}
	if len(errs) == 0 {
		return inMetadata(apiextensions.Kind("CustomResourceDefinition"), c)
	}
	return bounds.Invalid(apiextensions.Kind("CustomResourceDefinition"), c.Name, errs)
}

// begun is the last thing that happens before a new object is stored.
func (d *definitions) begun(validate rest.ValidateObjectFunc, dryRun []string) rest.ValidateObjectFunc {
	return func(ctx context.Context, obj runtime.Object) error {
		if validate != nil {
			if err := validate(ctx, obj); err != nil {
				return err
			}
		}
		if len(dryRun) > 0 {
			return nil
		}
		return d.begin(ctx)
	}
}
