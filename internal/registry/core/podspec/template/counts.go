package template

import (
	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// Number is a field of a spec or status.
type Number struct {
	Name  string
	Value int64
}

// NonNegative returns which of the numbers at path are less than zero.
func NonNegative(path *field.Path, numbers ...Number) field.ErrorList {
	var errs field.ErrorList
	for _, n := range numbers {
		errs = append(errs, apivalidation.ValidateNonnegativeField(n.Value, path.Child(n.Name))...)
	}
	return errs
}

// Counts are the numbers of pods in a status, of which some cannot be greater than
// others.
type Counts struct {
	Replicas         int32
	Labelled         int32 // fullyLabeledReplicas
	Updated          int32 // updatedReplicas
	Ready, Available int32
}

// ValidateCounts returns which numbers of a status at path cannot be.
func ValidateCounts(c Counts, path *field.Path) field.ErrorList {
	const beyond = "cannot be greater than status.replicas"
	var errs field.ErrorList
	for _, n := range []struct {
		name      string
		is, limit int32
		why       string
	}{
		{"fullyLabeledReplicas", c.Labelled, c.Replicas, beyond},
		{"updatedReplicas", c.Updated, c.Replicas, beyond},
		{"readyReplicas", c.Ready, c.Replicas, beyond},
		{"availableReplicas", c.Available, c.Replicas, beyond},
		{"availableReplicas", c.Available, c.Ready, "cannot be greater than readyReplicas"},
	} {
		if n.is > n.limit {
			errs = append(errs, field.Invalid(path.Child(n.name), n.is, n.why))
		}
	}
	return errs
}
