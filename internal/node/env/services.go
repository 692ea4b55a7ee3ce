package env

import (
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
)

// Services returns the variables that describe services to a pod of namespace: the
// kubernetes service of the default namespace always, those of the pod's own
// namespace when links (spec.enableServiceLinks) is set. Services without an address
// are left out. The result is ordered by service name.
func Services(namespace string, links bool, services []*corev1.Service) []Var {
	var vars []Var
	for _, s := range visible(namespace, links, services) {
		vars = append(vars, serviceVars(s)...)
	}
	return vars
}

func visible(namespace string, links bool, services []*corev1.Service) []*corev1.Service {
	byName := map[string]*corev1.Service{}
	for _, s := range services {
		if s.Spec.ClusterIP == "" || s.Spec.ClusterIP == corev1.ClusterIPNone || len(s.Spec.Ports) == 0 {
			continue
		}
		switch {
		case s.Namespace == namespace && links:
			byName[s.Name] = s
		case s.Namespace == corev1.NamespaceDefault && s.Name == "kubernetes":
			if _, taken := byName[s.Name]; !taken {
				byName[s.Name] = s
			}
		}
	}
	var out []*corev1.Service
	for _, name := range sortedKeys(byName) {
		out = append(out, byName[name])
	}
	return out
}

func serviceVars(s *corev1.Service) []Var {
	name, ip := variableName(s.Name), s.Spec.ClusterIP
	first := s.Spec.Ports[0]
	vars := []Var{
		{name + "_SERVICE_HOST", ip},
		{name + "_SERVICE_PORT", port(first)},
	}
	for _, p := range s.Spec.Ports {
		if p.Name != "" {
			vars = append(vars, Var{name + "_SERVICE_PORT_" + variableName(p.Name), port(p)})
		}
	}
	vars = append(vars, Var{name + "_PORT", url(ip, first)})
	for _, p := range s.Spec.Ports {
		prefix := fmt.Sprintf("%s_PORT_%d_%s", name, p.Port, strings.ToUpper(protocol(p)))
		vars = append(vars,
			Var{prefix, url(ip, p)},
			Var{prefix + "_PROTO", protocol(p)},
			Var{prefix + "_PORT", port(p)},
			Var{prefix + "_ADDR", ip},
		)
	}
	return slices.Clip(vars)
}

func variableName(s string) string { return strings.ToUpper(strings.ReplaceAll(s, "-", "_")) }

func port(p corev1.ServicePort) string { return strconv.Itoa(int(p.Port)) }

// protocol is in lower case; TCP when the port names none.
func protocol(p corev1.ServicePort) string {
	if p.Protocol == "" {
		return "tcp"
	}
	return strings.ToLower(string(p.Protocol))
}

func url(ip string, p corev1.ServicePort) string {
	return protocol(p) + "://" + net.JoinHostPort(ip, port(p))
}
