package csinode

import (
	"fmt"
	"strings"
	"testing"

	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/utils/ptr"
)

func node(drivers ...storagev1.CSINodeDriver) *storagev1.CSINode {
	return &storagev1.CSINode{Spec: storagev1.CSINodeSpec{Drivers: drivers}}
}

func TestDriversThatAreRefused(t *testing.T) {
	good := storagev1.CSINodeDriver{Name: "a.example.com", NodeID: "n", TopologyKeys: []string{"zone"}}
	for name, tc := range map[string]struct {
		node *storagev1.CSINode
		want string
	}{
		"none":         {node(), ""},
		"good":         {node(good), ""},
		"no name":      {node(storagev1.CSINodeDriver{NodeID: "n"}), "spec.drivers[0].name: Required value"},
		"no id":        {node(storagev1.CSINodeDriver{Name: "a"}), "spec.drivers[0].nodeID: Required value"},
		"long id":      {node(storagev1.CSINodeDriver{Name: "a", NodeID: strings.Repeat("n", 257)}), "must be no more than 256"},
		"twice":        {node(good, good), "spec.drivers[1].name: Duplicate value"},
		"topology":     {node(storagev1.CSINodeDriver{Name: "a", NodeID: "n", TopologyKeys: []string{"z", "z"}}), "spec.drivers[0].topologyKeys[1]: Duplicate value"},
		"fewer than 0": {node(storagev1.CSINodeDriver{Name: "a", NodeID: "n", Allocatable: &storagev1.VolumeNodeResources{Count: ptr.To[int32](-1)}}), "spec.drivers[0].allocatable.count: Invalid value: -1"},
	} {
		if errs := validate(tc.node); (tc.want == "") != (len(errs) == 0) || !strings.Contains(fmt.Sprint(errs), tc.want) {
			t.Errorf("%s: %v, want %s", name, errs, tc.want)
		}
	}
	other, room := good, good
	other.NodeID, room.Allocatable = "m", &storagev1.VolumeNodeResources{Count: ptr.To[int32](3)}
	if errs := validateChange(node(other), node(good)); len(errs) != 1 {
		t.Errorf("another id of a node: %v", errs)
	}
	if errs := validateChange(node(room), node(good)); len(errs) != 0 {
		t.Errorf("room for other volumes: %v", errs)
	}
}
