package compat

import (
	"testing"

	networkingv1 "k8s.io/api/networking/v1"
)

func TestConformanceIngress(t *testing.T) {
	s := newStage(t)
	s.conforms(t, "[sig-network] Ingress API should support creating Ingress API operations", s.lives(life{
		resource: networkingv1.SchemeGroupVersion.WithResource("ingresses"), namespaced: true,
		object: func() map[string]any {
			return map[string]any{"kind": "Ingress", "spec": map[string]any{
				"defaultBackend": map[string]any{"service": map[string]any{"name": "default-backend", "port": map[string]any{"name": "", "number": int64(8080)}}},
				"rules": []any{map[string]any{"host": "foo.bar.com", "http": map[string]any{"paths": []any{map[string]any{
					"path": "/", "pathType": "ImplementationSpecific",
					"backend": map[string]any{"service": map[string]any{"name": "test-backend", "port": map[string]any{"number": int64(8080)}}},
				}}}}},
			}}
		},
		status: map[string]any{"loadBalancer": map[string]any{"ingress": []any{map[string]any{"ip": "169.1.1.1"}}}},
	}))
	s.conforms(t, "[sig-network] IngressClass API should support creating IngressClass API operations", s.lives(life{
		resource: networkingv1.SchemeGroupVersion.WithResource("ingressclasses"),
		object: func() map[string]any {
			return map[string]any{"kind": "IngressClass", "spec": map[string]any{"controller": "example.com/controller"}}
		},
	}))
}
