package containers_test

import (
	"testing"

	"laterna.dev/laterna/internal/registry/core/podspec/podspectest"
)

func TestEnv(t *testing.T) {
	one := func(text string) string { return podspectest.In("env: [{name: V, valueFrom: " + text + "}]") }
	const path = "spec.containers[0].env[0].valueFrom"
	wrong := podspectest.Wrong
	podspectest.Run(t,
		wrong("relaxed names", podspectest.In(`env: [{name: "a b.c-d/e:1"}]`)),
		wrong("names", podspectest.In(`env: [{name: ""}, {name: "a=b"}, {name: "é"}]`),
			"spec.containers[0].env[0].name: Required value",
			`spec.containers[0].env[1].name: Invalid value: "a=b": a valid environment variable name must consist only of printable ASCII characters other than '='`,
			`spec.containers[0].env[2].name: Invalid value: "é": a valid environment variable name must consist only of printable ASCII characters other than '='`),
		wrong("no source", one("{}"), path+": Invalid value: \"\": must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef`, `secretKeyRef` or `fileKeyRef`"),
		wrong("two sources", one("{secretKeyRef: {name: a, key: b}, configMapKeyRef: {name: a, key: b}}"), path+`: Invalid value: "": may not have more than one field specified at a time`),
		wrong("value and source", podspectest.In("env: [{name: V, value: x, valueFrom: {secretKeyRef: {name: a, key: b}}}]"), path+": Invalid value: \"\": may not be specified when `value` is not empty"),
		wrong("secret key", one("{secretKeyRef: {name: A, key: 'a/b'}}"),
			path+`.secretKeyRef.name: Invalid value: "A": `+podspectest.Domain,
			path+`.secretKeyRef.key: Invalid value: "a/b": a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  or 'KEY_NAME',  or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')`),
		wrong("config map key", one("{configMapKeyRef: {name: a, key: ''}}"), path+".configMapKeyRef.key: Required value"),
		wrong("field", one("{fieldRef: {fieldPath: status.podIP}}")),
		wrong("old name of a field", one("{fieldRef: {fieldPath: spec.host}}")),
		wrong("one label", one(`{fieldRef: {fieldPath: "metadata.labels['a/b']"}}`)),
		wrong("annotation in upper case", one(`{fieldRef: {fieldPath: "metadata.annotations['A/B']"}}`)),
		wrong("field path missing", one("{fieldRef: {}}"), path+".fieldRef.fieldPath: Required value"),
		wrong("field API version", one("{fieldRef: {apiVersion: v2, fieldPath: metadata.name}}"), path+`.fieldRef.fieldPath: Invalid value: "metadata.name": error converting fieldPath: unsupported pod version: v2`),
		wrong("all labels", one("{fieldRef: {fieldPath: metadata.labels}}"), path+`.fieldRef.fieldPath: Unsupported value: "metadata.labels": supported values: "metadata.name", "metadata.namespace", "metadata.uid", "spec.nodeName", "spec.serviceAccountName", "status.hostIP", "status.hostIPs", "status.podIP", "status.podIPs"`),
		wrong("unknown field", one("{fieldRef: {fieldPath: spec.nope}}"), path+`.fieldRef.fieldPath: Invalid value: "spec.nope": error converting fieldPath: field label not supported: spec.nope`),
		wrong("subscript of a name", one(`{fieldRef: {fieldPath: "metadata.name['x']"}}`), path+`.fieldRef.fieldPath: Invalid value: "metadata.name['x']": error converting fieldPath: field label does not support subscript: metadata.name['x']`),
		wrong("bad label key", one(`{fieldRef: {fieldPath: "metadata.labels['*']"}}`), path+`.fieldRef: Invalid value: "*": `+podspectest.Qualified),
		wrong("resource", one("{resourceFieldRef: {resource: limits.cpu, divisor: 1m}}")),
		wrong("huge pages", one("{resourceFieldRef: {resource: limits.hugepages-2Mi, divisor: 1Mi}}")),
		wrong("resource missing", one("{resourceFieldRef: {}}"), path+".resourceFieldRef.resource: Required value"),
		wrong("unknown resource", one("{resourceFieldRef: {resource: limits.x}}"), path+`.resourceFieldRef.resource: Unsupported value: "limits.x": supported values: "limits.cpu", "limits.ephemeral-storage", "limits.memory", "requests.cpu", "requests.ephemeral-storage", "requests.memory"`),
		wrong("divisor of cpu", one("{resourceFieldRef: {resource: requests.cpu, divisor: 1k}}"), path+`.resourceFieldRef.divisor: Invalid value: "requests.cpu": only divisor's values 1m and 1 are supported with the cpu resource`),
		wrong("divisor of memory", one("{resourceFieldRef: {resource: limits.memory, divisor: 2Mi}}"), path+`.resourceFieldRef.divisor: Invalid value: "limits.memory": only divisor's values 1, 1k, 1M, 1G, 1T, 1P, 1E, 1Ki, 1Mi, 1Gi, 1Ti, 1Pi, 1Ei are supported with the memory resource`),
		wrong("file key", one("{fileKeyRef: {volumeName: e, path: a/b.env, key: 'any key, 1'}}")+"volumes: [{name: e, emptyDir: {medium: Memory}}]"),
		wrong("file key of another volume", one("{fileKeyRef: {volumeName: c, path: a, key: k}}")+"volumes: [{name: c, configMap: {name: c}}]",
			path+`.fileKeyRef.volumeName: Invalid value: "c": referenced volume must be of type emptyDir`),
		wrong("file key outside", one("{fileKeyRef: {volumeName: e, path: a/../../b, key: 'a=b'}}")+"volumes: [{name: e, emptyDir: {}}]",
			path+`.fileKeyRef.path: Invalid value: "a/../../b": must not contain '..'`,
			path+`.fileKeyRef.key: Invalid value: "a=b": a valid environment variable name must consist only of printable ASCII characters other than '='`),
		wrong("file key wrong", one("{fileKeyRef: {volumeName: x, path: /a, key: ''}}"),
			path+`.fileKeyRef.volumeName: Not found: "x"`,
			path+`.fileKeyRef.path: Invalid value: "/a": must be a relative path`,
			path+".fileKeyRef.key: Required value"),
		wrong("envFrom", podspectest.In("envFrom: [{prefix: 'a=', secretRef: {name: ''}}, {}, {secretRef: {name: A}, configMapRef: {name: b}}]"),
			`spec.containers[0].envFrom[0].prefix: Invalid value: "a=": a valid environment variable name must consist only of printable ASCII characters other than '='`,
			"spec.containers[0].envFrom[0].secretRef.name: Required value",
			"spec.containers[0].envFrom: Invalid value: \"\": must specify one of: `configMapRef` or `secretRef`",
			`spec.containers[0].envFrom[2].secretRef.name: Invalid value: "A": `+podspectest.Domain,
			`spec.containers[0].envFrom: Invalid value: "": may not have more than one field specified at a time`),
	)
}
