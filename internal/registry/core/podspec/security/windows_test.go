package security_test

import (
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"laterna.dev/laterna/internal/registry/core/podspec/podspectest"
	"laterna.dev/laterna/internal/registry/core/podspec/security"
)

func TestWindowsOptions(t *testing.T) {
	const pod, container = "spec.securityContext.windowsOptions", "spec.containers[0].securityContext.windowsOptions"
	wrong := podspectest.Wrong
	podspectest.Run(t,
		wrong("right", podspectest.With("securityContext: {windowsOptions: {gmsaCredentialSpecName: a.b, gmsaCredentialSpec: '{}', runAsUserName: 'NT AUTHORITY\\SYSTEM'}}")),
		wrong("names", podspectest.With("securityContext: {windowsOptions: {gmsaCredentialSpecName: A, gmsaCredentialSpec: '', runAsUserName: ''}}"),
			pod+`.gmsaCredentialSpecName: Invalid value: "A": `+podspectest.Domain,
			pod+`.gmsaCredentialSpec: Invalid value: "": gmsaCredentialSpec cannot be an empty string`,
			pod+`.runAsUserName: Invalid value: "": runAsUserName cannot be an empty string`),
		wrong("of a container", podspectest.In("securityContext: {windowsOptions: {gmsaCredentialSpecName: A}}"),
			container+`.gmsaCredentialSpecName: Invalid value: "A": `+podspectest.Domain),
	)
	long := strings.Repeat("x", 64<<10)
	for _, c := range []struct {
		spec  string
		wrong bool
	}{{long, false}, {long + "x", true}} {
		spec := &corev1.PodSpec{SecurityContext: &corev1.PodSecurityContext{WindowsOptions: &corev1.WindowsSecurityContextOptions{GMSACredentialSpec: &c.spec}}}
		errs := security.ValidatePod(spec, field.NewPath("sc"))
		if (len(errs) == 1 && errs[0].Detail == "gmsaCredentialSpec size must be under 64 KiB") != c.wrong {
			t.Errorf("%d bytes: %d errors", len(c.spec), len(errs))
		}
	}
}

func TestWindowsUserNames(t *testing.T) {
	const (
		format  = "runAsUserName's Domain doesn't match the NetBios nor the DNS format"
		letters = `runAsUserName's User cannot contain the following characters: "/\:;|=,+*?<>@[]`
		dots    = "runAsUserName's User cannot contain only periods or spaces"
	)
	for _, c := range []struct {
		name string
		want []string
	}{
		{"user", nil}, {"a.b c", nil}, {`DOMAIN\user`, nil}, {`sub.example.com\user`, nil}, {`a b\user`, nil}, {"é", nil},
		{strings.Repeat("u", 104), nil},
		{strings.Repeat("u", 105), []string{"runAsUserName's User length must not be longer than 104 characters"}},
		{strings.Repeat("é", 15) + `\u`, nil},
		{strings.Repeat("é", 16) + `\u`, []string{format}},
		{strings.Repeat("d", 63) + `.d\u`, nil},
		{strings.Repeat("d", 64) + `.d\u`, []string{format}},
		{strings.Repeat("d.", 127) + `d\u`, nil},
		{strings.Repeat("d.", 128) + `\u`, []string{"runAsUserName's Domain length must be under 256 characters", format}},
		{"tab\tuser", []string{"runAsUserName cannot contain control characters"}},
		{`a\b\c`, []string{"runAsUserName cannot contain more than one backslash"}},
		{`\user`, []string{format}},
		{`.d\user`, []string{format}}, {`d*\user`, []string{format}}, {`-longer-than-fifteen-\user`, []string{format}},
		{`domain\`, []string{"runAsUserName's User cannot be empty"}},
		{" . ", []string{dots}}, {"..", []string{dots}},
		{"a/b", []string{letters}}, {"u@example.com", []string{letters}}, {`d\[u]`, []string{letters}},
	} {
		spec := &corev1.PodSpec{SecurityContext: &corev1.PodSecurityContext{WindowsOptions: &corev1.WindowsSecurityContextOptions{RunAsUserName: &c.name}}}
		var got []string
		for _, err := range security.ValidatePod(spec, field.NewPath("sc")) {
			got = append(got, err.Detail)
		}
		if strings.Join(got, "\n") != strings.Join(c.want, "\n") {
			t.Errorf("%q: %q, want %q", c.name, got, c.want)
		}
	}
}

func TestHostProcesses(t *testing.T) {
	const all = "spec: Invalid value: \"\": If pod contains any hostProcess containers then all containers must be HostProcess containers"
	const network = "spec.hostNetwork: Invalid value: false: hostNetwork must be true if pod contains any hostProcess containers"
	process := func(value string) string { return "securityContext: {windowsOptions: {hostProcess: " + value + "}}" }
	wrong := podspectest.Wrong
	podspectest.Run(t,
		wrong("of the pod", podspectest.With("hostNetwork: true\n"+process("true"))),
		wrong("of the container", podspectest.In(process("true"))+"hostNetwork: true"),
		wrong("none", podspectest.In(process("false"))+process("false")),
		wrong("without the host's network", podspectest.With(process("true")), network),
		wrong("of one of two", podspectest.In(process("true"))+"hostNetwork: true\ninitContainers: [{name: i, image: i}]", all),
		wrong("of one of two, without the host's network", podspectest.In(process("true"))+"initContainers: [{name: i, image: i}]", all, network),
		wrong("contradiction", podspectest.In(process("false"))+process("true"),
			"spec.containers[0].securityContext.windowsOptions.hostProcess: Invalid value: false: pod hostProcess value must be identical if both are specified, was true"),
		wrong("contradiction the other way", podspectest.In(process("true"))+"hostNetwork: true\n"+process("false"),
			"spec.containers[0].securityContext.windowsOptions.hostProcess: Invalid value: true: pod hostProcess value must be identical if both are specified, was false"),
	)
}

func TestFieldsOfTheOtherSystem(t *testing.T) {
	const linux, windows = ": Forbidden: windows options cannot be set for a linux pod", ": Forbidden: cannot be set for a windows pod"
	const pod, container = "spec.securityContext.", "spec.containers[0].securityContext."
	wrong := podspectest.Wrong
	podspectest.Run(t,
		wrong("linux", podspectest.With("os: {name: linux}\nhostPID: true\nsecurityContext: {runAsUser: 1}")),
		wrong("windows", podspectest.In("securityContext: {runAsNonRoot: true, windowsOptions: {runAsUserName: u}}")+"os: {name: windows}"),
		wrong("no name", podspectest.With("os: {}"), "spec.os.name: Required value: cannot be empty"),
		wrong("linux with options of windows", podspectest.In("securityContext: {windowsOptions: {}}")+"os: {name: linux}\nsecurityContext: {windowsOptions: {}}",
			pod+"windowsOptions"+linux, container+"windowsOptions"+linux),
		wrong("windows with the pod's of linux", podspectest.With("os: {name: windows}\nhostPID: true\nhostIPC: true\nhostUsers: true\nshareProcessNamespace: false\nresources: {limits: {cpu: 1}}\n"+
			"securityContext: {appArmorProfile: {type: Unconfined}, seLinuxOptions: {}, seccompProfile: {type: Unconfined}, fsGroup: 1, fsGroupChangePolicy: Always, sysctls: [{name: a, value: b}], runAsUser: 1, runAsGroup: 1, supplementalGroups: [1], supplementalGroupsPolicy: Merge}"),
			pod+"appArmorProfile"+windows, pod+"seLinuxOptions"+windows, "spec.hostUsers"+windows, "spec.hostPID"+windows, "spec.hostIPC"+windows,
			pod+"seccompProfile"+windows, pod+"fsGroup"+windows, pod+"fsGroupChangePolicy"+windows, pod+"sysctls"+windows, "spec.shareProcessNamespace"+windows,
			pod+"runAsUser"+windows, pod+"runAsGroup"+windows, pod+"supplementalGroups"+windows, pod+"supplementalGroupsPolicy"+windows, "spec.resources"+windows),
		wrong("windows with a container's of linux", podspectest.In("securityContext: {appArmorProfile: {type: Unconfined}, seLinuxOptions: {}, seccompProfile: {type: Unconfined}, capabilities: {}, readOnlyRootFilesystem: false, privileged: false, allowPrivilegeEscalation: true, procMount: Default, runAsUser: 1, runAsGroup: 1}")+"os: {name: windows}",
			container+"appArmorProfile"+windows, container+"seLinuxOptions"+windows, container+"seccompProfile"+windows, container+"capabilities"+windows,
			container+"readOnlyRootFilesystem"+windows, container+"privileged"+windows, container+"allowPrivilegeEscalation"+windows, container+"procMount"+windows,
			container+"runAsUser"+windows, container+"runAsGroup"+windows),
	)
}
