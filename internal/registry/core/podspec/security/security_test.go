package security_test

import (
	"strings"
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

func TestSysctls(t *testing.T) {
	const path = "spec.securityContext.sysctls[0].name: Invalid value: "
	sysctl := func(name, rest string) string {
		return podspectest.With("securityContext: {sysctls: [{name: " + name + ", value: '1'}]}\n" + rest)
	}
	wrong := podspectest.Wrong
	podspectest.Run(t,
		wrong("right", sysctl("kernel.shm_rmid_forced", "")),
		wrong("with slashes", sysctl("net/ipv4/conf/eth0.1/forwarding", "")),
		wrong("of the network that is the host's", sysctl("net/core/somaxconn", "hostNetwork: true"), path+`"net/core/somaxconn": may not be specified when 'hostNetwork' is true`),
		wrong("of the messages that are the host's", sysctl("fs.mqueue.msg_max", "hostIPC: true"), path+`"fs.mqueue.msg_max": may not be specified when 'hostIPC' is true`),
		wrong("of semaphores that are the host's", sysctl("kernel.sem", "hostIPC: true"), path+`"kernel.sem": may not be specified when 'hostIPC' is true`),
		wrong("of the host's messages in a pod of its own", sysctl("kernel.msgmax", "hostNetwork: true")),
	)
}

func TestProfiles(t *testing.T) {
	const seccomp, appArmor = "spec.securityContext.seccompProfile", "spec.securityContext.appArmorProfile"
	with := func(text string) string { return podspectest.With("securityContext: {" + text + "}") }
	wrong := podspectest.Wrong
	podspectest.Run(t,
		wrong("right", with("seccompProfile: {type: Localhost, localhostProfile: a/b.json}, appArmorProfile: {type: Localhost, localhostProfile: a}")),
		wrong("no type", with("seccompProfile: {}, appArmorProfile: {localhostProfile: a}"),
			seccomp+".type: Required value: type is required when seccompProfile is set",
			appArmor+".type: Required value: type is required when appArmorProfile is set"),
		wrong("paths of seccomp", with("seccompProfile: {type: Localhost, localhostProfile: /a/../b}"),
			seccomp+`.localhostProfile: Invalid value: "/a/../b": must be a relative path`,
			seccomp+`.localhostProfile: Invalid value: "/a/../b": must not contain '..'`),
		wrong("AppArmor types", with("appArmorProfile: {type: X}"), appArmor+`.type: Unsupported value: "X": supported values: "Localhost", "RuntimeDefault", "Unconfined"`),
		wrong("AppArmor without name", with("appArmorProfile: {type: Localhost, localhostProfile: ''}"), appArmor+".localhostProfile: Required value: must be set when AppArmor type is Localhost"),
		wrong("AppArmor with a name too many", with("appArmorProfile: {type: RuntimeDefault, localhostProfile: a}"), appArmor+`.localhostProfile: Invalid value: "a": can only be set when AppArmor type is Localhost`),
		wrong("AppArmor names", with("appArmorProfile: {type: Localhost, localhostProfile: ' a'}"), appArmor+`.localhostProfile: Invalid value: " a": must not be padded with whitespace`),
		wrong("long AppArmor names", with("appArmorProfile: {type: Localhost, localhostProfile: "+strings.Repeat("a", 4096)+"}"), appArmor+".localhostProfile: Too long: may not be more than 4095 bytes"),
		wrong("other policies", with("supplementalGroupsPolicy: X, seLinuxChangePolicy: X"),
			`spec.securityContext.supplementalGroupsPolicy: Unsupported value: "X": supported values: "Merge", "Strict"`,
			`spec.securityContext.seLinuxChangePolicy: Unsupported value: "X": supported values: "MountOption", "Recursive"`),
		wrong("processes shared twice", podspectest.With("shareProcessNamespace: true\nhostPID: true"),
			"spec.securityContext.shareProcessNamespace: Invalid value: true: ShareProcessNamespace and HostPID cannot both be enabled"),
		wrong("administrators without privileges", podspectest.In("securityContext: {allowPrivilegeEscalation: false, capabilities: {add: [CAP_SYS_ADMIN]}}"),
			`spec.containers[0].securityContext: Invalid value: {"capabilities":{"add":["CAP_SYS_ADMIN"]},"allowPrivilegeEscalation":false}: cannot set `+"`allowPrivilegeEscalation` to false and `capabilities.Add` CAP_SYS_ADMIN"),
		wrong("unmasked in a user namespace", podspectest.In("securityContext: {procMount: Unmasked}")+"hostUsers: false"),
		wrong("user namespaces", podspectest.With("hostUsers: false\nhostPID: true\nhostIPC: true\nhostNetwork: true"),
			"spec.hostNetwork: Forbidden: when `pod.Spec.HostUsers` is false", "spec.HostPID: Forbidden: when `pod.Spec.HostUsers` is false", "spec.HostIPC: Forbidden: when `pod.Spec.HostUsers` is false"),
	)
}
