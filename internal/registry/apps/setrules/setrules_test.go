package setrules

import (
	"fmt"
	"testing"

	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

var at = field.NewPath("at")

func TestNumbersThatMayBePercentages(t *testing.T) {
	const percent = "a valid percent string must be a numeric string followed by an ending '%' (e.g. '1%',  or '93%', regex used for validation is '[0-9]+%')"
	for value, tc := range map[intstr.IntOrString]struct {
		want string
		zero bool
	}{
		intstr.FromInt32(0):                       {"", true},
		intstr.FromInt32(3):                       {"", false},
		intstr.FromInt32(-1):                      {"at: Invalid value: -1: must be greater than or equal to 0", false},
		intstr.FromString("0%"):                   {"", true},
		intstr.FromString("000%"):                 {"", true},
		intstr.FromString("100%"):                 {"", false},
		intstr.FromString("00100%"):               {"", false},
		intstr.FromString("101%"):                 {`at: Invalid value: "101%": must not be greater than 100%`, false},
		intstr.FromString("1e9%"):                 {`at: Invalid value: "1e9%": ` + percent, true},
		intstr.FromString("-1%"):                  {`at: Invalid value: "-1%": ` + percent, true},
		intstr.FromString("ten"):                  {`at: Invalid value: "ten": ` + percent, true},
		intstr.FromString("9999999999999999999%"): {`at: Invalid value: "9999999999999999999%": must not be greater than 100%`, false},
	} {
		got := ""
		if err := IntOrPercent(value, at).ToAggregate(); err != nil {
			got = err.Error()
		}
		if got != tc.want || IsZero(&value) != tc.zero {
			t.Errorf("%s: %q, want %q; zero %v", value.String(), got, tc.want, IsZero(&value))
		}
	}
	if !IsZero(nil) {
		t.Error("what is not set is something")
	}
}

func TestCollisions(t *testing.T) {
	for name, tc := range map[string]struct {
		errs field.ErrorList
		want string
	}{
		"fewer":         {Collisions(new(int32(1)), new(int32(2)), at), "[at: Invalid value: 1: cannot be decremented]"},
		"none any more": {Collisions(nil, new(int32(2)), at), "[at: Invalid value: 0: cannot be decremented]"},
		"as many":       {append(Collisions(new(int32(2)), new(int32(2)), at), Collisions(nil, nil, at)...), "[]"},
	} {
		if got := fmt.Sprint(tc.errs); got != tc.want {
			t.Errorf("%s: %s, want %s", name, got, tc.want)
		}
	}
}
