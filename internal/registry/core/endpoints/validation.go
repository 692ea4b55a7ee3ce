package endpoints

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

func validate(e *corev1.Endpoints) field.ErrorList {
	var errs field.ErrorList
	for i, s := range e.Subsets {
		at := field.NewPath("subsets").Index(i)
		if len(s.Addresses) == 0 && len(s.NotReadyAddresses) == 0 {
			errs = append(errs, field.Required(at, "must specify `addresses` or `notReadyAddresses`"))
		}
		for j, a := range s.Addresses {
			errs = append(errs, validateAddress(a, at.Child("addresses").Index(j))...)
		}
		for j, a := range s.NotReadyAddresses {
			errs = append(errs, validateAddress(a, at.Child("notReadyAddresses").Index(j))...)
		}
		for j, port := range s.Ports {
			errs = append(errs, validatePort(port, len(s.Ports) > 1, at.Child("ports").Index(j))...)
		}
	}
	return errs
}

func validateAddress(a corev1.EndpointAddress, at *field.Path) field.ErrorList {
	errs := ValidateIP(a.IP, at.Child("ip"))
	if a.Hostname != "" {
		errs = append(errs, invalid(at.Child("hostname"), a.Hostname, validation.IsDNS1123Label(a.Hostname))...)
	}
	if a.NodeName != nil {
		errs = append(errs, invalid(at.Child("nodeName"), *a.NodeName, apivalidation.NameIsDNSSubdomain(*a.NodeName, false))...)
	}
	return errs
}

// ValidateIP refuses addresses that mean something else on every machine.
func ValidateIP(ip string, at *field.Path) field.ErrorList {
	if errs := validation.IsValidIPForLegacyField(at, ip, true, nil); len(errs) > 0 {
		return errs
	}
	addr, err := netip.ParseAddr(ip)
	if err != nil {
		return field.ErrorList{field.Invalid(at, ip, "must be a valid IP address")}
	}
	return invalid(at, ip, special(addr))
}

// Nameable reports whether endpoints may name an address: one that means the same
// machine wherever it is read.
func Nameable(addr netip.Addr) bool { return addr.Zone() == "" && len(special(addr)) == 0 }

// special says why an address means something else on every machine.
func special(addr netip.Addr) []string {
	var msgs []string
	if addr.IsUnspecified() {
		msgs = append(msgs, fmt.Sprintf("may not be unspecified (%v)", addr))
	}
	if addr.IsLoopback() {
		msgs = append(msgs, "may not be in the loopback range (127.0.0.0/8, ::1/128)")
	}
	if addr.IsLinkLocalUnicast() {
		msgs = append(msgs, "may not be in the link-local range (169.254.0.0/16, fe80::/10)")
	}
	if addr.IsLinkLocalMulticast() {
		msgs = append(msgs, "may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)")
	}
	return msgs
}

var protocols = []corev1.Protocol{corev1.ProtocolSCTP, corev1.ProtocolTCP, corev1.ProtocolUDP}

func validatePort(port corev1.EndpointPort, named bool, at *field.Path) field.ErrorList {
	var errs field.ErrorList
	switch {
	case port.Name != "":
		errs = invalid(at.Child("name"), port.Name, validation.IsDNS1123Label(port.Name))
	case named:
		errs = field.ErrorList{field.Required(at.Child("name"), "")}
	}
	for _, msg := range validation.IsValidPortNum(int(port.Port)) {
		errs = append(errs, field.Invalid(at.Child("port"), port.Port, msg))
	}
	switch {
	case port.Protocol == "":
		errs = append(errs, field.Required(at.Child("protocol"), ""))
	case !slices.Contains(protocols, port.Protocol):
		errs = append(errs, field.NotSupported(at.Child("protocol"), port.Protocol, protocols))
	}
	if port.AppProtocol != nil {
		errs = append(errs, invalid(at.Child("appProtocol"), *port.AppProtocol, qualified(*port.AppProtocol))...)
	}
	return errs
}

func qualified(name string) []string {
	if msgs := validation.IsQualifiedName(name); len(msgs) > 0 {
		return []string{strings.Join(msgs, "; ")}
	}
	return nil
}

func invalid(at *field.Path, value string, msgs []string) field.ErrorList {
	var errs field.ErrorList
	for _, msg := range msgs {
		errs = append(errs, field.Invalid(at, value, msg))
	}
	return errs
}
