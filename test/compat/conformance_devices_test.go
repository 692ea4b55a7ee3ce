package compat

import (
	"testing"

	resourcev1 "k8s.io/api/resource/v1"
	storagemigrationv1 "k8s.io/api/storagemigration/v1"
)

// offered are the lives of kinds of resource.k8s.io/v1.
func offered(plural string, object part) life {
	return life{resource: resourcev1.SchemeGroupVersion.WithResource(plural), object: func() map[string]any { return object }}
}

// testCondition is one that a test sets.
func testCondition() []any {
	return []any{part{"type": "TestCondition", "status": "True", "reason": "TestReason", "message": "TestMessage", "lastTransitionTime": "2026-01-01T00:00:00Z"}}
}

func TestConformanceDevices(t *testing.T) {
	s := newStage(t)
	requests := part{"devices": part{"requests": []any{part{"name": "req-0", "exactly": part{"deviceClassName": "e2e-class"}}}}}
	s.conforms(t, "[sig-node] [DRA] CRUD Tests resource.k8s.io/v1 DeviceClass", s.lives(offered("deviceclasses",
		part{"kind": "DeviceClass", "spec": part{"selectors": []any{part{"cel": part{"expression": `device.driver == "e2e.example.com"`}}}}})))
	claims := offered("resourceclaims", part{"kind": "ResourceClaim", "spec": requests})
	claims.namespaced, claims.statusAlone = true, true
	claims.status = part{"allocation": part{"devices": part{"results": []any{part{"request": "req-0", "driver": "e2e.example.com", "pool": "e2e", "device": "device-0"}}}}}
	s.conforms(t, "[sig-node] [DRA] CRUD Tests resource.k8s.io/v1 ResourceClaim", s.lives(claims))
	templates := offered("resourceclaimtemplates", part{"kind": "ResourceClaimTemplate", "spec": part{"spec": requests}})
	templates.namespaced = true
	s.conforms(t, "[sig-node] [DRA] CRUD Tests resource.k8s.io/v1 ResourceClaimTemplate", s.lives(templates))
	s.conforms(t, "[sig-node] [DRA] CRUD Tests resource.k8s.io/v1 ResourceSlice", s.lives(offered("resourceslices", part{"kind": "ResourceSlice", "spec": part{
		"driver": "e2e.example.com", "nodeName": "e2e-node", "pool": part{"name": "e2e", "resourceSliceCount": int64(1)}, "devices": []any{part{"name": "device-0"}}}})))
	rules := offered("devicetaintrules", part{"kind": "DeviceTaintRule", "spec": part{"taint": part{"key": "example.com/taint", "effect": "NoExecute"}}})
	rules.status, rules.statusAlone = part{"conditions": testCondition()}, true
	s.conforms(t, "[sig-node] [DRA] CRUD Tests resource.k8s.io/v1 DeviceTaintRule", s.lives(rules))
	s.conforms(t, "[sig-api-machinery] StorageVersionMigration CRUD Tests storagemigration.k8s.io/v1 StorageVersionMigration", s.lives(life{
		resource: storagemigrationv1.SchemeGroupVersion.WithResource("storageversionmigrations"),
		object: func() map[string]any {
			return part{"kind": "StorageVersionMigration", "spec": part{"resource": part{"group": "", "resource": "foo"}}}
		},
		status: part{"conditions": testCondition()},
	}))
}
