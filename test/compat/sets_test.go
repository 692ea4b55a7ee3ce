package compat

import (
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
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

// TestKilledDuringARolloutNothingIsDoneTwice kills the program again and again while a
// StatefulSet and a DaemonSet are rolled out.
func TestKilledDuringARolloutNothingIsDoneTwice(t *testing.T) {
	t.Parallel()
	rollouts := 2
	if soak() {
		rollouts = 20
	}
	sys := started(t, "--node=false")
	s := &stage{system: sys, ns: "default", client: sys.client(t)}
	s.nodes(t, "n0", "n1", "n2")
	var mu sync.Mutex
	made := map[string]map[types.UID]bool{"web": {}, "log": {}}
	seen := func(p *corev1.Pod) {
		mu.Lock()
		defer mu.Unlock()
		set, _, _ := strings.Cut(p.Name, "-")
		made[set][p.UID] = true
	}
	stop := agents(t, s.client, seen)
	defer func() { stop() }()
	s.statefulSet(t, "web", 3)
	s.daemonSet(t, "log")
	stands := func(image string) bool {
		set, err := s.client.AppsV1().StatefulSets(s.ns).Get(t.Context(), "web", metav1.GetOptions{})
		if err != nil {
			t.Fatal(err)
		}
		daemons, err := s.client.AppsV1().DaemonSets(s.ns).Get(t.Context(), "log", metav1.GetOptions{})
		if err != nil {
			t.Fatal(err)
		}
		return set.Spec.Template.Spec.Containers[0].Image == image && set.Status.ObservedGeneration == set.Generation && set.Status.UpdatedReplicas == 3 && set.Status.ReadyReplicas == 3 &&
			daemons.Status.ObservedGeneration == daemons.Generation && daemons.Status.UpdatedNumberScheduled == 3 && daemons.Status.NumberAvailable == 3
	}
	image := oldImage
	for i := range rollouts + 1 {
		if i > 0 {
			image = fmt.Sprint("i:", i)
			s.image(t, "web", image)
			s.patchDaemons(t, "log", daemonImage(image))
		}
		for kills := 0; !stands(image); kills++ {
			if kills == 100 {
				t.Fatalf("rollout %d is not through after %d kills", i, kills)
			}
			time.Sleep(time.Duration(50*(kills+1)+rand.IntN(200)) * time.Millisecond)
			if stands(image) {
				break
			}
			stop()
			sys.Kill()
			if err := sys.Start(); err != nil {
				t.Fatal(err)
			}
			s.client = sys.client(t)
			stop = agents(t, s.client, seen)
		}
	}
	mu.Lock()
	defer mu.Unlock()
	if want := 3 * (rollouts + 1); len(made["web"]) != want || len(made["log"]) != want {
		t.Errorf("%d pods with numbers and %d daemons were made, want %d each", len(made["web"]), len(made["log"]), want)
	}
	if n := len(s.revisionsOf(t, "set=web")) + len(s.revisionsOf(t, "daemonset-name=log")); n != 2*(rollouts+1) {
		t.Errorf("%d revisions", n)
	}
}
