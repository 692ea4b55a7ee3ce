package podspec

import (
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

const v = "spec.volumes[0]"

func volume(text string) string { return with("volumes: [" + text + "]") }

func projected(sources string) string {
	return volume("{name: p, projected: {sources: [" + sources + "]}}")
}

func TestVolumes(t *testing.T) {
	testWrong(t, []wrong{
		{"right", volume("{name: a, emptyDir: {medium: Memory, sizeLimit: 1Mi}}, {name: b, secret: {secretName: s, items: [{key: k, path: a/b, mode: 511}]}}"), nil},
		{"no name", volume("{emptyDir: {}}"), []string{v + ".name: Required value"}},
		{"bad name", volume("{name: A, emptyDir: {}}"), []string{v + `.name: Invalid value: "A": ` + label}},
		{"one name twice", volume("{name: a, emptyDir: {}}, {name: a, emptyDir: {}}"), []string{`spec.volumes[1].name: Duplicate value: "a"`}},
		{"two kinds", volume("{name: a, emptyDir: {}, secret: {secretName: s}}"), []string{v + ".secret: Forbidden: may not specify more than 1 volume type"}},
		{"a foreign and an honoured kind", volume("{name: a, configMap: {name: c}, nfs: {server: s, path: /}}"), []string{v + ".configMap: Forbidden: may not specify more than 1 volume type"}},
		{"size limit", volume("{name: a, emptyDir: {sizeLimit: -1}}"), []string{v + ".emptyDir.sizeLimit: Forbidden: SizeLimit field must be a valid resource quantity"}},
		{"secret", volume("{name: a, secret: {defaultMode: 512, items: [{}, {key: k, path: /p, mode: -1}, {key: k, path: ../p}, {key: k, path: ..p}, {key: k, path: a/..}, {key: k, path: ..}]}}"), []string{
			v + ".secret.secretName: Required value",
			v + ".secret.defaultMode: Invalid value: 512: must be a number between 0 and 0777 (octal), both inclusive",
			v + ".secret.items[0].key: Required value",
			v + ".secret.items[0].path: Required value",
			v + `.secret.items[1].path: Invalid value: "/p": must be a relative path`,
			v + ".secret.items[1].mode: Invalid value: -1: must be a number between 0 and 0777 (octal), both inclusive",
			v + `.secret.items[2].path: Invalid value: "../p": must not contain '..'`,
			v + `.secret.items[3].path: Invalid value: "..p": must not start with '..'`,
			v + `.secret.items[4].path: Invalid value: "a/..": must not contain '..'`,
			v + `.secret.items[5].path: Invalid value: "..": must not contain '..'`,
			v + `.secret.items[5].path: Invalid value: "..": must not start with '..'`}},
		{"the printed default mode 6600", volume(`{name: a, secret: {secretName: s, defaultMode: 6600}}`), []string{
			v + ".secret.defaultMode: Invalid value: 6600: must be a number between 0 and 0777 (octal), both inclusive"}},
		{"config map", volume("{name: a, configMap: {defaultMode: 4096}}"), []string{
			v + ".configMap.name: Required value",
			v + ".configMap.defaultMode: Invalid value: 4096: must be a number between 0 and 0777 (octal), both inclusive"}},
		{"downward API", volume("{name: a, downwardAPI: {items: [{path: p}, {path: /p, fieldRef: {fieldPath: metadata.labels}}, {path: p, fieldRef: {fieldPath: metadata.name}, resourceFieldRef: {containerName: c, resource: limits.cpu}}, {path: p, resourceFieldRef: {resource: limits.cpu}}, {path: p, fieldRef: {fieldPath: status.podIP}, mode: 1000}]}}"), []string{
			v + ".downwardAPI: Required value: one of fieldRef and resourceFieldRef is required",
			v + `.downwardAPI.path: Invalid value: "/p": must be a relative path`,
			v + `.downwardAPI: Invalid value: "resource": fieldRef and resourceFieldRef can not be specified simultaneously`,
			v + ".downwardAPI.resourceFieldRef.containerName: Required value",
			v + `.downwardAPI.fieldRef.fieldPath: Unsupported value: "status.podIP": supported values: "metadata.annotations", "metadata.labels", "metadata.name", "metadata.namespace", "metadata.uid"`,
			v + ".downwardAPI.mode: Invalid value: 1000: must be a number between 0 and 0777 (octal), both inclusive"}},
		{"owner", volume("{name: a, secret: {secretName: s, defaultUser: -1}}"), []string{v + ".secret.defaultUser: Invalid value: -1: must be between 0 and 2147483647, inclusive"}},
		{"claim made for an ephemeral volume", volume("{name: e, ephemeral: {volumeClaimTemplate: {spec: {}}}}, {name: c, persistentVolumeClaim: {claimName: pod-e}}"), []string{
			`spec.volumes[1].persistentVolumeClaim.claimName: Invalid value: "pod-e": must not reference a PVC that gets created for an ephemeral volume`}},
		{"host path", volume("{name: a, hostPath: {path: /a/../b, type: X}}"), []string{
			v + `.hostPath.path: Invalid value: "/a/../b": must not contain '..'`,
			v + `.hostPath.type: Unsupported value: "X": supported values: "", "BlockDevice", "CharDevice", "Directory", "DirectoryOrCreate", "File", "FileOrCreate", "Socket"`}},
		{"nfs", volume("{name: a, nfs: {server: s, path: a}}"), []string{v + `.nfs.path: Invalid value: "a": must be an absolute path`}},
	})
}

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
	for _, kind := range volumeKinds {
		switch kind.name {
		case "emptyDir", "secret", "configMap", "downwardAPI", "projected":
			continue
		}
		text, ok := right[kind.name]
		if !ok {
			t.Errorf("no example of a %s volume", kind.name)
			continue
		}
		check := func(content string) field.ErrorList {
			pod := &corev1.Pod{Spec: *parse[corev1.PodSpec](t, volume("{name: a, "+kind.name+": "+content+"}"))}
			SetPodDefaults(pod)
			return ValidateSpec(&pod.Spec, field.NewPath("spec"), Options{Pod: true})
		}
		if errs := check(text); len(errs) > 0 {
			t.Errorf("right %s volume: %v", kind.name, errs)
		}
		if errs := check("{}"); len(errs) == 0 {
			t.Errorf("empty %s volume is accepted", kind.name)
		}
	}
}

func TestProjectedVolumes(t *testing.T) {
	const p = v + ".projected"
	const s = p + ".sources[0]"
	testWrong(t, []wrong{
		{"the documents' example", projected("{secret: {name: mysecret, items: [{key: username, path: my-group/my-username}]}}, {downwardAPI: {items: [{path: labels, fieldRef: {fieldPath: metadata.labels}}, {path: cpu_limit, resourceFieldRef: {containerName: main, resource: limits.cpu}}]}}, {configMap: {name: c, items: [{key: config, path: my-group/my-config}]}}, {serviceAccountToken: {path: t, expirationSeconds: 7200, audience: vault}}"), nil},
		{"an empty source", projected("{}"), nil},
		{"no sources", volume("{name: p, projected: {}}"), nil},
		{"mode", volume("{name: p, projected: {defaultMode: 512}}"), []string{p + ".defaultMode: Invalid value: 512: must be a number between 0 and 0777 (octal), both inclusive"}},
		{"two kinds in one source", projected("{secret: {name: s}, configMap: {name: c}}"), []string{s + ": Forbidden: may not specify more than 1 volume type per source"}},
		{"names", projected("{secret: {}}, {configMap: {}}"), []string{s + ".secret.name: Required value", p + ".sources[1].configMap.name: Required value"}},
		{"one path twice", projected("{secret: {name: s, items: [{key: a, path: x}]}}, {configMap: {name: c, items: [{key: a, path: x}]}}, {downwardAPI: {items: [{path: x, fieldRef: {fieldPath: metadata.name}}]}}"), []string{
			p + `: Invalid value: "c": conflicting duplicate paths`, p + `: Invalid value: "x": conflicting duplicate paths`}},
		{"a token's path is not compared", projected("{secret: {name: s, items: [{key: a, path: x}]}}, {serviceAccountToken: {path: x}}"), nil},
		{"token", projected("{serviceAccountToken: {path: '', expirationSeconds: 599}}"), []string{
			s + ".serviceAccountToken.expirationSeconds: Invalid value: 599: may not specify a duration less than 10 minutes", p + ".path: Required value"}},
		{"token for ever", projected("{serviceAccountToken: {path: /t, expirationSeconds: 4294967297}}"), []string{
			s + ".serviceAccountToken.expirationSeconds: Invalid value: 4294967297: may not specify a duration larger than 2^32 seconds",
			p + `.path: Invalid value: "/t": must be a relative path`}},
		{"limits of a token", projected("{serviceAccountToken: {path: a, expirationSeconds: 600}}, {serviceAccountToken: {path: b, expirationSeconds: 4294967296}}"), nil},
		{"token without service account", "containers: [{name: a, image: i}]\nvolumes: [{name: p, projected: {sources: [{serviceAccountToken: {path: t}}]}}]", []string{
			s + ".serviceAccountToken: Forbidden: must not be specified when serviceAccountName is not set"}},
		{"bundle by name", projected("{clusterTrustBundle: {name: 'a.b:c:d', path: p}}"), nil},
		{"bundle by both", projected("{clusterTrustBundle: {name: nn, path: ''}}, {clusterTrustBundle: {path: q}}"), []string{
			s + ".clusterTrustBundle.path: Required value", p + ".sources[1].clusterTrustBundle: Required value: either name or signerName must be specified"}},
		{"bundle with a selector", projected("{clusterTrustBundle: {name: nn, path: p, labelSelector: {}}}"), []string{
			s + ".clusterTrustBundle.labelSelector: Invalid value: {}: labelSelector must be unset if name is specified"}},
		{"bundle of a signer", projected("{clusterTrustBundle: {signerName: nodots/x, path: p, labelSelector: {matchExpressions: [{key: a, operator: X}]}}}"), []string{
			s + `.clusterTrustBundle.signerName: Invalid value: "nodots": should be a domain with at least two segments separated by dots`,
			s + `.clusterTrustBundle.labelSelector.matchExpressions[0].operator: Invalid value: "X": not a valid selector operator`}},
		{"certificate", projected("{podCertificate: {signerName: a.b/c, keyType: DSA, maxExpirationSeconds: 3599}}"), []string{
			s + `.podCertificate.keyType: Unsupported value: "DSA": supported values: "RSA3072", "RSA4096", "ECDSAP256", "ECDSAP384", "ECDSAP521", "ED25519"`,
			s + ".podCertificate.maxExpirationSeconds: Invalid value: 3599: if provided, maxExpirationSeconds must be >= 3600",
			s + ".podCertificate: Required value: specify at least one of credentialBundlePath, keyPath, and certificateChainPath"}},
		{"certificate of Kubernetes' own signers", projected("{podCertificate: {signerName: kubernetes.io/x, keyType: ED25519, keyPath: k, certificateChainPath: k, maxExpirationSeconds: 86401}}"), []string{
			s + ".podCertificate.maxExpirationSeconds: Invalid value: 86401: if provided, maxExpirationSeconds must be <= 86400",
			p + `: Invalid value: "k": conflicting duplicate paths`}},
	})
}

// TestOwnersOfFiles holds the range of KEP-5936's fields at each of their places.
func TestOwnersOfFiles(t *testing.T) {
	const rule = ": must be between 0 and 2147483647, inclusive"
	const sources = v + ".projected.sources"
	testWrong(t, []wrong{
		{"right", volume("{name: a, configMap: {name: c, defaultUser: 0, items: [{key: k, path: p, user: 2147483647}]}}"), nil},
		{"secret", volume("{name: a, secret: {secretName: s, defaultUser: 2147483648, items: [{key: k, path: p, user: -1}]}}"), []string{
			v + ".secret.defaultUser: Invalid value: 2147483648" + rule, v + ".secret.items[0].user: Invalid value: -1" + rule}},
		{"config map", volume("{name: a, configMap: {name: c, defaultUser: -1, items: [{key: k, path: p, user: -2}]}}"), []string{
			v + ".configMap.defaultUser: Invalid value: -1" + rule, v + ".configMap.items[0].user: Invalid value: -2" + rule}},
		{"Downward API", volume("{name: a, downwardAPI: {defaultUser: -1, items: [{path: p, user: -2, fieldRef: {fieldPath: metadata.name}}]}}"), []string{
			v + ".downwardAPI.defaultUser: Invalid value: -1" + rule, v + ".downwardAPI.user: Invalid value: -2" + rule}},
		{"projected", volume("{name: a, projected: {defaultUser: -1, sources: [{secret: {name: s, items: [{key: k, path: a, user: -2}]}}, {configMap: {name: s, items: [{key: k, path: b, user: -3}]}}, " +
			"{downwardAPI: {items: [{path: c, user: -4, fieldRef: {fieldPath: metadata.name}}]}}, {serviceAccountToken: {path: d, user: -5}}, {clusterTrustBundle: {name: nn, path: e, user: -6}}, " +
			"{podCertificate: {signerName: a.b/c, keyType: ED25519, keyPath: f, user: -7}}]}}"), []string{
			v + ".projected.defaultUser: Invalid value: -1" + rule,
			sources + "[0].secret.items[0].user: Invalid value: -2" + rule,
			sources + "[1].configMap.items[0].user: Invalid value: -3" + rule,
			sources + "[2].downwardAPI.user: Invalid value: -4" + rule,
			sources + "[3].serviceAccountToken.user: Invalid value: -5" + rule,
			sources + "[4].clusterTrustBundle.user: Invalid value: -6" + rule,
			sources + "[5].podCertificate.user: Invalid value: -7" + rule}},
	})
}

func TestSourcesOfSigners(t *testing.T) {
	const bundle, certificate = v + ".projected.sources[0].clusterTrustBundle", v + ".projected.sources[0].podCertificate"
	long := strings.Repeat("a", 565) + ".b/c"
	testWrong(t, []wrong{
		{"bundle by name and signer", projected("{clusterTrustBundle: {name: nn, signerName: a.b/c, path: p}}"), []string{
			bundle + `: Invalid value: {"name":"nn","signerName":"a.b/c","path":"p"}: only one of name and signerName may be used`}},
		{"no name", projected("{clusterTrustBundle: {name: '', path: ../p}}"), []string{
			bundle + ".name: Required value: must be a valid object name",
			bundle + `.name: Invalid value: "": not a valid clustertrustbundlename: ` + domain,
			bundle + `.path: Invalid value: "../p": must not contain '..'`}},
		{"no path part", projected("{podCertificate: {signerName: a.b, keyType: ED25519, keyPath: k}}"), []string{
			certificate + `.signerName: Invalid value: "a.b": must be a fully qualified domain and path of the form 'example.com/signer-name'`}},
		{"a long signer", projected("{podCertificate: {signerName: " + long + ", keyType: ED25519, keyPath: k}}"), []string{
			certificate + `.signerName: Invalid value: "` + long[:567] + `": validating label "` + long[:565] + `": must be no more than 63 characters`}},
		{"a life of 91 days", projected("{podCertificate: {signerName: a.b/c, keyType: ED25519, keyPath: k, maxExpirationSeconds: 7862400}}"), nil},
		{"a second more", projected("{podCertificate: {signerName: a.b/c, keyType: ED25519, keyPath: k, maxExpirationSeconds: 7862401}}"), []string{
			certificate + ".maxExpirationSeconds: Invalid value: 7862401: if provided, maxExpirationSeconds must be <= 7862400"}},
		{"annotation without a domain", projected("{podCertificate: {signerName: a.b/c, keyType: ED25519, keyPath: k, userAnnotations: {plain: x}}}"), []string{
			certificate + `.userAnnotations[plain]: Invalid value: "plain": must be a domain-prefixed key (such as "acme.io/foo")`}},
		{"spellings of one path", projected("{secret: {name: s, items: [{key: a, path: a/./b}]}}, {configMap: {name: c, items: [{key: a, path: a//b}]}}"), nil},
	})
}

func TestStoredTokenPaths(t *testing.T) {
	spec := parse[corev1.PodSpec](t, projected("{serviceAccountToken: {path: ../t}}"))
	SetDefaults(spec)
	if errs := ValidateSpec(spec, field.NewPath("spec"), Options{Pod: true, AnyTokenPath: true}); len(errs) > 0 {
		t.Errorf("a stored path is refused: %v", errs)
	}
}
