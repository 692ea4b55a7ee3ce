package containers_test

import (
	"testing"

	"laterna.dev/laterna/internal/registry/core/podspec/podspectest"
)

func TestMounts(t *testing.T) {
	mounts := func(text string) string {
		return podspectest.In("volumeMounts: "+text) + "volumes: [{name: v, emptyDir: {}}]"
	}
	const path = "spec.containers[0].volumeMounts"
	wrong := podspectest.Wrong
	podspectest.Run(t,
		wrong("right", mounts("[{name: v, mountPath: /a, subPath: a/b}, {name: v, mountPath: /b, subPathExpr: $(X)}]")),
		wrong("nothing", mounts("[{}]"), path+"[0].name: Required value", path+`[0].name: Not found: ""`, path+"[0].mountPath: Required value"),
		wrong("unknown volume", mounts("[{name: x, mountPath: /a}]"), path+`[0].name: Not found: "x"`),
		wrong("one path twice", mounts("[{name: v, mountPath: /a}, {name: v, mountPath: /a}]"), path+`[1].mountPath: Invalid value: "/a": must be unique`),
		wrong("sub-path", mounts("[{name: v, mountPath: /a, subPath: /x}, {name: v, mountPath: /b, subPath: a/../b}]"),
			path+`.subPath: Invalid value: "/x": must be a relative path`, path+`.subPath: Invalid value: "a/../b": must not contain '..'`),
		wrong("both sub-paths", mounts("[{name: v, mountPath: /a, subPath: x, subPathExpr: z}]"), path+`[0].subPathExpr: Invalid value: "z": subPathExpr and subPath are mutually exclusive`),
		wrong("propagation", mounts("[{name: v, mountPath: /a, mountPropagation: Bidirectional}, {name: v, mountPath: /b, mountPropagation: X}]"),
			path+".mountPropagation: Forbidden: Bidirectional mount propagation is available only to privileged containers",
			path+`.mountPropagation: Unsupported value: "X": supported values: "Bidirectional", "HostToContainer", "None"`),
		wrong("recursive read-only", mounts("[{name: v, mountPath: /a, recursiveReadOnly: Enabled, mountPropagation: HostToContainer}, {name: v, mountPath: /b, recursiveReadOnly: X}]"),
			path+".recursiveReadOnly: Forbidden: may only be specified when readOnly is true",
			path+".recursiveReadOnly: Forbidden: may only be specified when mountPropagation is None or not specified",
			path+`.recursiveReadOnly: Unsupported value: "X": supported values: "Disabled", "Enabled", "IfPossible"`),
		wrong("devices", podspectest.In("volumeDevices: [{name: v, devicePath: /d}, {name: x, devicePath: ''}, {name: p, devicePath: /a/../b}]")+
			"volumes: [{name: v, emptyDir: {}}, {name: p, persistentVolumeClaim: {claimName: c}}]",
			`spec.containers[0].volumeDevices[0].name: Invalid value: "v": can only use volume source type of PersistentVolumeClaim or Ephemeral for block mode`,
			`spec.containers[0].volumeDevices[1].name: Not found: "x"`,
			"spec.containers[0].volumeDevices[1].devicePath: Required value",
			`spec.containers[0].volumeDevices[2].devicePath: Invalid value: "/a/../b": can not contain backsteps ('..')`),
	)
}

func TestBindMountOptions(t *testing.T) {
	const path = "spec.containers[0].volumeMounts[0].bindMountOptions"
	mount := func(options string) string {
		return podspectest.In("volumeMounts: [{name: v, mountPath: /a, bindMountOptions: "+options+"}]") + "volumes: [{name: v, emptyDir: {}}]"
	}
	wrong := podspectest.Wrong
	podspectest.Run(t,
		wrong("right", mount("[noexec, nodev, nosuid]")),
		wrong("unknown", mount("[exec, '']"), path+`[0]: Unsupported value: "exec": supported values: "noexec", "nodev", "nosuid"`, path+"[1]: Required value"),
		wrong("twice", mount("[nodev, nodev]"), path+`[1]: Duplicate value: "nodev"`),
	)
}

func TestMountsBesideDevices(t *testing.T) {
	const mount, device = "spec.containers[0].volumeMounts[0]", "spec.containers[0].volumeDevices"
	podspectest.Run(t,
		podspectest.Wrong("one volume both ways", podspectest.In("volumeMounts: [{name: p, mountPath: /a}]\n  volumeDevices: [{name: p, devicePath: /b}]")+"volumes: [{name: p, persistentVolumeClaim: {claimName: c}}]",
			mount+`.name: Invalid value: "p": must not already exist in volumeDevices`,
			device+`[0].name: Invalid value: "p": must not already exist in volumeMounts`),
		podspectest.Wrong("one path both ways", podspectest.In("volumeMounts: [{name: v, mountPath: /a}]\n  volumeDevices: [{name: p, devicePath: /a}]")+"volumes: [{name: v, emptyDir: {}}, {name: p, persistentVolumeClaim: {claimName: c}}]",
			mount+`.mountPath: Invalid value: "/a": must not already exist as a path in volumeDevices`,
			device+`[0].devicePath: Invalid value: "/a": must not already exist as a path in volumeMounts`),
		podspectest.Wrong("devices twice", podspectest.In("volumeDevices: [{name: p, devicePath: /a}, {name: p, devicePath: /a}]")+"volumes: [{name: p, persistentVolumeClaim: {claimName: c}}]",
			device+`[1].name: Invalid value: "p": must be unique`, device+`[1].devicePath: Invalid value: "/a": must be unique`),
		podspectest.Wrong("a read-only mount to the bottom", podspectest.In("volumeMounts: [{name: v, mountPath: /a, readOnly: true, recursiveReadOnly: Enabled, mountPropagation: None}]")+"volumes: [{name: v, emptyDir: {}}]"),
		podspectest.Wrong("a privileged container", podspectest.In("securityContext: {privileged: true}\n  volumeMounts: [{name: v, mountPath: /a, mountPropagation: Bidirectional}]")+"volumes: [{name: v, emptyDir: {}}]"),
	)
}
