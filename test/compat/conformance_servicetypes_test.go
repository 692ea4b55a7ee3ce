package compat

import (
	"testing"

	"github.com/miekg/dns"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// TestConformanceServiceTypes changes what a service is, and looks from a pod where its name
// leads.
func TestConformanceServiceTypes(t *testing.T) {
	s := newStage(t)
	labels := map[string]string{"app": "typed"}
	s.apply(t, s.ns, netserver("asks", nil, "")+"\n---\n"+netserver("answers", labels, "", 8080))
	s.running(t, s.ns, "asks", "answers")
	ports := []corev1.ServicePort{portTo("", "TCP", 80, 8080)}
	target := s.expose(t, corev1.ServiceSpec{Selector: labels, Ports: ports})
	alias := target.Name + "." + s.ns + ".svc." + zone

	// toName makes a service a name of another, toAddress the reverse.
	toName := func(kind corev1.ServiceType) func(*testing.T) {
		return func(t *testing.T) {
			made := s.expose(t, corev1.ServiceSpec{Type: kind, Selector: labels, Ports: ports})
			s.reaches(t, "asks", made.Name, 80, "answers")
			services := s.client.CoreV1().Services(s.ns)
			// As upstream's test has it, what the new type has no use for stays in the update.
			made.Spec.Type, made.Spec.ExternalName = corev1.ServiceTypeExternalName, alias
			changed, err := services.Update(t.Context(), made, metav1.UpdateOptions{})
			s.must(t, err)
			if changed.Spec.ClusterIP != "" || changed.Spec.Ports[0].NodePort != 0 {
				t.Errorf("it keeps %q and node port %d", changed.Spec.ClusterIP, changed.Spec.Ports[0].NodePort)
			}
			a := s.asksFrom(t, s.ns, "asks")
			a.resolves(t, dns.TypeCNAME, []string{alias + "."}, made.Name+"."+s.ns+".svc."+zone)
			s.reaches(t, "asks", made.Name, 80, "answers")
		}
	}
	toAddress := func(kind corev1.ServiceType) func(*testing.T) {
		return func(t *testing.T) {
			made := s.expose(t, corev1.ServiceSpec{Type: corev1.ServiceTypeExternalName, ExternalName: "foo.example.com"})
			made.Spec.Type, made.Spec.ExternalName, made.Spec.Selector, made.Spec.Ports = kind, "", labels, ports
			changed, err := s.client.CoreV1().Services(s.ns).Update(t.Context(), made, metav1.UpdateOptions{})
			s.must(t, err)
			s.asksFrom(t, s.ns, "asks").resolves(t, dns.TypeA, []string{changed.Spec.ClusterIP}, made.Name)
			s.reaches(t, "asks", made.Name, 80, "answers")
			s.reaches(t, "asks", changed.Spec.ClusterIP, 80, "answers")
			if kind == corev1.ServiceTypeNodePort {
				s.reaches(t, "asks", s.nodeIP(t), int(changed.Spec.Ports[0].NodePort), "answers")
			}
		}
	}
	s.conforms(t, "[sig-network] Services should be able to change the type from ClusterIP to ExternalName", toName(corev1.ServiceTypeClusterIP))
	s.conforms(t, "[sig-network] Services should be able to change the type from NodePort to ExternalName", toName(corev1.ServiceTypeNodePort))
	s.conforms(t, "[sig-network] Services should be able to change the type from ExternalName to ClusterIP", toAddress(corev1.ServiceTypeClusterIP))
	s.conforms(t, "[sig-network] Services should be able to change the type from ExternalName to NodePort", toAddress(corev1.ServiceTypeNodePort))
}
