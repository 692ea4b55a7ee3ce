package devices

import (
	"strings"

	corev1 "k8s.io/api/core/v1"
	resourcev1 "k8s.io/api/resource/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"laterna.dev/laterna/internal/registry/resource"
)

type class = resourcev1.DeviceClass

// Classes describes kinds of devices that claims can name.
func Classes() resource.Definition[*class] {
	halves := resource.Halves[*class, resourcev1.DeviceClassSpec, struct{}]{Spec: func(c *class) *resourcev1.DeviceClassSpec { return &c.Spec }}
	rules := halves.Main(validateClass, nil)
	rules.WarnCreate = resource.OnlyStored[*class]("spec: " + unserved)
	return resource.Definition[*class]{
		GroupVersion:  resourcev1.SchemeGroupVersion,
		Plural:        "deviceclasses",
		Singular:      "deviceclass",
		New:           func() *class { return &class{} },
		NewList:       func() runtime.Object { return &resourcev1.DeviceClassList{} },
		Rules:         rules,
		ReturnDeleted: true,
	}
}

func validateClass(c *class) field.ErrorList {
	errs := validateSelectors(c.Spec.Selectors, spec.Child("selectors"))
	errs = append(errs, each(c.Spec.Config, resourcev1.DeviceConfigMaxSize, spec.Child("config"), func(c *resourcev1.DeviceClassConfiguration, at *field.Path) field.ErrorList {
		return validateConfig(&c.DeviceConfiguration, at)
	})...)
	if name := c.Spec.ExtendedResourceName; name != nil && !extended(*name) {
		errs = append(errs, field.Invalid(spec.Child("extendedResourceName"), *name, "must be a valid extended resource name"))
	}
	return errs
}

// extended tells whether a name is of a resource that nodes have beside those of
// Kubernetes.
func extended(name string) bool {
	domain, _, qualified := strings.Cut(name, "/")
	if !qualified || strings.Contains(domain, strings.TrimSuffix(corev1.ResourceDefaultNamespacePrefix, "/")) || strings.HasPrefix(name, corev1.DefaultResourceRequestsPrefix) {
		return false
	}
	return len(validation.IsQualifiedName(corev1.DefaultResourceRequestsPrefix+name)) == 0
}
