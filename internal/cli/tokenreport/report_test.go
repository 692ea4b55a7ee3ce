package tokenreport

import (
	"strings"
	"testing"

	"laterna.dev/laterna/internal/inspect"
)

func TestLifeBar(t *testing.T) {
	for _, tc := range []struct {
		over     float64
		rotation *inspect.Rotation
		want     string
	}{
		{0, nil, strings.Repeat("░", 40)},
		{0.001, &inspect.Rotation{Part: 0.8}, strings.Repeat("░", 32) + "│" + strings.Repeat("░", 7)},
		{0.5, &inspect.Rotation{Part: 0.8}, strings.Repeat("█", 20) + strings.Repeat("░", 12) + "│" + strings.Repeat("░", 7)},
		{1, &inspect.Rotation{Part: 0.00001}, "│" + strings.Repeat("█", 39)},
		{1, &inspect.Rotation{Part: 1}, strings.Repeat("█", 39) + "│"},
	} {
		if got := lifeBar(&inspect.Life{Over: tc.over, Rotation: tc.rotation}); got != tc.want {
			t.Errorf("over %v: %s, want %s", tc.over, got, tc.want)
		}
	}
}

// TestOnlyAPodsVolumeIsSaidToBeReplaced holds for copies: no agent keeps them.
func TestOnlyAPodsVolumeIsSaidToBeReplaced(t *testing.T) {
	for _, tt := range []struct {
		inVolume, later bool
		want            string
	}{
		{true, true, "the agent replaces the file"},
		{true, false, "the agent should have replaced the file"},
		{false, true, "in a pod's volume, the agent replaces it"},
		{false, false, "in a pod's volume, the agent would have replaced it"},
	} {
		if got := (&reportPrinter{inVolume: tt.inVolume}).replaced(tt.later); got != tt.want {
			t.Errorf("in a volume %v, later %v: %q", tt.inVolume, tt.later, got)
		}
	}
}
