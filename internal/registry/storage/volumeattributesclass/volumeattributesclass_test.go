package volumeattributesclass

import (
	"fmt"
	"strings"
	"testing"
)

func TestClassesThatAreRefused(t *testing.T) {
	some := map[string]string{"a": "b"}
	for name, tc := range map[string]struct {
		class class
		want  string
	}{
		"good":          {class{DriverName: "a.b", Parameters: some}, "<nil>"},
		"no driver":     {class{Parameters: some}, "driverName: Required value"},
		"no parameters": {class{DriverName: "a.b"}, "parameters: Required value: must contain at least one key/value pair"},
	} {
		if got := fmt.Sprint(validate(&tc.class).ToAggregate()); !strings.Contains(got, tc.want) {
			t.Errorf("%s: %s, want %s", name, got, tc.want)
		}
	}
	got := fmt.Sprint(validateChange(&class{DriverName: "a", Parameters: some}, &class{DriverName: "b"}))
	if want := "[driverName: Forbidden: updates to driverName are forbidden. parameters: Forbidden: updates to parameters are forbidden.]"; got != want {
		t.Errorf("another: %s, want %s", got, want)
	}
}
