package compat

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	autoscalingv2 "k8s.io/api/autoscaling/v2"
	certificatesv1 "k8s.io/api/certificates/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// TestStoredKinds tries kinds that nothing acts on and that upstream's conformance tests do
// not try.
func TestStoredKinds(t *testing.T) {
	s := newStage(t)
	s.conforms(t, "network policies", s.lives(life{
		resource: networkingv1.SchemeGroupVersion.WithResource("networkpolicies"), namespaced: true,
		object: func() map[string]any {
			return part{"kind": "NetworkPolicy", "spec": part{"podSelector": part{}, "egress": []any{part{"ports": []any{part{"port": int64(53), "protocol": "UDP"}}}}}}
		},
	}))
	s.conforms(t, "autoscalers", s.lives(life{
		resource: autoscalingv2.SchemeGroupVersion.WithResource("horizontalpodautoscalers"), namespaced: true,
		object: func() map[string]any {
			return part{"kind": "HorizontalPodAutoscaler", "spec": part{"maxReplicas": int64(3), "scaleTargetRef": part{"kind": "Deployment", "name": "web"}}}
		},
		status: part{"currentReplicas": int64(1), "desiredReplicas": int64(2)},
	}))
	key, _ := keyAndRequest(t, pkix.Name{})
	anchor := signedBy(t, key, &x509.Certificate{IsCA: true, BasicConstraintsValid: true})
	s.conforms(t, "trust bundles", s.lives(life{
		resource: certificatesv1.SchemeGroupVersion.WithResource("clustertrustbundles"),
		object:   func() map[string]any { return part{"kind": "ClusterTrustBundle", "spec": part{"trustBundle": anchor}} },
	}))
	s.conforms(t, "kubectl prunes what it applied, whatever kinds it looks for", func(t *testing.T) {
		const both = `printf '
apiVersion: v1
kind: ConfigMap
metadata: {name: stays, labels: {of: pruning}}
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: goes, labels: {of: pruning}}
spec: {defaultBackend: {service: {name: a, port: {number: 80}}}}
'`
		apply := " | kubectl apply -n " + s.ns + " --prune -l of=pruning -f -"
		s.sh(t, both+apply)
		contains(t, s.sh(t, both+" | sed '/^---/,$d'"+apply), "configmap/stays unchanged", "ingress.networking.k8s.io/goes pruned")
	})
	s.conforms(t, "a pod that mounts a claim waits and says for what", func(t *testing.T) {
		_, claim := s.volumeAndClaim(t, "waits")
		pod := shell(s.name("waits"), forever)
		pod.Spec.PriorityClassName, pod.Spec.Tolerations = "system-node-critical", []corev1.Toleration{{Operator: corev1.TolerationOpExists}} // a full disk holds up nothing here
		pod.Spec.Volumes = []corev1.Volume{{Name: "v", VolumeSource: corev1.VolumeSource{PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: claim.Name}}}}
		made := s.create(t, pod)
		eventually(t, 20*time.Second, func() error {
			all, err := s.client.CoreV1().Events(s.ns).List(t.Context(), metav1.ListOptions{FieldSelector: "involvedObject.name=" + made.Name})
			if err != nil || !slices.ContainsFunc(all.Items, func(e corev1.Event) bool { return strings.Contains(e.Message, "persistentVolumeClaim") }) {
				return fmt.Errorf("events %+v, %v", all.Items, err)
			}
			return nil
		})
	})
}
