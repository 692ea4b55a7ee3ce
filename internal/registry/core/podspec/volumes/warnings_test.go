package volumes_test

import (
	"fmt"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"laterna.dev/laterna/internal/registry/core/podspec/podspectest"
	"laterna.dev/laterna/internal/registry/core/podspec/volumes"
)

func warnings(t *testing.T, list string) []string {
	t.Helper()
	spec := podspectest.Parse[corev1.PodSpec](t, "volumes: ["+list+"]")
	return volumes.Warnings(spec.Volumes, field.NewPath("spec", "volumes"))
}

func TestOverlappingPathsAreWarnedOf(t *testing.T) {
	const p = `volume "p" (Projected): overlapping paths: `
	for _, c := range []struct {
		name, volumes string
		want          []string
	}{
		{"config map", "{name: v, configMap: {name: c, items: [{key: a, path: x}, {key: b, path: x}, {key: c, path: xy}]}}", []string{
			`volume "v" (ConfigMap "c"): overlapping paths: "x" with "x"`}},
		{"a file that would be a directory", "{name: v, secret: {secretName: s, items: [{key: a, path: d/f}, {key: b, path: d}, {key: c, path: d-f}]}}", []string{
			`volume "v" (Secret "s"): overlapping paths: "d" with "d/f"`}},
		{"downward API", "{name: v, downwardAPI: {items: [{path: a, fieldRef: {fieldPath: metadata.name}}, {path: a/b, fieldRef: {fieldPath: metadata.uid}}]}}", []string{
			`volume "v" (DownwardAPI): overlapping paths: "a/b" with "a"`}},
		{"slashes at the end, and no path", "{name: v, configMap: {name: c, items: [{key: a, path: x/}, {key: b, path: x}, {key: c, path: ''}, {key: d, path: /}]}}", []string{
			`volume "v" (ConfigMap "c"): overlapping paths: "x" with "x"`}},
		{"sources of one volume", "{name: p, projected: {sources: [{serviceAccountToken: {path: t}}, {configMap: {name: c, items: [{key: k, path: t/u}]}}, {downwardAPI: {items: [{path: t, fieldRef: {fieldPath: metadata.name}}]}}]}}", []string{
			p + `"t/u" (ConfigMap "c") with "t" (ServiceAccountToken)`,
			p + `"t" (DownwardAPI) with "t" (ServiceAccountToken)`,
			p + `"t" (DownwardAPI) with "t/u" (ConfigMap "c")`}},
		{"bundles and certificates", "{name: p, projected: {sources: [{clusterTrustBundle: {name: b, path: x}}, {clusterTrustBundle: {signerName: a.b/c, path: x}}, {clusterTrustBundle: {path: z}}, {podCertificate: {keyPath: z, certificateChainPath: z, credentialBundlePath: x}}]}}", []string{
			p + `"x" (ClusterTrustBundle "a.b/c") with "x" (ClusterTrustBundle "b")`,
			p + `"z" (PodCertificate chain) with "z" (ClusterTrustBundle "")`,
			p + `"z" (PodCertificate key) with "z" (ClusterTrustBundle "")`,
			p + `"z" (PodCertificate key) with "z" (PodCertificate chain)`,
			p + `"x" (PodCertificate credential bundle) with "x" (ClusterTrustBundle "b")`,
			p + `"x" (PodCertificate credential bundle) with "x" (ClusterTrustBundle "a.b/c")`}},
		{"one path in two volumes", "{name: p, projected: {sources: [{serviceAccountToken: {path: t}}]}}, {name: q, projected: {sources: [{secret: {name: s, items: [{key: k, path: t}]}}]}}", nil},
		{"whole objects have no paths yet", "{name: p, projected: {sources: [{secret: {name: s}}, {configMap: {name: s}}]}}", nil},
		{"no sources", "{name: p, projected: {}}", []string{`volume "p" (Projected) has no sources provided`}},
		{"a source of nothing", "{name: p, projected: {sources: [{}, {secret: {name: s}}]}}", []string{`volume "p" (Projected) has no sources provided`}},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := warnings(t, c.volumes); strings.Join(got, "\n") != strings.Join(c.want, "\n") {
				t.Errorf("got:\n  %s\nwant:\n  %s", strings.Join(got, "\n  "), strings.Join(c.want, "\n  "))
			}
		})
	}
}

// TestManyOverlapsAreCutShort keeps a body of a megabyte from being answered with
// gigabytes.
func TestManyOverlapsAreCutShort(t *testing.T) {
	const files = 5000
	got := warnings(t, "{name: v, configMap: {name: c, items: ["+strings.Repeat("{key: k, path: p},", files)+"]}}")
	if len(got) != 100 {
		t.Errorf("%d warnings of one volume", len(got))
	}
	// Paths that do not meet are gone through in no time that one notices.
	list := []corev1.Volume{{Name: "v", VolumeSource: corev1.VolumeSource{ConfigMap: &corev1.ConfigMapVolumeSource{}}}}
	for i := range 200_000 {
		list[0].ConfigMap.Items = append(list[0].ConfigMap.Items, corev1.KeyToPath{Key: "k", Path: fmt.Sprintf("%06d", i)})
	}
	list[0].ConfigMap.Items = append(list[0].ConfigMap.Items, corev1.KeyToPath{Key: "k", Path: "000007/x"})
	if got := volumes.Warnings(list, nil); len(got) != 1 || !strings.HasSuffix(got[0], `"000007/x" with "000007"`) {
		t.Errorf("warnings %q", got)
	}
}

func TestRetiredKindsAreWarnedOf(t *testing.T) {
	for kind, since := range map[string]string{
		"photonPersistentDisk": "deprecated in v1.11, non-functional in v1.16+", "gitRepo": "deprecated in v1.11",
		"scaleIO": "deprecated in v1.16, non-functional in v1.22+", "flocker": "deprecated in v1.22, non-functional in v1.25+",
		"storageos": "deprecated in v1.22, non-functional in v1.25+", "quobyte": "deprecated in v1.22, non-functional in v1.25+",
		"glusterfs": "deprecated in v1.25, non-functional in v1.26+", "cephfs": "deprecated in v1.28, non-functional in v1.31+",
		"rbd": "deprecated in v1.28, non-functional in v1.31+",
	} {
		got := warnings(t, fmt.Sprintf("{name: a, emptyDir: {}}, {name: b, %s: {}}", kind))
		if len(got) != 1 || !strings.EqualFold(got[0], "spec.volumes[1]."+kind+": "+since) {
			t.Errorf("warnings of %s: %q", kind, got)
		}
	}
	if got := warnings(t, "{name: a, hostPath: {path: /}}, {name: b, nfs: {server: s, path: /}}, {name: c, csi: {driver: d}}"); len(got) > 0 {
		t.Errorf("warnings of kinds that are not retired: %q", got)
	}
}
