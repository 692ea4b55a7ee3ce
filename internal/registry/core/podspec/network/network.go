// Package network has the rules of a pod's names and of how it is reached: host network,
// host name, hosts file and DNS. Ports are checked with the containers that have them.
package network

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// ValidateHostNetwork checks ports of a spec on the host network: there container and
// host port are one. Only a pod must say so, since only a pod gets the default.
func ValidateHostNetwork(spec *corev1.PodSpec, path *field.Path, pod bool) field.ErrorList {
	if !spec.HostNetwork {
		return nil
	}
	var errs field.ErrorList
	for i, c := range spec.Containers {
		for j, p := range c.Ports {
			if (pod || p.HostPort != 0) && p.HostPort != p.ContainerPort {
				errs = append(errs, field.Invalid(path.Child("containers").Index(i).Child("ports").Index(j).Child("hostPort"),
					p.HostPort, "must match `containerPort` when `hostNetwork` is true"))
			}
		}
	}
	return errs
}

// maxHostname is the longest host name that Linux takes.
const maxHostname = 64

// ValidateHostnameOverride checks the name that KEP-4762 lets a pod have instead of its
// own.
func ValidateHostnameOverride(spec *corev1.PodSpec, path *field.Path) field.ErrorList {
	if spec.HostnameOverride == nil {
		return nil
	}
	name, at := *spec.HostnameOverride, path.Child("hostnameOverride")
	var errs field.ErrorList
	for _, msg := range validation.IsDNS1123Subdomain(name) {
		errs = append(errs, field.Invalid(at, name, msg))
	}
	if len(name) > maxHostname {
		errs = append(errs, field.TooLong(at, name, maxHostname))
	}
	if spec.SetHostnameAsFQDN != nil && *spec.SetHostnameAsFQDN {
		errs = append(errs, field.Forbidden(at, "may not be specified when `setHostnameAsFQDN` is true"))
	}
	if spec.HostNetwork {
		errs = append(errs, field.Forbidden(at, "may not be specified when `hostNetwork` is true"))
	}
	return errs
}
