package compat

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/client-go/kubernetes"
)

// standIn is who makes pods ready where no node runs them, and counts them.
type standIn struct {
	mu sync.Mutex
	// most is how many pods that nobody has deleted there were at once.
	most int
}

// look makes the pods that are there ready.
func (n *standIn) look(ctx context.Context, client kubernetes.Interface) {
	list, err := client.CoreV1().Pods("default").List(ctx, metav1.ListOptions{})
	if err != nil {
		return // the server is away
	}
	there := 0
	for _, p := range list.Items {
		if p.DeletionTimestamp == nil {
			there++
		}
		if !isReady(&p) {
			_, _ = client.CoreV1().Pods("default").Patch(ctx, p.Name, types.StrategicMergePatchType,
				[]byte(`{"status":{"phase":"Running","conditions":[{"type":"Ready","status":"True"}]}}`), metav1.PatchOptions{}, "status")
		}
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.most = max(n.most, there)
}

func (n *standIn) run(ctx context.Context, client kubernetes.Interface) {
	for ctx.Err() == nil {
		n.look(ctx, client)
		time.Sleep(10 * time.Millisecond)
	}
}

// TestRolloutSurvivesKillsAtAnyMoment changes a Deployment's template again and again, and
// kills the server in the middle: each template has one ReplicaSet, no pod is made twice,
// and in the end all are of the last template.
func TestRolloutSurvivesKillsAtAnyMoment(t *testing.T) {
	t.Parallel()
	rounds := 4
	if soak() {
		rounds = 60
	}
	const pods, surge = 8, 2
	s := prepared(t, "--node=false")
	if err := s.Start(); err != nil {
		t.Fatal(err)
	}
	app := sleeping("web", "image:0")
	_, err := s.client(t).AppsV1().Deployments("default").Create(t.Context(), &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Name: "web"},
		Spec: appsv1.DeploymentSpec{
			Replicas: new(int32(pods)), Selector: selects("web"), Template: app, RevisionHistoryLimit: new(int32(1000)),
			Strategy: appsv1.DeploymentStrategy{Type: appsv1.RollingUpdateDeploymentStrategyType, RollingUpdate: &appsv1.RollingUpdateDeployment{
				MaxSurge: new(intstr.FromInt32(surge)), MaxUnavailable: new(intstr.FromInt32(1)),
			}},
		},
	}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	var node standIn
	for round := range rounds {
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		client := s.client(t)
		go func() { defer close(done); node.run(ctx, client) }()
		time.Sleep(time.Duration(rand.IntN(400)) * time.Millisecond)
		image := []byte(fmt.Sprintf(`{"spec":{"template":{"spec":{"containers":[{"name":"main","image":"image:%d"}]}}}}`, round+1))
		_, err := client.AppsV1().Deployments("default").Patch(t.Context(), "web", types.StrategicMergePatchType, image, metav1.PatchOptions{})
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Duration(rand.IntN(400)) * time.Millisecond)
		s.Kill()
		cancel()
		<-done
		if err := s.Start(); err != nil {
			t.Fatalf("start %d after a kill: %v", round, err)
		}
	}
	client := s.client(t)
	eventually(t, 2*stepTimeout, func() error {
		node.look(t.Context(), client)
		d, err := client.AppsV1().Deployments("default").Get(t.Context(), "web", metav1.GetOptions{})
		if err != nil {
			return err
		}
		if x := d.Status; x.ObservedGeneration < d.Generation || x.Replicas != pods || x.UpdatedReplicas != pods || x.AvailableReplicas != pods {
			return fmt.Errorf("%+v", x)
		}
		return nil
	})
	sets, err := client.AppsV1().ReplicaSets("default").List(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	revisions, images := map[string]string{}, map[string]bool{}
	for _, set := range sets.Items {
		image, revision := set.Spec.Template.Spec.Containers[0].Image, set.Annotations[revisionAnnotation]
		if other, ok := revisions[revision]; ok || images[image] {
			t.Errorf("%s has revision %s, which %s has, too", image, revision, other)
		}
		revisions[revision], images[image] = image, true
		if last := image == fmt.Sprintf("image:%d", rounds); last != (*set.Spec.Replicas == pods) || !last && *set.Spec.Replicas != 0 {
			t.Errorf("%s has %d pods in the end", image, *set.Spec.Replicas)
		}
	}
	// A kill within the deletion of a pod that has no node leaves it to be ended by podgc.
	eventually(t, stepTimeout, func() error {
		list, err := client.CoreV1().Pods("default").List(t.Context(), metav1.ListOptions{})
		if err != nil || len(list.Items) != pods {
			return fmt.Errorf("%d pods in the end, %v", len(list.Items), err)
		}
		for _, p := range list.Items {
			if !isReady(&p) || !strings.HasSuffix(p.Spec.Containers[0].Image, fmt.Sprintf(":%d", rounds)) {
				t.Errorf("pod %s of %s: %s", p.Name, p.Spec.Containers[0].Image, p.Status.Phase)
			}
		}
		return nil
	})
	if node.most > pods+surge {
		t.Errorf("%d pods at once, and there may be %d", node.most, pods+surge)
	}
	t.Logf("%d kills, %d revisions, at most %d pods", rounds, len(sets.Items), node.most)
}
