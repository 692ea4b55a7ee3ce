package cri

import (
	"strings"

	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
)

func sandboxConfig(s *SandboxSpec) *runtimeapi.PodSandboxConfig {
	out := &runtimeapi.PodSandboxConfig{
		Metadata:     &runtimeapi.PodSandboxMetadata{Name: s.Name, Namespace: s.Namespace, Uid: s.UID, Attempt: s.Attempt},
		Hostname:     s.Hostname,
		LogDirectory: s.LogDir,
		DnsConfig:    &runtimeapi.DNSConfig{Servers: s.DNS.Servers, Searches: s.DNS.Searches, Options: s.DNS.Options},
		Labels:       s.Labels,
		Annotations:  s.Annotations,
		Linux: &runtimeapi.LinuxPodSandboxConfig{
			CgroupParent: s.CgroupParent,
			Sysctls:      s.Sysctls,
			SecurityContext: &runtimeapi.LinuxSandboxSecurityContext{
				NamespaceOptions:         namespaces(s.Namespaces),
				RunAsUser:                int64Value(s.Security.RunAsUser),
				RunAsGroup:               int64Value(s.Security.RunAsGroup),
				SupplementalGroups:       s.Security.SupplementalGroups,
				SupplementalGroupsPolicy: groupsPolicy(s.Security.StrictGroups),
				Privileged:               s.Security.Privileged,
				Seccomp:                  profile(s.Security.Seccomp),
			},
		},
	}
	if s.Resources != nil {
		out.Linux.Resources = resources(*s.Resources)
	}
	for _, p := range s.Ports {
		out.PortMappings = append(out.PortMappings, &runtimeapi.PortMapping{
			Protocol:      runtimeapi.Protocol(runtimeapi.Protocol_value[p.Protocol]),
			ContainerPort: p.ContainerPort, HostPort: p.HostPort, HostIp: p.HostIP,
		})
	}
	return out
}

func containerConfig(s *ContainerSpec) *runtimeapi.ContainerConfig {
	out := &runtimeapi.ContainerConfig{
		Metadata:    &runtimeapi.ContainerMetadata{Name: s.Name, Attempt: s.Attempt},
		Image:       &runtimeapi.ImageSpec{Image: s.ImageRef, UserSpecifiedImage: s.UserImage},
		Command:     s.Command,
		Args:        s.Args,
		WorkingDir:  s.WorkingDir,
		Labels:      s.Labels,
		Annotations: s.Annotations,
		LogPath:     s.LogPath,
		Stdin:       s.Stdin,
		StdinOnce:   s.StdinOnce,
		Tty:         s.TTY,
		StopSignal:  signalOf(s.StopSignal),
		Linux: &runtimeapi.LinuxContainerConfig{
			Resources:       resources(s.Resources),
			SecurityContext: securityContext(s.Security),
		},
	}
	for _, e := range s.Env {
		out.Envs = append(out.Envs, &runtimeapi.KeyValue{Key: e.Name, Value: []byte(e.Value)})
	}
	for _, m := range s.Mounts {
		out.Mounts = append(out.Mounts, &runtimeapi.Mount{
			HostPath: m.HostPath, ContainerPath: m.ContainerPath, Readonly: m.ReadOnly,
			RecursiveReadOnly: m.RecursiveReadOnly, Propagation: propagation(m.Propagation),
		})
	}
	return out
}

func securityContext(s ContainerSecurity) *runtimeapi.LinuxContainerSecurityContext {
	out := &runtimeapi.LinuxContainerSecurityContext{
		Privileged:               s.Privileged,
		NamespaceOptions:         namespaces(s.Namespaces),
		RunAsUser:                int64Value(s.RunAsUser),
		RunAsGroup:               int64Value(s.RunAsGroup),
		RunAsUsername:            s.RunAsUsername,
		ReadonlyRootfs:           s.ReadOnlyRootFS,
		SupplementalGroups:       s.SupplementalGroups,
		SupplementalGroupsPolicy: groupsPolicy(s.StrictGroups),
		NoNewPrivs:               s.NoNewPrivileges,
		MaskedPaths:              s.MaskedPaths,
		ReadonlyPaths:            s.ReadonlyPaths,
		Seccomp:                  profile(s.Seccomp),
		Apparmor:                 profile(s.AppArmor),
	}
	if len(s.AddCapabilities)+len(s.DropCapabilities) > 0 {
		out.Capabilities = &runtimeapi.Capability{AddCapabilities: s.AddCapabilities, DropCapabilities: s.DropCapabilities}
	}
	return out
}

func resources(r Resources) *runtimeapi.LinuxContainerResources {
	return &runtimeapi.LinuxContainerResources{
		CpuPeriod: r.CPUPeriod, CpuQuota: r.CPUQuota, CpuShares: r.CPUShares,
		MemoryLimitInBytes: r.MemoryBytes, OomScoreAdj: r.OOMScoreAdj,
	}
}

// signalOf is a signal by its name, such as SIGUSR1 or SIGRTMIN+2; "" is the image's own.
func signalOf(name string) runtimeapi.Signal {
	return runtimeapi.Signal(runtimeapi.Signal_value["SIGNAL_"+strings.NewReplacer("+", "PLUS", "-", "MINUS").Replace(name)])
}

func signalName(s runtimeapi.Signal) string {
	if s == runtimeapi.Signal_SIGNAL_RUNTIME_DEFAULT {
		return ""
	}
	return strings.NewReplacer("PLUS", "+", "MINUS", "-").Replace(strings.TrimPrefix(s.String(), "SIGNAL_"))
}

func namespaces(n Namespaces) *runtimeapi.NamespaceOption {
	mode := func(host bool, own runtimeapi.NamespaceMode) runtimeapi.NamespaceMode {
		if host {
			return runtimeapi.NamespaceMode_NODE
		}
		return own
	}
	pid := runtimeapi.NamespaceMode_CONTAINER
	switch {
	case n.TargetID != "":
		pid = runtimeapi.NamespaceMode_TARGET
	case n.SharePID:
		pid = runtimeapi.NamespaceMode_POD
	}
	return &runtimeapi.NamespaceOption{
		Network:  mode(n.HostNetwork, runtimeapi.NamespaceMode_POD),
		Ipc:      mode(n.HostIPC, runtimeapi.NamespaceMode_POD),
		Pid:      mode(n.HostPID, pid),
		TargetId: n.TargetID,
	}
}

func profile(p Profile) *runtimeapi.SecurityProfile {
	switch p.Kind {
	case ProfileRuntimeDefault:
		return &runtimeapi.SecurityProfile{ProfileType: runtimeapi.SecurityProfile_RuntimeDefault}
	case ProfileUnconfined:
		return &runtimeapi.SecurityProfile{ProfileType: runtimeapi.SecurityProfile_Unconfined}
	case ProfileLocalhost:
		return &runtimeapi.SecurityProfile{ProfileType: runtimeapi.SecurityProfile_Localhost, LocalhostRef: p.Localhost}
	}
	return nil
}

func groupsPolicy(strict bool) runtimeapi.SupplementalGroupsPolicy {
	if strict {
		return runtimeapi.SupplementalGroupsPolicy_Strict
	}
	return runtimeapi.SupplementalGroupsPolicy_Merge
}

func propagation(p Propagation) runtimeapi.MountPropagation {
	switch p {
	case PropagationHostToContainer:
		return runtimeapi.MountPropagation_PROPAGATION_HOST_TO_CONTAINER
	case PropagationBidirectional:
		return runtimeapi.MountPropagation_PROPAGATION_BIDIRECTIONAL
	}
	return runtimeapi.MountPropagation_PROPAGATION_PRIVATE
}

func int64Value(v *int64) *runtimeapi.Int64Value {
	if v == nil {
		return nil
	}
	return &runtimeapi.Int64Value{Value: *v}
}
