package endpointslice

import (
	"fmt"
	"net/netip"
	"slices"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	metavalidation "k8s.io/apimachinery/pkg/apis/meta/v1/validation"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/utils/ptr"

	"laterna.dev/laterna/internal/registry/core/endpoints"
)

// What a slice may hold at most.
const (
	maxEndpoints = 1000
	maxAddresses = 100
	maxPorts     = 20000
	maxTopology  = 16
	maxHints     = 8
)

var (
	addressTypes = []discoveryv1.AddressType{discoveryv1.AddressTypeFQDN, discoveryv1.AddressTypeIPv4, discoveryv1.AddressTypeIPv6}
	protocols    = []corev1.Protocol{corev1.ProtocolSCTP, corev1.ProtocolTCP, corev1.ProtocolUDP}
)

func validate(s *discoveryv1.EndpointSlice) field.ErrorList {
	var errs field.ErrorList
	at := field.NewPath("addressType")
	switch {
	case s.AddressType == "":
		errs = append(errs, field.Required(at, ""))
	case !slices.Contains(addressTypes, s.AddressType):
		errs = append(errs, field.NotSupported(at, s.AddressType, addressTypes))
	}
	if at := field.NewPath("endpoints"); len(s.Endpoints) > maxEndpoints {
		errs = append(errs, field.TooMany(at, len(s.Endpoints), maxEndpoints))
	} else {
		for i := range s.Endpoints {
			errs = append(errs, validateEndpoint(&s.Endpoints[i], s.AddressType, at.Index(i))...)
		}
	}
	return append(errs, validatePorts(s.Ports, field.NewPath("ports"))...)
}

func validateChange(s, old *discoveryv1.EndpointSlice) field.ErrorList {
	return apivalidation.ValidateImmutableField(s.AddressType, old.AddressType, field.NewPath("addressType"))
}

func validateEndpoint(e *discoveryv1.Endpoint, kind discoveryv1.AddressType, at *field.Path) field.ErrorList {
	var errs field.ErrorList
	list := at.Child("addresses")
	switch {
	case len(e.Addresses) == 0:
		errs = append(errs, field.Required(list, "must contain at least 1 address"))
	case len(e.Addresses) > maxAddresses:
		errs = append(errs, field.TooMany(list, len(e.Addresses), maxAddresses))
	default:
		for i, a := range e.Addresses {
			errs = append(errs, validateAddress(a, kind, list.Index(i))...)
		}
	}
	errs = append(errs, validateNames(e, at)...)
	errs = append(errs, validateTopology(e.DeprecatedTopology, at.Child("deprecatedTopology"))...)
	if e.Hints != nil {
		errs = append(errs, validateHints(e.Hints, at.Child("hints"))...)
	}
	return errs
}

func validateAddress(a string, kind discoveryv1.AddressType, at *field.Path) field.ErrorList {
	switch kind {
	case discoveryv1.AddressTypeFQDN:
		return validation.IsFullyQualifiedDomainName(at, a)
	case discoveryv1.AddressTypeIPv4, discoveryv1.AddressTypeIPv6:
	default:
		return nil // refused for its type
	}
	errs := endpoints.ValidateIP(a, at)
	if len(errs) > 0 {
		return errs
	}
	ip, err := netip.ParseAddr(a)
	switch {
	case err != nil:
		return field.ErrorList{field.Invalid(at, a, "must be a valid IP address")}
	case kind == discoveryv1.AddressTypeIPv4 && !ip.Is4():
		return field.ErrorList{field.Invalid(at, a, "must be an IPv4 address")}
	case kind == discoveryv1.AddressTypeIPv6 && ip.Is4():
		return field.ErrorList{field.Invalid(at, a, "must be an IPv6 address")}
	}
	return nil
}

func validateNames(e *discoveryv1.Endpoint, at *field.Path) field.ErrorList {
	var errs field.ErrorList
	if e.NodeName != nil {
		for _, msg := range apivalidation.NameIsDNSSubdomain(*e.NodeName, false) {
			errs = append(errs, field.Invalid(at.Child("nodeName"), *e.NodeName, msg))
		}
	}
	if e.Hostname != nil {
		for _, msg := range validation.IsDNS1123Label(*e.Hostname) {
			errs = append(errs, field.Invalid(at.Child("hostname"), *e.Hostname, msg))
		}
	}
	return errs
}

// validateTopology refuses what has a field of its own by now.
func validateTopology(labels map[string]string, at *field.Path) field.ErrorList {
	if len(labels) > maxTopology {
		return field.ErrorList{field.TooMany(at, len(labels), maxTopology)}
	}
	errs := metavalidation.ValidateLabels(labels, at)
	if _, ok := labels[corev1.LabelTopologyZone]; ok {
		errs = append(errs, field.InternalError(at.Key(corev1.LabelTopologyZone), fmt.Errorf("reserved key was not removed in conversion")))
	}
	return errs
}

func validateHints(h *discoveryv1.EndpointHints, at *field.Path) field.ErrorList {
	var errs field.ErrorList
	names := func(list *field.Path, all []string, valid func(string) []string) {
		if len(all) > maxHints {
			errs = append(errs, field.TooMany(list, len(all), maxHints))
			return
		}
		seen := sets.New[string]()
		for i, name := range all {
			at := list.Index(i).Child("name")
			if seen.Has(name) {
				errs = append(errs, field.Duplicate(at, name))
				continue
			}
			seen.Insert(name)
			for _, msg := range valid(name) {
				errs = append(errs, field.Invalid(at, name, msg))
			}
		}
	}
	zones, nodes := make([]string, len(h.ForZones)), make([]string, len(h.ForNodes))
	for i, z := range h.ForZones {
		zones[i] = z.Name
	}
	for i, n := range h.ForNodes {
		nodes[i] = n.Name
	}
	names(at.Child("forZones"), zones, validation.IsValidLabelValue)
	names(at.Child("forNodes"), nodes, func(name string) []string { return apivalidation.NameIsDNSSubdomain(name, false) })
	return errs
}

func validatePorts(all []discoveryv1.EndpointPort, at *field.Path) field.ErrorList {
	if len(all) > maxPorts {
		return field.ErrorList{field.TooMany(at, len(all), maxPorts)}
	}
	var errs field.ErrorList
	seen := sets.New[string]()
	for i, p := range all {
		at, name := at.Index(i), ptr.Deref(p.Name, "")
		if name != "" {
			for _, msg := range validation.IsDNS1123Label(name) {
				errs = append(errs, field.Invalid(at.Child("name"), name, msg))
			}
		}
		if seen.Has(name) {
			errs = append(errs, field.Duplicate(at.Child("name"), p.Name))
		}
		seen.Insert(name)
		errs = append(errs, validatePort(p, at)...)
	}
	return errs
}

func validatePort(p discoveryv1.EndpointPort, at *field.Path) field.ErrorList {
	var errs field.ErrorList
	switch {
	case p.Protocol == nil:
		errs = append(errs, field.Required(at.Child("protocol"), ""))
	case !slices.Contains(protocols, *p.Protocol):
		errs = append(errs, field.NotSupported(at.Child("protocol"), *p.Protocol, protocols))
	}
	if p.Port != nil {
		for _, msg := range validation.IsValidPortNum(int(*p.Port)) {
			errs = append(errs, field.Invalid(at.Child("port"), *p.Port, msg))
		}
	}
	if p.AppProtocol != nil {
		for _, msg := range validation.IsQualifiedName(*p.AppProtocol) {
			errs = append(errs, field.Invalid(at.Child("appProtocol"), *p.AppProtocol, msg))
		}
	}
	return errs
}

// warnings are of spellings of addresses that not everybody reads alike, and of names
// for addresses.
func warnings(s *discoveryv1.EndpointSlice) []string {
	if s.AddressType == discoveryv1.AddressTypeFQDN {
		return []string{"addressType: FQDN endpoints are deprecated"}
	}
	var all []string
	for i, e := range s.Endpoints {
		for j, a := range e.Addresses {
			all = append(all, validation.GetWarningsForIP(field.NewPath("endpoints").Index(i).Child("addresses").Index(j), a)...)
		}
	}
	return all
}
