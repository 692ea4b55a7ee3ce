package compat

import (
	"os"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// TestExampleOfTheSetsPage runs the set of docs/sets.md.
func TestExampleOfTheSetsPage(t *testing.T) {
	t.Parallel()
	s, ns := shared, shared.namespace(t)
	page, err := os.ReadFile("../../docs/sets.md")
	if err != nil {
		t.Fatal(err)
	}
	_, manifest, found := strings.Cut(string(page), "```yaml\n")
	manifest, _, ended := strings.Cut(manifest, "```")
	if !found || !ended {
		t.Fatal("the page has no manifest")
	}
	s.apply(t, ns, manifest)
	s.sh(t, "kubectl rollout status statefulset/web --timeout 30s -n "+ns)
	if got := s.exec(t, ns, "web-1", "cat", "/tmp/name"); got != "web-1\n" {
		t.Errorf("the second pod is called %q", got)
	}
	s.sh(t, "kubectl delete pods -l app=web --now --wait=false -n "+ns)
}

// TestPodsOfASetWaitForTheirClaims checks that a set with claims makes them, and that its
// pod says what it waits for.
func TestPodsOfASetWaitForTheirClaims(t *testing.T) {
	s := newStage(t)
	s.statefulSet(t, "db", 2, func(set *appsv1.StatefulSet) {
		set.Spec.VolumeClaimTemplates = []corev1.PersistentVolumeClaim{{ObjectMeta: metav1.ObjectMeta{Name: "data"}, Spec: corev1.PersistentVolumeClaimSpec{
			AccessModes: []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce},
			Resources:   corev1.VolumeResourceRequirements{Requests: corev1.ResourceList{corev1.ResourceStorage: resource.MustParse("1Gi")}},
		}}}
		set.Spec.Template.Spec.Containers[0].VolumeMounts = []corev1.VolumeMount{{Name: "data", MountPath: "/data"}}
	})
	s.have(t, "db", 1, 0)
	contains(t, s.sh(t, "kubectl get pvc -n "+s.ns), "data-db-0   Pending")
	var events string
	eventually(t, 10*time.Second, func() error {
		events = s.sh(t, "kubectl get events -n "+s.ns+" --field-selector involvedObject.name=db-0")
		if !strings.Contains(events, "volumes[0]") {
			return os.ErrNotExist
		}
		return nil
	})
	contains(t, events, "Warning")
	if n := s.count(t, "set=db"); n != 1 {
		t.Errorf("%d pods", n)
	}
	contains(t, s.sh(t, "kubectl describe statefulset db -n "+s.ns), "create Claim data-db-0 Pod db-0 in StatefulSet db success", "create Pod db-0 in StatefulSet db successful")
}
