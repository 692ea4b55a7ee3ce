package security_test

import (
	"testing"

	"laterna.dev/laterna/internal/registry/core/podspec/podspectest"
)

func TestPodSecurity(t *testing.T) {
	wrong := podspectest.Wrong
	podspectest.Run(t,
		wrong("pod security", podspectest.With("securityContext: {runAsUser: -1, runAsGroup: 2147483648, fsGroup: -5, supplementalGroups: [-1], fsGroupChangePolicy: X, seccompProfile: {type: Localhost}, sysctls: [{}, {name: 'A'}, {name: a.b}, {name: a.b}]}"),
			"spec.securityContext.fsGroup: Invalid value: -5: must be between 0 and 2147483647, inclusive",
			"spec.securityContext.runAsUser: Invalid value: -1: must be between 0 and 2147483647, inclusive",
			"spec.securityContext.runAsGroup: Invalid value: 2147483648: must be between 0 and 2147483647, inclusive",
			"spec.securityContext.supplementalGroups[0]: Invalid value: -1: must be between 0 and 2147483647, inclusive",
			"spec.securityContext.sysctls[0].name: Required value",
			`spec.securityContext.sysctls[1].name: Invalid value: "A": must have at most 253 characters and match regex `+"^([a-z0-9]([-_a-z0-9]*[a-z0-9])?[\\./])*[a-z0-9]([-_a-z0-9]*[a-z0-9])?$",
			`spec.securityContext.sysctls[3].name: Duplicate value: "a.b"`,
			`spec.securityContext.fsGroupChangePolicy: Unsupported value: "X": supported values: "Always", "OnRootMismatch"`,
			"spec.securityContext.seccompProfile.localhostProfile: Required value: must be set when seccomp type is Localhost"),
	)
}

func TestContainerSecurity(t *testing.T) {
	wrong := podspectest.Wrong
	podspectest.Run(t,
		wrong("container security", podspectest.In("securityContext: {runAsUser: -1, procMount: Unmasked, seccompProfile: {type: X, localhostProfile: ''}, appArmorProfile: {}, privileged: true, allowPrivilegeEscalation: false}"),
			"spec.containers[0].securityContext.runAsUser: Invalid value: -1: must be between 0 and 2147483647, inclusive",
			"spec.containers[0].securityContext.procMount: Invalid value: \"Unmasked\": `hostUsers` must be false to use `Unmasked`",
			`spec.containers[0].securityContext.seccompProfile.type: Unsupported value: "X": supported values: "Localhost", "RuntimeDefault", "Unconfined"`,
			`spec.containers[0].securityContext.seccompProfile.localhostProfile: Invalid value: {"type":"X","localhostProfile":""}: can only be set when seccomp type is Localhost`,
			"spec.containers[0].securityContext: Invalid value: {\"privileged\":true,\"runAsUser\":-1,\"allowPrivilegeEscalation\":false,\"procMount\":\"Unmasked\",\"seccompProfile\":{\"type\":\"X\",\"localhostProfile\":\"\"},\"appArmorProfile\":{\"type\":\"\"}}: cannot set `allowPrivilegeEscalation` to false and `privileged` to true",
			"spec.containers[0].securityContext.appArmorProfile.type: Required value: type is required when appArmorProfile is set"),
	)
}

func TestUserNamespace(t *testing.T) {
	wrong := podspectest.Wrong
	podspectest.Run(t,
		wrong("user namespace", podspectest.With("hostUsers: false\nhostPID: true"), "spec.HostPID: Forbidden: when `pod.Spec.HostUsers` is false"),
	)
}
