package csistoragecapacity

import (
	"fmt"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func TestCapacitiesThatAreRefused(t *testing.T) {
	odd := &metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{{Key: "a", Operator: metav1.LabelSelectorOpIn, Values: []string{"-"}}}}
	rules := Definition().Rules
	for name, tc := range map[string]struct {
		capacity capacity
		want     string
	}{
		"good":     {capacity{StorageClassName: "a", Capacity: new(resource.MustParse("0"))}, "<nil>"},
		"no class": {capacity{}, "storageClassName: Invalid value"},
		"negative": {capacity{StorageClassName: "a", Capacity: new(resource.MustParse("-1"))}, `capacity: Invalid value: "-1": must be greater than or equal to 0`},
		"topology": {capacity{StorageClassName: "a", NodeTopology: odd}, "nodeTopology.matchExpressions[0].values[0]: Invalid value"},
	} {
		if got := fmt.Sprint(rules.Validate(t.Context(), &tc.capacity).ToAggregate()); !strings.Contains(got, tc.want) {
			t.Errorf("%s: %s, want %s", name, got, tc.want)
		}
	}
	had := &capacity{StorageClassName: "a", NodeTopology: odd}
	if errs := rules.ValidateUpdate(t.Context(), had, had); len(errs) > 0 {
		t.Errorf("what was there is refused: %v", errs)
	}
	if errs := rules.ValidateUpdate(t.Context(), &capacity{StorageClassName: "b"}, had); len(errs) != 2 {
		t.Errorf("another: %v", errs)
	}
}
