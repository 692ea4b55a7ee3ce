package volumes_test

import (
	"reflect"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"laterna.dev/laterna/internal/registry/core/podspec"
	"laterna.dev/laterna/internal/registry/core/podspec/podspectest"
)

// TestForeignVolumes takes every kind that the agent does not mount, right and
// empty: the right one is accepted, of the empty one a field is missed.
func TestForeignVolumes(t *testing.T) {
	right := map[string]string{
		"hostPath": "{path: /}", "gitRepo": "{repository: r}", "gcePersistentDisk": "{pdName: d}", "awsElasticBlockStore": "{volumeID: i}",
		"nfs": "{server: s, path: /}", "iscsi": "{targetPortal: p, iqn: iqn.2001-04.com.example:x, lun: 0}", "glusterfs": "{endpoints: e, path: p}",
		"flocker": "{datasetName: nn}", "persistentVolumeClaim": "{claimName: c}", "rbd": "{monitors: [m], image: i}", "cinder": "{volumeID: i}",
		"cephfs": "{monitors: [m]}", "quobyte": "{registry: 'r:1', volume: v}", "fc": "{targetWWNs: [w], lun: 0}", "flexVolume": "{driver: d}",
		"azureFile": "{secretName: s, shareName: h}", "vsphereVolume": "{volumePath: p}", "photonPersistentDisk": "{pdID: i}",
		"portworxVolume": "{volumeID: i}", "azureDisk": "{diskName: d, diskURI: u}", "storageos": "{volumeName: nn}",
		"scaleIO": "{gateway: g, system: s}", "csi": "{driver: d}", "image": "{reference: r}", "ephemeral": "{volumeClaimTemplate: {spec: {}}}",
	}
	for kind := range reflect.TypeFor[corev1.VolumeSource]().Fields() {
		name, _, _ := strings.Cut(kind.Tag.Get("json"), ",")
		switch name {
		case "emptyDir", "secret", "configMap", "downwardAPI", "projected":
			continue
		}
		text, ok := right[name]
		if !ok {
			t.Errorf("no example of a %s volume", name)
			continue
		}
		check := func(content string) field.ErrorList {
			pod := &corev1.Pod{Spec: *podspectest.Parse[corev1.PodSpec](t, volume("{name: a, "+name+": "+content+"}"))}
			podspec.SetPodDefaults(pod)
			return podspec.ValidateSpec(&pod.Spec, field.NewPath("spec"), podspec.Options{Pod: true})
		}
		if errs := check(text); len(errs) > 0 {
			t.Errorf("right %s volume: %v", name, errs)
		}
		if errs := check("{}"); len(errs) == 0 {
			t.Errorf("empty %s volume is accepted", name)
		}
	}
}
