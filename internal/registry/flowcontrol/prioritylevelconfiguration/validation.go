package prioritylevelconfiguration

import (
	"fmt"

	flowcontrolv1 "k8s.io/api/flowcontrol/v1"
	flowcontrolv1beta3 "k8s.io/api/flowcontrol/v1beta3"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/apiserver/pkg/apis/flowcontrol/bootstrap"
	"k8s.io/apiserver/pkg/util/shufflesharding"
)

// mostQueues is how many queues a level may have.
const mostQueues = 10_000_000

var (
	types     = []flowcontrolv1.PriorityLevelEnablement{flowcontrolv1.PriorityLevelEnablementExempt, flowcontrolv1.PriorityLevelEnablementLimited}
	responses = []flowcontrolv1.LimitResponseType{flowcontrolv1.LimitResponseTypeQueue, flowcontrolv1.LimitResponseTypeReject}
)

func validate(l *level) (errs field.ErrorList) {
	const versionBefore = flowcontrolv1beta3.PriorityLevelPreserveZeroConcurrencySharesKey
	if _, ok := l.Annotations[versionBefore]; ok {
		errs = append(errs, field.Forbidden(field.NewPath("metadata", "annotations"), fmt.Sprintf("annotation '%s' is forbidden", versionBefore)))
	}
	at := field.NewPath("spec")
	errs = append(errs, validateSpec(l.Name, &l.Spec, at)...)
	errs = append(errs, validateFixed(l, at)...)
	return append(errs, validateStatus(&l.Status)...)
}

// validateFixed keeps the mandatory levels as they are, but for what the exempt one lends.
func validateFixed(l *level, at *field.Path) field.ErrorList {
	for _, fixed := range bootstrap.MandatoryPriorityLevelConfigurations {
		if fixed.Name != l.Name {
			continue
		}
		want, but := fixed.Spec, ""
		if l.Name == flowcontrolv1.PriorityLevelConfigurationNameExempt {
			want.Exempt, but = l.Spec.Exempt, " except the 'spec.exempt' field"
		}
		if !equality.Semantic.DeepEqual(want, l.Spec) {
			return field.ErrorList{field.Invalid(at, l.Spec, fmt.Sprintf("spec of '%s'%s must equal the fixed value", l.Name, but))}
		}
	}
	return nil
}

func validateSpec(name string, s *flowcontrolv1.PriorityLevelConfigurationSpec, at *field.Path) (errs field.ErrorList) {
	if (name == flowcontrolv1.PriorityLevelConfigurationNameExempt) != (s.Type == flowcontrolv1.PriorityLevelEnablementExempt) {
		errs = append(errs, field.Invalid(at.Child("type"), s.Type, "must be 'Exempt' if and only if `name` is 'exempt'"))
	}
	limited, exempt := at.Child("limited"), at.Child("exempt")
	switch s.Type {
	case flowcontrolv1.PriorityLevelEnablementExempt:
		if s.Limited != nil {
			errs = append(errs, field.Forbidden(limited, "must be nil if the type is not Limited"))
		}
		if e := s.Exempt; e != nil {
			errs = append(errs, validateShares(e.NominalConcurrencyShares, e.LendablePercent, exempt)...)
		}
	case flowcontrolv1.PriorityLevelEnablementLimited:
		if s.Exempt != nil {
			errs = append(errs, field.Forbidden(exempt, "must be nil if the type is Limited"))
		}
		if s.Limited == nil {
			return append(errs, field.Required(limited, "must not be empty when type is Limited"))
		}
		errs = append(errs, validateLimited(s.Limited, limited)...)
	case "":
		errs = append(errs, field.Required(at.Child("type"), ""))
	default:
		errs = append(errs, field.NotSupported(at.Child("type"), s.Type, types))
	}
	return errs
}

func validateShares(shares, lendable *int32, at *field.Path) (errs field.ErrorList) {
	if shares != nil && *shares < 0 {
		errs = append(errs, field.Invalid(at.Child("nominalConcurrencyShares"), *shares, "must be a non-negative integer"))
	}
	if lendable != nil && (*lendable < 0 || *lendable > 100) {
		errs = append(errs, field.Invalid(at.Child("lendablePercent"), *lendable, "must be between 0 and 100, inclusive"))
	}
	return errs
}

func validateLimited(l *flowcontrolv1.LimitedPriorityLevelConfiguration, at *field.Path) field.ErrorList {
	errs := validateShares(l.NominalConcurrencyShares, l.LendablePercent, at)
	errs = append(errs, validateResponse(&l.LimitResponse, at.Child("limitResponse"))...)
	if limit := l.BorrowingLimitPercent; limit != nil && *limit < 0 {
		errs = append(errs, field.Invalid(at.Child("borrowingLimitPercent"), *limit, "if specified, must be a non-negative integer"))
	}
	return errs
}

func validateResponse(r *flowcontrolv1.LimitResponse, at *field.Path) field.ErrorList {
	queuing := at.Child("queuing")
	switch r.Type {
	case flowcontrolv1.LimitResponseTypeReject:
		if r.Queuing != nil {
			return field.ErrorList{field.Forbidden(queuing, "must be nil if limited.limitResponse.type is not Limited")}
		}
	case flowcontrolv1.LimitResponseTypeQueue:
		if r.Queuing == nil {
			return field.ErrorList{field.Required(queuing, "must not be empty if limited.limitResponse.type is Limited")}
		}
		return validateQueuing(r.Queuing, queuing)
	case "":
		return field.ErrorList{field.Required(at.Child("type"), "")}
	default:
		return field.ErrorList{field.NotSupported(at.Child("type"), r.Type, responses)}
	}
	return nil
}

func validateQueuing(q *flowcontrolv1.QueuingConfiguration, at *field.Path) (errs field.ErrorList) {
	wrong := func(name string, value int32, why string) {
		errs = append(errs, field.Invalid(at.Child(name), value, why))
	}
	const positive = "must be positive"
	if q.QueueLengthLimit <= 0 {
		wrong("queueLengthLimit", q.QueueLengthLimit, positive)
	}
	switch {
	case q.Queues <= 0:
		wrong("queues", q.Queues, positive)
	case q.Queues > mostQueues:
		wrong("queues", q.Queues, fmt.Sprintf("must not be greater than %d", mostQueues))
	}
	switch {
	case q.HandSize <= 0:
		wrong("handSize", q.HandSize, positive)
	case q.HandSize > q.Queues:
		wrong("handSize", q.HandSize, fmt.Sprintf("should not be greater than queues (%d)", q.Queues))
	default:
		if bits := shufflesharding.RequiredEntropyBits(int(q.Queues), int(q.HandSize)); bits > shufflesharding.MaxHashBits {
			wrong("handSize", q.HandSize, fmt.Sprintf("required entropy bits of deckSize %d and handSize %d should not be greater than %d", q.Queues, q.HandSize, shufflesharding.MaxHashBits))
		}
	}
	return errs
}

func validateStatus(s *flowcontrolv1.PriorityLevelConfigurationStatus) (errs field.ErrorList) {
	seen := map[flowcontrolv1.PriorityLevelConfigurationConditionType]bool{}
	for i, c := range s.Conditions {
		at := field.NewPath("status", "conditions").Index(i).Child("type")
		if seen[c.Type] {
			errs = append(errs, field.Duplicate(at, c.Type))
		}
		seen[c.Type] = true
		if c.Type == "" {
			errs = append(errs, field.Required(at, ""))
		}
	}
	return errs
}
