package prioritylevelconfiguration

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	flowcontrolv1 "k8s.io/api/flowcontrol/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apiserver/pkg/apis/flowcontrol/bootstrap"
)

func valid() *level {
	l := &level{
		ObjectMeta: metav1.ObjectMeta{Name: "mine"},
		Spec: flowcontrolv1.PriorityLevelConfigurationSpec{
			Type: "Limited",
			Limited: &flowcontrolv1.LimitedPriorityLevelConfiguration{
				LimitResponse: flowcontrolv1.LimitResponse{Type: "Queue", Queuing: &flowcontrolv1.QueuingConfiguration{}},
			},
		},
	}
	setDefaults(l)
	return l
}

func TestLevelsThatAreRefused(t *testing.T) {
	limited := func(change func(*flowcontrolv1.LimitedPriorityLevelConfiguration)) func(*level) {
		return func(l *level) { change(l.Spec.Limited) }
	}
	queuing := func(change func(*flowcontrolv1.QueuingConfiguration)) func(*level) {
		return func(l *level) { change(l.Spec.Limited.LimitResponse.Queuing) }
	}
	exempt := &flowcontrolv1.ExemptPriorityLevelConfiguration{}
	for _, tc := range []struct {
		change func(*level)
		want   string
	}{
		{func(l *level) {}, ""},
		{func(l *level) { l.Spec.Type = "" }, "spec.type: Required value"},
		{func(l *level) { l.Spec.Type = "Free" }, `spec.type: Unsupported value: "Free": supported values: "Exempt", "Limited"`},
		{func(l *level) { l.Spec.Type = "Exempt" }, "spec.type: Invalid value: \"Exempt\": must be 'Exempt' if and only if `name` is 'exempt'"},
		{func(l *level) { l.Spec.Type = "Exempt" }, "spec.limited: Forbidden: must be nil if the type is not Limited"},
		{func(l *level) { l.Spec.Exempt = exempt }, "spec.exempt: Forbidden: must be nil if the type is Limited"},
		{func(l *level) { l.Spec.Limited = nil }, "spec.limited: Required value: must not be empty when type is Limited"},
		{func(l *level) {
			l.Annotations = map[string]string{"flowcontrol.k8s.io/v1beta3-preserve-zero-concurrency-shares": ""}
		}, "metadata.annotations: Forbidden: annotation 'flowcontrol.k8s.io/v1beta3-preserve-zero-concurrency-shares' is forbidden"},
		{limited(func(l *flowcontrolv1.LimitedPriorityLevelConfiguration) { l.NominalConcurrencyShares = new(int32(-1)) }), "spec.limited.nominalConcurrencyShares: Invalid value: -1: must be a non-negative integer"},
		{limited(func(l *flowcontrolv1.LimitedPriorityLevelConfiguration) { l.NominalConcurrencyShares = new(int32) }), ""},
		{limited(func(l *flowcontrolv1.LimitedPriorityLevelConfiguration) { l.LendablePercent = new(int32(101)) }), "spec.limited.lendablePercent: Invalid value: 101: must be between 0 and 100, inclusive"},
		{limited(func(l *flowcontrolv1.LimitedPriorityLevelConfiguration) { l.BorrowingLimitPercent = new(int32(-1)) }), "spec.limited.borrowingLimitPercent: Invalid value: -1: if specified, must be a non-negative integer"},
		{limited(func(l *flowcontrolv1.LimitedPriorityLevelConfiguration) { l.LimitResponse.Type = "" }), "spec.limited.limitResponse.type: Required value"},
		{limited(func(l *flowcontrolv1.LimitedPriorityLevelConfiguration) { l.LimitResponse.Type = "Shrug" }), `spec.limited.limitResponse.type: Unsupported value: "Shrug": supported values: "Queue", "Reject"`},
		{limited(func(l *flowcontrolv1.LimitedPriorityLevelConfiguration) { l.LimitResponse.Type = "Reject" }), "spec.limited.limitResponse.queuing: Forbidden: must be nil if limited.limitResponse.type is not Limited"},
		{limited(func(l *flowcontrolv1.LimitedPriorityLevelConfiguration) { l.LimitResponse.Queuing = nil }), "spec.limited.limitResponse.queuing: Required value: must not be empty if limited.limitResponse.type is Limited"},
		{queuing(func(q *flowcontrolv1.QueuingConfiguration) { q.QueueLengthLimit = -1 }), "spec.limited.limitResponse.queuing.queueLengthLimit: Invalid value: -1: must be positive"},
		{queuing(func(q *flowcontrolv1.QueuingConfiguration) { q.Queues = -1 }), "spec.limited.limitResponse.queuing.queues: Invalid value: -1: must be positive"},
		{queuing(func(q *flowcontrolv1.QueuingConfiguration) { q.Queues = 10_000_001 }), "queues: Invalid value: 10000001: must not be greater than 10000000"},
		{queuing(func(q *flowcontrolv1.QueuingConfiguration) { q.HandSize = -1 }), "handSize: Invalid value: -1: must be positive"},
		{queuing(func(q *flowcontrolv1.QueuingConfiguration) { q.HandSize = 65 }), "handSize: Invalid value: 65: should not be greater than queues (64)"},
		{queuing(func(q *flowcontrolv1.QueuingConfiguration) { q.HandSize, q.Queues = 9, 512 }), "handSize: Invalid value: 9: required entropy bits of deckSize 512 and handSize 9 should not be greater than 60"},
		{func(l *level) { l.Name = "catch-all" }, "spec of 'catch-all' must equal the fixed value"},
		{func(l *level) { l.Name = "exempt" }, "spec of 'exempt' except the 'spec.exempt' field must equal the fixed value"},
	} {
		l := valid()
		tc.change(l)
		if errs := validate(l); (tc.want == "") != (len(errs) == 0) || !strings.Contains(fmt.Sprint(errs), tc.want) {
			t.Errorf("%v, want %s", errs, tc.want)
		}
	}
}

func TestLevelsOfKubernetesAreValidAndDefaulted(t *testing.T) {
	for _, l := range slices.Concat(bootstrap.MandatoryPriorityLevelConfigurations, bootstrap.SuggestedPriorityLevelConfigurations) {
		same := l.DeepCopy()
		setDefaults(same)
		if errs := validate(same); len(errs) > 0 || same.String() != l.String() {
			t.Errorf("%s: %v", l.Name, errs)
		}
	}
	lends := bootstrap.MandatoryPriorityLevelConfigurationExempt.DeepCopy()
	lends.Spec.Exempt.NominalConcurrencyShares = new(int32(10))
	if errs := validate(lends); len(errs) > 0 {
		t.Errorf("the exempt level lends: %v", errs)
	}
}

func TestTableOfLevels(t *testing.T) {
	d := Definition()
	for want, l := range map[string]*level{
		"[mine Limited 30 64 8 50 <unknown>]":                   valid(),
		"[exempt Exempt <none> <none> <none> <none> <unknown>]": bootstrap.MandatoryPriorityLevelConfigurationExempt,
		"[catch-all Limited 5 <none> <none> <none> <unknown>]":  bootstrap.MandatoryPriorityLevelConfigurationCatchAll,
		"[leader-election Limited 10 16 4 50 <unknown>]":        bootstrap.SuggestedPriorityLevelConfigurationLeaderElection,
	} {
		if row := d.Columns.Row(l); fmt.Sprint(row) != want || len(row) != len(d.Columns.Columns) {
			t.Errorf("%v, want %s", row, want)
		}
	}
}
