package storageclass

import (
	"fmt"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
)

func of(change func(*class)) *class {
	c := &class{Provisioner: "Example.com/a"}
	if change != nil {
		change(c)
	}
	setDefaults(c)
	return c
}

func topology(values ...string) corev1.TopologySelectorTerm {
	return corev1.TopologySelectorTerm{MatchLabelExpressions: []corev1.TopologySelectorLabelRequirement{{Key: "zone", Values: values}}}
}

func TestClassesThatAreRefused(t *testing.T) {
	many := map[string]string{}
	for i := range 513 {
		many[fmt.Sprint(i)] = ""
	}
	for name, tc := range map[string]struct {
		change func(*class)
		want   string
	}{
		"good":           {func(c *class) { c.AllowedTopologies = []corev1.TopologySelectorTerm{topology("a"), topology("b")} }, "<nil>"},
		"no provisioner": {func(c *class) { c.Provisioner = "" }, "provisioner: Required value"},
		"provisioner":    {func(c *class) { c.Provisioner = "a b" }, `provisioner: Invalid value: "a b"`},
		"many":           {func(c *class) { c.Parameters = many }, "parameters: Too long: may not be more than 512 bytes"},
		"large":          {func(c *class) { c.Parameters = map[string]string{"a": strings.Repeat("a", 256*1024)} }, "parameters: Too long"},
		"no key":         {func(c *class) { c.Parameters = map[string]string{"": "a"} }, `parameters: Invalid value: "": field can not be empty.`},
		"policy":         {func(c *class) { c.ReclaimPolicy = new(corev1.PersistentVolumeReclaimRecycle) }, `reclaimPolicy: Unsupported value: "Recycle": supported values: "Delete", "Retain"`},
		"mode":           {func(c *class) { c.VolumeBindingMode = new(storagev1.VolumeBindingMode("x")) }, `volumeBindingMode: Unsupported value: "x"`},
		"no values":      {func(c *class) { c.AllowedTopologies = []corev1.TopologySelectorTerm{topology()} }, "allowedTopologies[0].matchLabelExpressions[0].values: Required value"},
		"same values":    {func(c *class) { c.AllowedTopologies = []corev1.TopologySelectorTerm{topology("a", "a")} }, "allowedTopologies[0].matchLabelExpressions[0].values[1]: Duplicate value"},
		"same terms":     {func(c *class) { c.AllowedTopologies = []corev1.TopologySelectorTerm{topology("a"), topology("a")} }, "allowedTopologies[1].matchLabelExpressions: Duplicate value"},
	} {
		if got := fmt.Sprint(validate(of(tc.change)).ToAggregate()); !strings.Contains(got, tc.want) {
			t.Errorf("%s: %s, want %s", name, got, tc.want)
		}
	}
}

func TestClassesHardlyChange(t *testing.T) {
	other := of(func(c *class) {
		c.Parameters, c.Provisioner, c.ReclaimPolicy = map[string]string{"a": "b"}, "b", new(corev1.PersistentVolumeReclaimRetain)
		c.VolumeBindingMode = new(storagev1.VolumeBindingWaitForFirstConsumer)
	})
	got := fmt.Sprint(validateChange(other, of(nil)))
	for _, want := range []string{"parameters: Forbidden: updates to parameters are forbidden.", "provisioner: Forbidden", "reclaimPolicy: Forbidden", "volumeBindingMode: Invalid value"} {
		if !strings.Contains(got, want) {
			t.Errorf("%s lacks %s", got, want)
		}
	}
	if errs := validateChange(of(func(c *class) { c.AllowVolumeExpansion = new(true) }), of(nil)); len(errs) > 0 {
		t.Errorf("it may grow volumes: %v", errs)
	}
}

func TestRowsOfClasses(t *testing.T) {
	c := of(func(c *class) { c.Name, c.Annotations = "fast", map[string]string{defaultAnnotations[0]: "true"} })
	if got, want := fmt.Sprint(columns().Row(c)), "[fast (default) Example.com/a Delete Immediate false <unknown>]"; got != want {
		t.Errorf("row %s, want %s", got, want)
	}
}
