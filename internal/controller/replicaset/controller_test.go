package replicaset

import (
	"context"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes/fake"
	kubetesting "k8s.io/client-go/testing"

	"laterna.dev/laterna/internal/clock"
	"laterna.dev/laterna/internal/controller/env"
)

// bench is a controller with a client that has no server.
type bench struct {
	*testing.T
	client *fake.Clientset
	ctx    context.Context
}

// runs calls f while the controller of a kind runs, on time that passes by itself.
func runs(t *testing.T, of func(env.Env) *Controller, objects []runtime.Object, f func(b *bench)) {
	synctest.Test(t, func(t *testing.T) {
		client := newClient(objects...)
		ctx, cancel := context.WithCancel(t.Context())
		factory := informers.NewSharedInformerFactory(client, 0)
		c := of(env.Env{Name: "test", Client: client, Informers: factory, Wall: clock.Real(), Log: slog.New(slog.DiscardHandler)})
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

func (b *bench) settle() {
	b.Helper()
	time.Sleep(time.Second)
	synctest.Wait()
}

// pods returns the pods there are.
func (b *bench) pods() []corev1.Pod {
	b.Helper()
	list, err := b.client.CoreV1().Pods("ns").List(b.ctx, metav1.ListOptions{})
	b.must(err)
	return list.Items
}

func (b *bench) set() *appsv1.ReplicaSet {
	b.Helper()
	s, err := b.client.AppsV1().ReplicaSets("ns").Get(b.ctx, "web", metav1.GetOptions{})
	b.must(err)
	return s
}

func (b *bench) scale(n int32) {
	b.Helper()
	s := b.set()
	s.Spec.Replicas = &n
	_, err := b.client.AppsV1().ReplicaSets("ns").Update(b.ctx, s, metav1.UpdateOptions{})
	b.must(err)
	b.settle()
}

func (b *bench) must(err error) {
	b.Helper()
	if err != nil {
		b.Fatal(err)
	}
}

// events are the reasons and messages of what was recorded; of what was recorded at one
// time only the first is there, for time stands still and names events.
func (b *bench) events() (all []string) {
	b.Helper()
	list, err := b.client.CoreV1().Events("ns").List(b.ctx, metav1.ListOptions{})
	b.must(err)
	for _, e := range list.Items {
		all = append(all, e.InvolvedObject.Kind+" "+e.Reason+" "+e.Message)
	}
	return all
}

func TestSetHasItsPods(t *testing.T) {
	runs(t, New, []runtime.Object{set(3)}, func(b *bench) {
		b.settle()
		pods := b.pods()
		if len(pods) != 3 || b.set().Status.Replicas != 3 {
			b.Fatalf("%d pods, status %+v", len(pods), b.set().Status)
		}
		p := pods[0]
		if owner := metav1.GetControllerOf(&p); owner == nil || owner.UID != "u" || owner.Kind != "ReplicaSet" || !*owner.BlockOwnerDeletion || p.GenerateName != "web-" || p.Labels["app"] != "web" {
			b.Errorf("%+v", p.ObjectMeta)
		}
		if all := b.events(); len(all) == 0 || !strings.HasPrefix(all[0], "ReplicaSet SuccessfulCreate Created pod: web-") {
			b.Errorf("events %q", all)
		}
		b.must(b.client.CoreV1().Pods("ns").Delete(b.ctx, p.Name, metav1.DeleteOptions{}))
		b.settle()
		if n := len(b.pods()); n != 3 {
			b.Errorf("after one went: %d", n)
		}
		b.scale(1)
		if n := len(b.pods()); n != 1 || b.set().Status.Replicas != 1 {
			b.Errorf("scaled to 1: %d, status %+v", n, b.set().Status)
		}
	})
}

func TestPodsAreAdoptedAndReleased(t *testing.T) {
	orphan, theirs := pod("orphan"), pod("theirs")
	orphan.OwnerReferences, theirs.OwnerReferences[0].UID = nil, "other"
	runs(t, New, []runtime.Object{set(1), orphan, theirs}, func(b *bench) {
		b.settle()
		if n := len(b.pods()); n != 2 {
			b.Errorf("%d pods, and one was there to adopt", n)
		}
		p, err := b.client.CoreV1().Pods("ns").Get(b.ctx, "orphan", metav1.GetOptions{})
		b.must(err)
		if owner := metav1.GetControllerOf(p); owner == nil || owner.UID != "u" {
			b.Errorf("owner %v", owner)
		}
		p.Labels = map[string]string{"app": "other"}
		_, err = b.client.CoreV1().Pods("ns").Update(b.ctx, p, metav1.UpdateOptions{})
		b.must(err)
		b.settle()
		if p, err = b.client.CoreV1().Pods("ns").Get(b.ctx, "orphan", metav1.GetOptions{}); err != nil || len(p.OwnerReferences) > 0 {
			b.Errorf("owners %v, %v", p.OwnerReferences, err)
		}
		if n := len(b.pods()); n != 3 {
			b.Errorf("%d pods, and one was released", n)
		}
	})
}

func TestPodsBecomeAvailableInTime(t *testing.T) {
	s := set(1)
	s.Spec.MinReadySeconds = 30
	runs(t, New, []runtime.Object{s}, func(b *bench) {
		b.settle()
		p := b.pods()[0]
		p.Status.Phase = corev1.PodRunning
		p.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue, LastTransitionTime: metav1.Now()}}
		_, err := b.client.CoreV1().Pods("ns").UpdateStatus(b.ctx, &p, metav1.UpdateOptions{})
		b.must(err)
		b.settle()
		if s := b.set().Status; s.ReadyReplicas != 1 || s.AvailableReplicas != 0 {
			b.Errorf("at first %+v", s)
		}
		time.Sleep(30 * time.Second)
		b.settle()
		if s := b.set().Status; s.AvailableReplicas != 1 {
			b.Errorf("after its time %+v", s)
		}
	})
}

func TestRefusedPodsAreToldOf(t *testing.T) {
	runs(t, New, []runtime.Object{set(8)}, func(b *bench) {
		refused, asked := true, 0
		b.client.PrependReactor("create", "pods", func(kubetesting.Action) (bool, runtime.Object, error) {
			if asked++; refused {
				return true, nil, apierrors.NewForbidden(corev1.Resource("pods"), "web-x", nil)
			}
			return false, nil, nil
		})
		b.settle()
		s := b.set().Status
		if len(s.Conditions) != 1 || s.Conditions[0].Message != `pods "web-x" is forbidden: <nil>` || s.Replicas != 0 {
			b.Fatalf("%+v", s)
		}
		if asked > 12 {
			b.Errorf("asked %d times in a second", asked)
		}
		if all := b.events(); !slices.Contains(all, `ReplicaSet FailedCreate Error creating: pods "web-x" is forbidden: <nil>`) {
			b.Errorf("events %q", all)
		}
		refused = false
		time.Sleep(time.Minute)
		b.settle()
		if s := b.set().Status; len(s.Conditions) != 0 || s.Replicas != 8 {
			b.Errorf("then %+v", s)
		}
	})
}

func TestNamespaceThatEndsGetsNoPods(t *testing.T) {
	runs(t, New, []runtime.Object{set(100)}, func(b *bench) {
		asked := 0
		b.client.PrependReactor("create", "pods", func(kubetesting.Action) (bool, runtime.Object, error) {
			asked++
			err := apierrors.NewForbidden(corev1.Resource("pods"), "web-x", nil)
			err.ErrStatus.Details.Causes = append(err.ErrStatus.Details.Causes, metav1.StatusCause{Type: corev1.NamespaceTerminatingCause})
			return true, nil, err
		})
		time.Sleep(time.Minute)
		b.settle()
		if asked > 3 || len(b.events()) > 0 || len(b.set().Status.Conditions) > 0 {
			b.Errorf("asked %d times, events %q, status %+v", asked, b.events(), b.set().Status)
		}
	})
}

func TestReplicationControllerHasItsPods(t *testing.T) {
	runs(t, NewReplication, []runtime.Object{controllerOf(set(2))}, func(b *bench) {
		b.settle()
		c, err := b.client.CoreV1().ReplicationControllers("ns").Get(b.ctx, "web", metav1.GetOptions{})
		b.must(err)
		pods := b.pods()
		if len(pods) != 2 || c.Status.Replicas != 2 || c.Status.ObservedGeneration != 3 {
			b.Fatalf("%d pods, status %+v", len(pods), c.Status)
		}
		if owner := metav1.GetControllerOf(&pods[0]); owner == nil || owner.Kind != "ReplicationController" || owner.APIVersion != "v1" {
			b.Errorf("owner %v", owner)
		}
		if all := b.events(); len(all) == 0 || !strings.HasPrefix(all[0], "ReplicationController SuccessfulCreate Created pod: web-") {
			b.Errorf("events %q", all)
		}
	})
}
