package usage

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/admission"
	quota "k8s.io/apiserver/pkg/quota/v1"
	"k8s.io/apiserver/pkg/quota/v1/generic"
)

func services(in func(schema.GroupResource) generic.ListFuncByNamespace) quota.Evaluator {
	r := corev1.Resource("services")
	return &counted[*corev1.Service]{
		resource: r, list: in(r), named: oneOf(count(r), corev1.ResourceServices, corev1.ResourceServicesNodePorts, corev1.ResourceServicesLoadBalancers),
		charged: func(a admission.Attributes, _, _ *corev1.Service) bool {
			return a.GetSubresource() == "" && (a.GetOperation() == admission.Create || a.GetOperation() == admission.Update)
		},
		uses: func(s *corev1.Service) corev1.ResourceList {
			ports, balancers := 0, 0
			switch s.Spec.Type {
			case corev1.ServiceTypeNodePort:
				ports = len(s.Spec.Ports)
			case corev1.ServiceTypeLoadBalancer:
				ports, balancers = balancerPorts(s), 1
			}
			return corev1.ResourceList{
				count(r): number(1), corev1.ResourceServices: number(1),
				corev1.ResourceServicesNodePorts: number(ports), corev1.ResourceServicesLoadBalancers: number(balancers),
			}
		},
	}
}

// balancerPorts are the ports that will be taken: at admission they are not yet.
func balancerPorts(s *corev1.Service) (n int) {
	if a := s.Spec.AllocateLoadBalancerNodePorts; a == nil || *a {
		return len(s.Spec.Ports)
	}
	for _, p := range s.Spec.Ports {
		if p.NodePort != 0 {
			n++
		}
	}
	return n
}

// ServiceChanged tells whether the successor of a service uses something else.
func ServiceChanged(s, old *corev1.Service) bool {
	return s.Spec.Type != old.Spec.Type || len(s.Spec.Ports) != len(old.Spec.Ports)
}
