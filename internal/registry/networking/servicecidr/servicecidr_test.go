package servicecidr

import (
	"strings"
	"testing"

	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func of(cidrs ...string) *networkingv1.ServiceCIDR {
	return &networkingv1.ServiceCIDR{Spec: networkingv1.ServiceCIDRSpec{CIDRs: cidrs}}
}

func TestRangesThatAreRefused(t *testing.T) {
	for _, tc := range []struct {
		cidrs []string
		want  string
	}{
		{[]string{"10.0.0.0/24"}, ""},
		{[]string{"fd00::/112", "10.0.0.0/24"}, ""},
		{nil, "spec.cidrs: Required value: at least one CIDR required"},
		{[]string{"10.0.0.0/24", "fd00::/112", "10.1.0.0/24"}, "may only hold up to 2 values"},
		{[]string{"10.0.0.1/24"}, "spec.cidrs[0]: Invalid value: \"10.0.0.1/24\""},
		{[]string{"10.0.0.0/24", "x"}, "spec.cidrs[1]: Invalid value: \"x\""},
		{[]string{"10.0.0.0/24", "10.1.0.0/24"}, "may specify no more than one IP for each IP family, i.e 192.168.0.0/24 and 2001:db8::/64"},
		{[]string{"fd00::/112", "fd01::/112"}, "may specify no more than one IP for each IP family"},
	} {
		err := validate(of(tc.cidrs...)).ToAggregate()
		if (err == nil) != (tc.want == "") || err != nil && !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%v: %v, want %s", tc.cidrs, err, tc.want)
		}
	}
}

func TestRangesOnlyGetASecondFamily(t *testing.T) {
	for _, tc := range []struct {
		was, is []string
		want    string
	}{
		{[]string{"10.0.0.0/24"}, []string{"10.0.0.0/24"}, ""},
		{[]string{"10.0.0.0/24"}, []string{"10.0.0.0/24", "fd00::/112"}, ""},
		{[]string{"10.0.0.0/24"}, []string{"10.0.0.0/16"}, "spec.cidrs[0]: Invalid value: \"10.0.0.0/16\": field is immutable"},
		{[]string{"10.0.0.0/24"}, []string{"fd00::/112", "10.0.0.0/24"}, "spec.cidrs[0]: Invalid value"},
		{[]string{"10.0.0.0/24"}, []string{"10.0.0.0/24", "10.1.0.0/24"}, "may specify no more than one IP for each IP family"},
		{[]string{"10.0.0.0/24", "fd00::/112"}, []string{"10.0.0.0/24"}, "spec.cidrs: Invalid value: [\"10.0.0.0/24\"]: field is immutable"},
		{[]string{"10.0.0.0/24"}, nil, "spec.cidrs: Invalid value"},
	} {
		err := validateChange(of(tc.is...), of(tc.was...)).ToAggregate()
		if (err == nil) != (tc.want == "") || err != nil && !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%v to %v: %v, want %s", tc.was, tc.is, err, tc.want)
		}
	}
}

func TestStatusIsWrittenAlone(t *testing.T) {
	old, now := of("10.0.0.0/24"), of("10.1.0.0/24")
	now.Labels = map[string]string{"a": "b"}
	now.Status.Conditions = []metav1.Condition{{Type: networkingv1.ServiceCIDRConditionReady}}
	Definition().Status.PrepareUpdate(t.Context(), now, old)
	if now.Spec.CIDRs[0] != "10.0.0.0/24" || now.Labels != nil || len(now.Status.Conditions) != 1 {
		t.Errorf("got %+v", now)
	}
	made := of("10.0.0.0/24")
	made.Status = now.Status
	Definition().Rules.PrepareCreate(t.Context(), made)
	if made.Status.Conditions != nil {
		t.Errorf("created with %+v", made.Status)
	}
	if row := columns().Row(of("10.0.0.0/24", "fd00::/112")); row[1] != "10.0.0.0/24,fd00::/112" || len(row) != len(columns().Columns) {
		t.Errorf("row %v", row)
	}
}
