package podfields

import (
	"fmt"
	"slices"
	"testing"
)

const everyReference = `
serviceAccountName: sa
imagePullSecrets: [{name: pull}]
initContainers:
- name: init
  envFrom: [{secretRef: {name: from}}, {configMapRef: {name: from}}]
containers:
- name: main
  env:
  - {name: PLAIN, value: x}
  - {name: POD, valueFrom: {fieldRef: {fieldPath: metadata.name}}}
  - {name: S, valueFrom: {secretKeyRef: {name: key, key: k}}}
  - {name: C, valueFrom: {configMapKeyRef: {name: key, key: k}}}
ephemeralContainers:
- name: debug
  env: [{name: D, valueFrom: {secretKeyRef: {name: debug, key: k}}}]
volumes:
- {name: v0, secret: {secretName: volume}}
- {name: v1, configMap: {name: volume, items: [{key: a, path: p}, {key: b, path: q}]}}
- name: v2
  projected:
    sources:
    - {secret: {name: projected, items: [{key: k, path: p}]}}
    - {configMap: {name: projected}}
    - {serviceAccountToken: {path: t}}
    - {clusterTrustBundle: {name: bundle, path: b}}
    - {podCertificate: {signerName: s/s, keyType: ED25519}}
    - {downwardAPI: {}}
- {name: v3, persistentVolumeClaim: {claimName: claim}}
- {name: v4, ephemeral: {}}
- {name: v5, csi: {driver: d, nodePublishSecretRef: {name: csi}}}
- {name: v6, azureFile: {secretName: azure, shareName: s}}
- {name: v7, cephfs: {monitors: [m], secretRef: {name: ceph}}}
- {name: v8, cinder: {volumeID: i, secretRef: {name: cinder}}}
- {name: v9, flexVolume: {driver: d, secretRef: {name: flex}}}
- {name: v10, rbd: {monitors: [m], image: i, secretRef: {name: rbd}}}
- {name: v11, scaleIO: {gateway: g, system: s, secretRef: {name: scale}}}
- {name: v12, iscsi: {targetPortal: p, iqn: i, lun: 0, secretRef: {name: iscsi}}}
- {name: v13, storageos: {secretRef: {name: storageos}}}
- {name: v14, emptyDir: {}}
- {name: v15, iscsi: {targetPortal: p, iqn: i, lun: 0}}
resourceClaims: [{name: r, resourceClaimName: resource}, {name: t, resourceClaimTemplateName: t}]
`

func TestReferencesAreAllThatAPodNames(t *testing.T) {
	spec := parse(t, everyReference)
	var got []string
	for r := range References(spec) {
		text := fmt.Sprintf("%s/%s", r.Kind, r.Name)
		if r.Volume != nil {
			text += " in " + r.Volume.Name
		}
		if r.Container != nil {
			text += fmt.Sprintf(" in %s[%d] %s %s", r.At.List, r.At.Index, r.Container.Name, r.Variable)
		}
		if r.Keys != nil {
			text += fmt.Sprint(" only ", r.Keys)
		}
		got = append(got, text)
	}
	want := []string{
		"serviceaccounts/sa", "secrets/pull",
		"secrets/from in initContainers[0] init ", "configmaps/from in initContainers[0] init ",
		"secrets/key in containers[0] main S only [k]", "configmaps/key in containers[0] main C only [k]",
		"secrets/debug in ephemeralContainers[0] debug D only [k]",
		"secrets/volume in v0", "configmaps/volume in v1 only [a b]",
		"secrets/projected in v2 only [k]", "configmaps/projected in v2", "serviceaccounts/sa in v2",
		"clustertrustbundles/bundle in v2", "podcertificates/ in v2",
		"persistentvolumeclaims/claim in v3", "persistentvolumeclaims/ in v4",
		"csidrivers/d in v5", "secrets/csi in v5",
		"secrets/azure in v6", "secrets/ceph in v7", "secrets/cinder in v8", "secrets/flex in v9",
		"secrets/rbd in v10", "secrets/scale in v11", "secrets/iscsi in v12", "secrets/storageos in v13",
		"resourceclaims/resource", "resourceclaims/",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}

// TestReferencesEndWhereTheReaderDoes: an iterator that goes on panics.
func TestReferencesEndWhereTheReaderDoes(t *testing.T) {
	spec := parse(t, everyReference)
	for stop := range 28 {
		n := 0
		for range References(spec) {
			if n++; n > stop {
				break
			}
		}
		if n != stop+1 {
			t.Errorf("%d references, want %d", n, stop+1)
		}
	}
}

func TestContainersAreWalkedInTheirOrderAndAreTheSpecs(t *testing.T) {
	spec := parse(t, `
initContainers: [{name: a}, {name: b}]
containers: [{name: c}, {name: d}]
ephemeralContainers: [{name: e}]
`)
	var all, declared []string
	for at, c := range Containers(spec) {
		c.Image = fmt.Sprintf("%s[%d] %s", at.List, at.Index, c.Name)
		all = append(all, c.Image)
	}
	for _, c := range DeclaredContainers(spec) {
		declared = append(declared, c.Image)
	}
	want := []string{"initContainers[0] a", "initContainers[1] b", "containers[0] c", "containers[1] d", "ephemeralContainers[0] e"}
	if !slices.Equal(all, want) || !slices.Equal(declared, want[:4]) || spec.EphemeralContainers[0].Image != want[4] {
		t.Errorf("all %q, declared %q, the last one %q", all, declared, spec.EphemeralContainers[0].Image)
	}
	for i, name := range []string{"a", "b", "c", "d", "e"} {
		if c := Container(spec, name); c == nil || c.Image != want[i] {
			t.Errorf("%s: %v", name, c)
		}
	}
	if c := Container(spec, "f"); c != nil {
		t.Errorf("found %v", c)
	}
}
