package lease

import (
	"slices"
	"strings"
	"testing"

	coordinationv1 "k8s.io/api/coordination/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apiserver/pkg/registry/rest"
	"k8s.io/utils/ptr"

	"laterna.dev/laterna/internal/registry/resource/resourcetest"
)

func TestValidate(t *testing.T) {
	for _, tc := range []struct {
		name string
		spec coordinationv1.LeaseSpec
		want string
	}{
		{"empty", coordinationv1.LeaseSpec{}, ""},
		{"good", coordinationv1.LeaseSpec{LeaseDurationSeconds: ptr.To[int32](40), LeaseTransitions: ptr.To[int32](0)}, ""},
		{"duration", coordinationv1.LeaseSpec{LeaseDurationSeconds: ptr.To[int32](0)}, "spec.leaseDurationSeconds: Invalid value: 0: must be greater than 0"},
		{"transitions", coordinationv1.LeaseSpec{LeaseTransitions: ptr.To[int32](-1)}, "spec.leaseTransitions: Invalid value: -1: must be greater than or equal to 0"},
	} {
		err := validate(&coordinationv1.Lease{Spec: tc.spec}).ToAggregate()
		if tc.want == "" && err != nil || tc.want != "" && (err == nil || !strings.Contains(err.Error(), tc.want)) {
			t.Errorf("%s: %v, want %q", tc.name, err, tc.want)
		}
	}
}

func TestStorage(t *testing.T) {
	paths, err := Definition().Storages(resourcetest.Env(t))
	if err != nil {
		t.Fatal(err)
	}
	store := paths["leases"].(rest.StandardStorage)
	ctx := resourcetest.Context(t, "ns")
	l := &coordinationv1.Lease{
		ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "l"},
		Spec:       coordinationv1.LeaseSpec{HolderIdentity: ptr.To("me"), Strategy: ptr.To(coordinationv1.OldestEmulationVersion)},
	}
	put := func(l *coordinationv1.Lease) (*coordinationv1.Lease, bool, error) {
		obj, created, err := store.Update(ctx, "l", rest.DefaultUpdatedObjectInfo(l), resourcetest.Allow, rest.ValidateAllObjectUpdateFunc, false, &metav1.UpdateOptions{})
		got, _ := obj.(*coordinationv1.Lease)
		return got, created, err
	}
	got, created, err := put(l)
	if err != nil || !created || got.Spec.Strategy != nil {
		t.Fatalf("put: %+v, created %v, %v", got, created, err)
	}
	blind := got.DeepCopy()
	blind.ResourceVersion = ""
	if _, _, err := put(blind); err == nil || !strings.Contains(err.Error(), "must be specified for an update") {
		t.Errorf("update without resource version: %v", err)
	}
	if _, _, err := put(got); err != nil {
		t.Error(err)
	}
}

func TestRow(t *testing.T) {
	l := &coordinationv1.Lease{ObjectMeta: metav1.ObjectMeta{Name: "l"}}
	if row := columns().Row(l); !slices.Equal(row, []any{"l", "", "<unknown>"}) || len(row) != len(columns().Columns) {
		t.Errorf("row %v", row)
	}
	l.Spec.HolderIdentity = ptr.To("me")
	if row := columns().Row(l); row[1] != "me" {
		t.Errorf("row %v", row)
	}
}
