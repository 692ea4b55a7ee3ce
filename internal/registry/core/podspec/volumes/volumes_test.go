package volumes_test

import (
	"testing"

	"laterna.dev/laterna/internal/registry/core/podspec/podspectest"
)

const v = "spec.volumes[0]"

func volume(text string) string { return podspectest.With("volumes: [" + text + "]") }

func projected(sources string) string {
	return volume("{name: p, projected: {sources: [" + sources + "]}}")
}

func TestVolumes(t *testing.T) {
	wrong := podspectest.Wrong
	podspectest.Run(t,
		wrong("right", volume("{name: a, emptyDir: {medium: Memory, sizeLimit: 1Mi}}, {name: b, secret: {secretName: s, items: [{key: k, path: a/b, mode: 511}]}}")),
		wrong("no name", volume("{emptyDir: {}}"), v+".name: Required value"),
		wrong("bad name", volume("{name: A, emptyDir: {}}"), v+`.name: Invalid value: "A": `+podspectest.Label),
		wrong("one name twice", volume("{name: a, emptyDir: {}}, {name: a, emptyDir: {}}"), `spec.volumes[1].name: Duplicate value: "a"`),
		wrong("two kinds", volume("{name: a, emptyDir: {}, secret: {secretName: s}}"), v+".secret: Forbidden: may not specify more than 1 volume type"),
		wrong("a foreign and an honoured kind", volume("{name: a, configMap: {name: c}, nfs: {server: s, path: /}}"), v+".configMap: Forbidden: may not specify more than 1 volume type"),
		wrong("mode of an empty directory", volume("{name: a, emptyDir: {mode: 0}}, {name: b, emptyDir: {mode: 511}}, {name: c, emptyDir: {mode: 1023}}")),
		wrong("mode of an empty directory out of range", volume("{name: a, emptyDir: {mode: -1}}, {name: b, emptyDir: {mode: 1024}}"),
			v+".emptyDir.mode: Invalid value: -1: must be a number between 0 and 01777 (octal), both inclusive",
			"spec.volumes[1].emptyDir.mode: Invalid value: 1024: must be a number between 0 and 01777 (octal), both inclusive"),
		wrong("size limit", volume("{name: a, emptyDir: {sizeLimit: -1}}"), v+".emptyDir.sizeLimit: Forbidden: SizeLimit field must be a valid resource quantity"),
		wrong("secret", volume("{name: a, secret: {defaultMode: 512, items: [{}, {key: k, path: /p, mode: -1}, {key: k, path: ../p}, {key: k, path: ..p}, {key: k, path: a/..}, {key: k, path: ..}]}}"),
			v+".secret.secretName: Required value",
			v+".secret.defaultMode: Invalid value: 512: must be a number between 0 and 0777 (octal), both inclusive",
			v+".secret.items[0].key: Required value",
			v+".secret.items[0].path: Required value",
			v+`.secret.items[1].path: Invalid value: "/p": must be a relative path`,
			v+".secret.items[1].mode: Invalid value: -1: must be a number between 0 and 0777 (octal), both inclusive",
			v+`.secret.items[2].path: Invalid value: "../p": must not contain '..'`,
			v+`.secret.items[3].path: Invalid value: "..p": must not start with '..'`,
			v+`.secret.items[4].path: Invalid value: "a/..": must not contain '..'`,
			v+`.secret.items[5].path: Invalid value: "..": must not contain '..'`,
			v+`.secret.items[5].path: Invalid value: "..": must not start with '..'`),
		wrong("the printed default mode 6600", volume(`{name: a, secret: {secretName: s, defaultMode: 6600}}`),
			v+".secret.defaultMode: Invalid value: 6600: must be a number between 0 and 0777 (octal), both inclusive"),
		wrong("config map", volume("{name: a, configMap: {defaultMode: 4096}}"),
			v+".configMap.name: Required value",
			v+".configMap.defaultMode: Invalid value: 4096: must be a number between 0 and 0777 (octal), both inclusive"),
		wrong("downward API", volume("{name: a, downwardAPI: {items: [{path: p}, {path: /p, fieldRef: {fieldPath: metadata.labels}}, {path: p, fieldRef: {fieldPath: metadata.name}, resourceFieldRef: {containerName: c, resource: limits.cpu}}, {path: p, resourceFieldRef: {resource: limits.cpu}}, {path: p, fieldRef: {fieldPath: status.podIP}, mode: 1000}]}}"),
			v+".downwardAPI: Required value: one of fieldRef and resourceFieldRef is required",
			v+`.downwardAPI.path: Invalid value: "/p": must be a relative path`,
			v+`.downwardAPI: Invalid value: "resource": fieldRef and resourceFieldRef can not be specified simultaneously`,
			v+".downwardAPI.resourceFieldRef.containerName: Required value",
			v+`.downwardAPI.fieldRef.fieldPath: Unsupported value: "status.podIP": supported values: "metadata.annotations", "metadata.labels", "metadata.name", "metadata.namespace", "metadata.uid"`,
			v+".downwardAPI.mode: Invalid value: 1000: must be a number between 0 and 0777 (octal), both inclusive"),
		wrong("owner", volume("{name: a, secret: {secretName: s, defaultUser: -1}}"), v+".secret.defaultUser: Invalid value: -1: must be between 0 and 2147483647, inclusive"),
		wrong("claim made for an ephemeral volume", volume("{name: e, ephemeral: {volumeClaimTemplate: {spec: {}}}}, {name: c, persistentVolumeClaim: {claimName: pod-e}}"),
			`spec.volumes[1].persistentVolumeClaim.claimName: Invalid value: "pod-e": must not reference a PVC that gets created for an ephemeral volume`),
		wrong("host path", volume("{name: a, hostPath: {path: /a/../b, type: X}}"),
			v+`.hostPath.path: Invalid value: "/a/../b": must not contain '..'`,
			v+`.hostPath.type: Unsupported value: "X": supported values: "", "BlockDevice", "CharDevice", "Directory", "DirectoryOrCreate", "File", "FileOrCreate", "Socket"`),
		wrong("nfs", volume("{name: a, nfs: {server: s, path: a}}"), v+`.nfs.path: Invalid value: "a": must be an absolute path`),
	)
}

// TestOwnersOfFiles holds the range of KEP-5936's fields at each of their places.
func TestOwnersOfFiles(t *testing.T) {
	const rule = ": must be between 0 and 2147483647, inclusive"
	const sources = v + ".projected.sources"
	wrong := podspectest.Wrong
	podspectest.Run(t,
		wrong("right", volume("{name: a, configMap: {name: c, defaultUser: 0, items: [{key: k, path: p, user: 2147483647}]}}")),
		wrong("secret", volume("{name: a, secret: {secretName: s, defaultUser: 2147483648, items: [{key: k, path: p, user: -1}]}}"),
			v+".secret.defaultUser: Invalid value: 2147483648"+rule, v+".secret.items[0].user: Invalid value: -1"+rule),
		wrong("config map", volume("{name: a, configMap: {name: c, defaultUser: -1, items: [{key: k, path: p, user: -2}]}}"),
			v+".configMap.defaultUser: Invalid value: -1"+rule, v+".configMap.items[0].user: Invalid value: -2"+rule),
		wrong("Downward API", volume("{name: a, downwardAPI: {defaultUser: -1, items: [{path: p, user: -2, fieldRef: {fieldPath: metadata.name}}]}}"),
			v+".downwardAPI.defaultUser: Invalid value: -1"+rule, v+".downwardAPI.user: Invalid value: -2"+rule),
		wrong("projected", volume("{name: a, projected: {defaultUser: -1, sources: [{secret: {name: s, items: [{key: k, path: a, user: -2}]}}, {configMap: {name: s, items: [{key: k, path: b, user: -3}]}}, "+
			"{downwardAPI: {items: [{path: c, user: -4, fieldRef: {fieldPath: metadata.name}}]}}, {serviceAccountToken: {path: d, user: -5}}, {clusterTrustBundle: {name: nn, path: e, user: -6}}, "+
			"{podCertificate: {signerName: a.b/c, keyType: ED25519, keyPath: f, user: -7}}]}}"),
			v+".projected.defaultUser: Invalid value: -1"+rule,
			sources+"[0].secret.items[0].user: Invalid value: -2"+rule,
			sources+"[1].configMap.items[0].user: Invalid value: -3"+rule,
			sources+"[2].downwardAPI.user: Invalid value: -4"+rule,
			sources+"[3].serviceAccountToken.user: Invalid value: -5"+rule,
			sources+"[4].clusterTrustBundle.user: Invalid value: -6"+rule,
			sources+"[5].podCertificate.user: Invalid value: -7"+rule),
	)
}
