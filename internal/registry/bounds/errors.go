package bounds

import (
	"encoding/json"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

const (
	// MaxErrors is how many mistakes an answer lists; as many as the decoder lists
	// unknown and duplicate fields.
	MaxErrors = 100
	// maxShown is how much of the values that are wrong an answer repeats, in bytes.
	maxShown = 64 << 10
)

// Full tells that there is no use in looking for further mistakes.
func Full(errs field.ErrorList) bool { return len(errs) > MaxErrors }

// Errors returns the first MaxErrors of errs, and one more that says how many there
// are. Values that are large are left out. The library puts the text of an answer
// together in time that grows with the square of its length.
func Errors(errs field.ErrorList) field.ErrorList {
	kept := errs
	if len(errs) > MaxErrors {
		kept = append(errs[:MaxErrors:MaxErrors], &field.Error{
			Type:     field.ErrorTypeTooMany,
			Field:    errs[MaxErrors].Field,
			BadValue: field.OmitValueType{},
			Detail:   fmt.Sprintf("only the first %d errors are listed", MaxErrors),
		})
	}
	left := maxShown
	for _, e := range kept {
		if left -= size(e.BadValue, left); left < 0 {
			left = 0
			e.BadValue = field.OmitValueType{}
		}
	}
	return kept
}

// size returns how many bytes of an answer a wrong value takes, or more than limit.
func size(value any, limit int) int {
	switch v := value.(type) {
	case nil, field.OmitValueType, bool, int, int32, int64, float64:
		return 0
	case string:
		return len(v)
	}
	text, err := json.Marshal(value)
	if err != nil {
		return limit + 1
	}
	return len(text)
}

// Invalid is the answer (422) to an object with mistakes, of which it lists those that
// Errors returns. Nobody else makes such an answer.
func Invalid(kind schema.GroupKind, name string, errs field.ErrorList) *apierrors.StatusError {
	return apierrors.NewInvalid(kind, name, Errors(errs))
}
