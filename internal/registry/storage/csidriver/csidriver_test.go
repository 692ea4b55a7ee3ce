package csidriver

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/utils/ptr"
)

func driver(change func(*storagev1.CSIDriver)) *storagev1.CSIDriver {
	d := &storagev1.CSIDriver{}
	d.Name = "a.example.com"
	if change != nil {
		change(d)
	}
	setDefaults(d)
	return d
}

func TestDriversThatAreRefused(t *testing.T) {
	for name, tc := range map[string]struct {
		change func(*storagev1.CSIDriver)
		want   string
	}{
		"good":         {nil, ""},
		"long name":    {func(d *storagev1.CSIDriver) { d.Name = strings.Repeat("n", 64) }, "name: Too long"},
		"group policy": {func(d *storagev1.CSIDriver) { d.Spec.FSGroupPolicy = ptr.To[storagev1.FSGroupPolicy]("x") }, "spec.fsGroupPolicy: Unsupported value"},
		"mode":         {func(d *storagev1.CSIDriver) { d.Spec.VolumeLifecycleModes = []storagev1.VolumeLifecycleMode{"x"} }, "spec.volumeLifecycleModes: Unsupported value"},
		"short token": {func(d *storagev1.CSIDriver) {
			d.Spec.TokenRequests = []storagev1.TokenRequest{{ExpirationSeconds: ptr.To[int64](599)}}
		}, "may not specify a duration less than 10 minutes"},
		"long token": {func(d *storagev1.CSIDriver) {
			d.Spec.TokenRequests = []storagev1.TokenRequest{{ExpirationSeconds: ptr.To[int64](1<<32 + 1)}}
		}, "may not specify a duration larger than 2^32 seconds"},
		"same audience": {func(d *storagev1.CSIDriver) { d.Spec.TokenRequests = make([]storagev1.TokenRequest, 2) }, "spec.tokenRequests[1].audience: Duplicate value"},
	} {
		if errs := validate(driver(tc.change)); (tc.want == "") != (len(errs) == 0) || !strings.Contains(fmt.Sprint(errs), tc.want) {
			t.Errorf("%s: %v, want %s", name, errs, tc.want)
		}
	}
	other := driver(func(d *storagev1.CSIDriver) { d.Spec.AttachRequired = ptr.To(false) })
	if errs := validateChange(other, driver(nil)); len(errs) != 1 {
		t.Errorf("another need to attach: %v", errs)
	}
}

func TestDriverIsShownAsUpstreamShowsIt(t *testing.T) {
	if row := columns().Row(driver(nil)); !slices.Equal(row, []any{"a.example.com", true, false, false, "<unset>", false, "Persistent", "<unknown>"}) || len(row) != len(columns().Columns) {
		t.Errorf("row %v", row)
	}
}
