// Package prioritylevelconfiguration owns the PriorityLevelConfiguration kind of
// flowcontrol.apiserver.k8s.io/v1: defaults, validation, table and storage with the status
// subresource.
//
// How requests of a level share what it has is the library's, in internal/apiserver/fairness;
// which requests belong to a level is said by registry/flowcontrol/flowschema, and which
// levels always exist by registry/flowcontrol/bootstrap.
package prioritylevelconfiguration

import (
	"cmp"

	flowcontrolv1 "k8s.io/api/flowcontrol/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"laterna.dev/laterna/internal/registry/resource"
)

type level = flowcontrolv1.PriorityLevelConfiguration

// What a level has that does not say.
const (
	defaultShares      = 30
	defaultHandSize    = 8
	defaultQueues      = 64
	defaultQueueLength = 50
)

// Definition describes priority levels.
func Definition() resource.Definition[*level] {
	halves := resource.Halves[*level, flowcontrolv1.PriorityLevelConfigurationSpec, flowcontrolv1.PriorityLevelConfigurationStatus]{
		Spec:   func(l *level) *flowcontrolv1.PriorityLevelConfigurationSpec { return &l.Spec },
		Status: func(l *level) *flowcontrolv1.PriorityLevelConfigurationStatus { return &l.Status },
	}
	status := halves.Sub(func(l, _ *level) field.ErrorList { return validateStatus(&l.Status) })
	resource.KeepMetadata(status)
	return resource.Definition[*level]{
		GroupVersion: flowcontrolv1.SchemeGroupVersion,
		Plural:       "prioritylevelconfigurations",
		Singular:     "prioritylevelconfiguration",
		New:          func() *level { return &level{} },
		NewList:      func() runtime.Object { return &flowcontrolv1.PriorityLevelConfigurationList{} },
		Default:      setDefaults,
		Rules:        halves.Main(validate, func(l, _ *level) field.ErrorList { return validate(l) }),
		Status:       status,
		Columns:      columns(),
	}
}

func setDefaults(l *level) {
	if e := l.Spec.Exempt; e != nil {
		e.NominalConcurrencyShares = cmp.Or(e.NominalConcurrencyShares, new(int32))
		e.LendablePercent = cmp.Or(e.LendablePercent, new(int32))
	}
	limited := l.Spec.Limited
	if limited == nil {
		return
	}
	limited.NominalConcurrencyShares = cmp.Or(limited.NominalConcurrencyShares, new(int32(defaultShares)))
	limited.LendablePercent = cmp.Or(limited.LendablePercent, new(int32))
	if q := limited.LimitResponse.Queuing; q != nil {
		q.HandSize = cmp.Or(q.HandSize, defaultHandSize)
		q.Queues = cmp.Or(q.Queues, defaultQueues)
		q.QueueLengthLimit = cmp.Or(q.QueueLengthLimit, defaultQueueLength)
	}
}

func columns() resource.Columns[*level] {
	queuing := flowcontrolv1.QueuingConfiguration{}.SwaggerDoc()
	return resource.Columns[*level]{
		Columns: []resource.Column{
			resource.Name(),
			{Name: "Type", Type: "string", Description: flowcontrolv1.PriorityLevelConfigurationSpec{}.SwaggerDoc()["type"]},
			{Name: "NominalConcurrencyShares", Type: "string", Description: flowcontrolv1.LimitedPriorityLevelConfiguration{}.SwaggerDoc()["nominalConcurrencyShares"]},
			{Name: "Queues", Type: "string", Description: queuing["queues"]},
			{Name: "HandSize", Type: "string", Description: queuing["handSize"]},
			{Name: "QueueLengthLimit", Type: "string", Description: queuing["queueLengthLimit"]},
			resource.AgeColumn(),
		},
		Row: func(l *level) []any {
			row := []any{l.Name, string(l.Spec.Type), "<none>", "<none>", "<none>", "<none>", resource.Age(l)}
			limited := l.Spec.Limited
			if limited == nil {
				return row
			}
			if shares := limited.NominalConcurrencyShares; shares != nil {
				row[2] = int64(*shares)
			}
			if q := limited.LimitResponse.Queuing; q != nil {
				row[3], row[4], row[5] = int64(q.Queues), int64(q.HandSize), int64(q.QueueLengthLimit)
			}
			return row
		},
	}
}
