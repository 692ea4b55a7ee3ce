package deployment

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes/fake"
	kubetesting "k8s.io/client-go/testing"

	"laterna.dev/laterna/internal/clock"
	"laterna.dev/laterna/internal/controller/env"
)

// bench is a controller with a client that has no server, and nobody who does what sets
// are told.
type bench struct {
	*testing.T
	client *fake.Clientset
	ctx    context.Context
}

// runs calls f while the controller runs, on time that passes by itself.
func runs(t *testing.T, objects []runtime.Object, f func(b *bench)) {
	synctest.Test(t, func(t *testing.T) {
		client := fake.NewClientset(objects...)
		client.PrependReactor("create", "replicasets", func(a kubetesting.Action) (bool, runtime.Object, error) {
			s := a.(kubetesting.CreateAction).GetObject().(*appsv1.ReplicaSet)
			s.UID, s.CreationTimestamp = types.UID(s.Name), metav1.Now()
			return false, nil, nil
		})
		ctx, cancel := context.WithCancel(t.Context())
		factory := informers.NewSharedInformerFactory(client, 0)
		c := New(env.Env{Name: "test", Client: client, Informers: factory, Wall: clock.Real(), Log: slog.New(slog.DiscardHandler)})
		factory.Start(ctx.Done())
		done := make(chan error)
		go func() { done <- c.Run(ctx) }()
		defer func() {
			cancel()
			if err := <-done; err != nil {
				t.Error(err)
			}
			factory.Shutdown()
		}()
		f(&bench{t, client, ctx})
	})
}

func (b *bench) must(err error) {
	b.Helper()
	if err != nil {
		b.Fatal(err)
	}
}

func (b *bench) settle() {
	time.Sleep(time.Second)
	synctest.Wait()
}

func (b *bench) deployment() *appsv1.Deployment {
	b.Helper()
	d, err := b.client.AppsV1().Deployments("ns").Get(b.ctx, "web", metav1.GetOptions{})
	b.must(err)
	return d
}

func (b *bench) change(f func(*appsv1.Deployment)) {
	b.Helper()
	d := b.deployment()
	f(d)
	d.Generation++
	_, err := b.client.AppsV1().Deployments("ns").Update(b.ctx, d, metav1.UpdateOptions{})
	b.must(err)
	b.settle()
}

// sets are the sizes of sets by image.
func (b *bench) sets() map[string]int {
	b.Helper()
	list, err := b.client.AppsV1().ReplicaSets("ns").List(b.ctx, metav1.ListOptions{})
	b.must(err)
	all := map[string]int{}
	for i := range list.Items {
		all[list.Items[i].Spec.Template.Spec.Containers[0].Image] = size(&list.Items[i])
	}
	return all
}

// obey does what sets are told, until nothing is left to do.
func (b *bench) obey() {
	b.Helper()
	b.settle()
	for changed := true; changed; b.settle() {
		list, err := b.client.AppsV1().ReplicaSets("ns").List(b.ctx, metav1.ListOptions{})
		b.must(err)
		changed = false
		for i := range list.Items {
			s := &list.Items[i]
			n := int32(size(s))
			if s.Status.AvailableReplicas == n && s.Status.ObservedGeneration == s.Generation {
				continue
			}
			changed = true
			s.Status = appsv1.ReplicaSetStatus{Replicas: n, ReadyReplicas: n, AvailableReplicas: n, ObservedGeneration: s.Generation}
			_, err := b.client.AppsV1().ReplicaSets("ns").UpdateStatus(b.ctx, s, metav1.UpdateOptions{})
			b.must(err)
		}
	}
}

func (b *bench) reason() string {
	b.Helper()
	if c := find(&b.deployment().Status, appsv1.DeploymentProgressing); c != nil {
		return c.Reason
	}
	return ""
}

func (b *bench) told(what string) bool {
	b.Helper()
	list, err := b.client.CoreV1().Events("ns").List(b.ctx, metav1.ListOptions{})
	b.must(err)
	return slices.ContainsFunc(list.Items, func(e corev1.Event) bool { return strings.Contains(e.Reason+" "+e.Message, what) })
}

func image(name string) func(*appsv1.Deployment) {
	return func(d *appsv1.Deployment) { d.Spec.Template = template(name) }
}

func TestTemplateIsRolledOut(t *testing.T) {
	runs(t, []runtime.Object{wants(4, "1", "1")}, func(b *bench) {
		b.obey()
		if d := b.deployment(); b.sets()["new"] != 4 || d.Annotations[revisionAnnotation] != "1" || b.reason() != reasonAvailable || d.Status.UpdatedReplicas != 4 {
			b.Fatalf("%v, %+v", b.sets(), d.Status)
		}
		if !b.told("ScalingReplicaSet Scaled up replica set web-") {
			b.Error("no event")
		}
		b.change(image("next"))
		b.obey()
		if sets := b.sets(); sets["new"] != 0 || sets["next"] != 4 || b.deployment().Annotations[revisionAnnotation] != "2" {
			b.Errorf("%v, %v", sets, b.deployment().Annotations)
		}
		b.change(func(d *appsv1.Deployment) { d.Annotations[appsv1.DeprecatedRollbackTo] = "1" })
		b.obey()
		if sets := b.sets(); sets["new"] != 4 || sets["next"] != 0 || b.deployment().Annotations[revisionAnnotation] != "3" {
			b.Errorf("rolled back: %v, %v", sets, b.deployment().Annotations)
		}
		b.change(func(d *appsv1.Deployment) { d.Spec.RevisionHistoryLimit = new(int32(0)) })
		b.obey()
		if sets := b.sets(); len(sets) != 1 {
			b.Errorf("without a history: %v", sets)
		}
	})
}

func TestRolloutHasADeadline(t *testing.T) {
	runs(t, []runtime.Object{wants(1, "1", "0")}, func(b *bench) {
		b.settle()
		time.Sleep(598 * time.Second)
		if b.settle(); b.reason() == reasonTimedOut {
			b.Errorf("in time %s", b.reason())
		}
		time.Sleep(5 * time.Second)
		if b.settle(); b.reason() != reasonTimedOut {
			b.Errorf("late %s", b.reason())
		}
		b.obey()
		if b.reason() != reasonAvailable {
			b.Errorf("then %s", b.reason())
		}
	})
}

func TestPausedDeploymentIsScaledAndNotRolled(t *testing.T) {
	runs(t, []runtime.Object{wants(1, "1", "0")}, func(b *bench) {
		b.obey()
		b.change(func(d *appsv1.Deployment) { d.Spec.Paused = true; image("next")(d) })
		b.change(func(d *appsv1.Deployment) { d.Spec.Replicas = new(int32(3)) })
		b.obey()
		if sets := b.sets(); len(sets) != 1 || sets["new"] != 3 || b.reason() != reasonPaused {
			b.Errorf("paused: %v, %s", sets, b.reason())
		}
		b.change(func(d *appsv1.Deployment) { d.Spec.Paused = false })
		b.obey()
		if sets := b.sets(); sets["next"] != 3 || sets["new"] != 0 || b.reason() != reasonAvailable {
			b.Errorf("resumed: %v, %s", sets, b.reason())
		}
	})
}

func TestRecreationWaitsForTheEndOfPods(t *testing.T) {
	d := wants(2, "1", "0")
	d.Spec.Strategy = appsv1.DeploymentStrategy{Type: appsv1.RecreateDeploymentStrategyType}
	runs(t, []runtime.Object{d}, func(b *bench) {
		b.obey()
		list, err := b.client.AppsV1().ReplicaSets("ns").List(b.ctx, metav1.ListOptions{})
		b.must(err)
		ends := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "p", DeletionTimestamp: &metav1.Time{Time: time.Now()}, Finalizers: []string{"x/y"},
			OwnerReferences: []metav1.OwnerReference{*metav1.NewControllerRef(&list.Items[0], appsv1.SchemeGroupVersion.WithKind("ReplicaSet"))}}}
		b.must(b.client.Tracker().Add(ends))
		b.change(image("next"))
		b.obey()
		if sets := b.sets(); len(sets) != 1 || sets["new"] != 0 {
			b.Errorf("while a pod ends: %v", sets)
		}
		ends.Status.Phase = corev1.PodFailed
		_, err = b.client.CoreV1().Pods("ns").UpdateStatus(b.ctx, ends, metav1.UpdateOptions{})
		b.must(err)
		b.obey()
		if sets := b.sets(); sets["next"] != 2 {
			b.Errorf("when it has ended: %v", sets)
		}
	})
}

func TestSetThatCannotBeMade(t *testing.T) {
	d := wants(1, "1", "0")
	stranger := replicas("stranger", 0, 0)
	stranger.Name = newRollout(d, nil).made().Name
	runs(t, []runtime.Object{d, stranger}, func(b *bench) {
		refused := errors.New("refused")
		b.client.PrependReactor("create", "replicasets", func(kubetesting.Action) (bool, runtime.Object, error) { return refused != nil, nil, refused })
		b.settle()
		if b.reason() != reasonFailed || !b.told(`ReplicaSetCreateError Failed to create new replica set "`+stranger.Name+`": refused`) {
			b.Errorf("%+v", b.deployment().Status)
		}
		refused = nil
		time.Sleep(time.Minute)
		b.obey()
		if d := b.deployment(); b.sets()["new"] != 1 || d.Status.CollisionCount == nil || *d.Status.CollisionCount != 1 || b.reason() != reasonAvailable {
			b.Errorf("sets %v, %+v", b.sets(), d.Status)
		}
	})
}
