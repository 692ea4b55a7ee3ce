package quantity

import (
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/resource"
)

func TestCap(t *testing.T) {
	for in, want := range map[string]string{
		"1": "1", "1e3": "1e3", "100m": "100m", "1Gi": "1Gi", "1e18": "1e18", "9e18": "9e18", "1E": "1E", "-5": "-5", "1e-9": "1n",
		"1e1000000": "9223372036854775807", "-1e1000000": "-9223372036854775807", "0e1000000": "0", "12e100": "9223372036854775807",
	} {
		start := time.Now()
		got := Cap(resource.MustParse(in))
		got.Cmp(resource.MustParse("1"))
		if got.String() != want && got.Cmp(resource.MustParse(want)) != 0 {
			t.Errorf("%s capped to %s, want %s", in, got.String(), want)
		}
		if took := time.Since(start); took > time.Second {
			t.Errorf("%s took %v", in, took)
		}
	}
}
