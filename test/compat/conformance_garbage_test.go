package compat

import (
	"context"
	"fmt"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// replicated makes a ReplicationController whose pods nobody runs: what is collected is
// objects.
func (s *stage) replicated(t testing.TB, name string, replicas int32) *corev1.ReplicationController {
	t.Helper()
	pod := shell("", forever)
	pod.Labels = map[string]string{"garbage": name}
	pod.Spec.RestartPolicy, pod.Spec.SchedulerName = corev1.RestartPolicyAlways, "nobody"
	made, err := s.client.CoreV1().ReplicationControllers(s.ns).Create(t.Context(), &corev1.ReplicationController{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec:       corev1.ReplicationControllerSpec{Replicas: &replicas, Selector: pod.Labels, Template: &corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: pod.Labels}, Spec: pod.Spec}},
	}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	s.garbageOf(t, name, int(replicas))
	return made
}

// garbageOf waits until there are so many pods of a controller, and returns them.
func (s *stage) garbageOf(t testing.TB, name string, want int) (pods []corev1.Pod) {
	t.Helper()
	eventually(t, time.Minute, func() error {
		list, err := s.client.CoreV1().Pods(s.ns).List(t.Context(), metav1.ListOptions{LabelSelector: "garbage=" + name})
		if err == nil && len(list.Items) != want {
			err = fmt.Errorf("%d pods of %s, want %d", len(list.Items), name, want)
		}
		pods = list.Items
		return err
	})
	return pods
}

// deploys makes a Deployment of two pods, and returns its set.
func (s *stage) deploys(t testing.TB, name string) *appsv1.ReplicaSet {
	t.Helper()
	pod := shell("", forever)
	pod.Labels = map[string]string{"garbage": name}
	pod.Spec.RestartPolicy, pod.Spec.SchedulerName = corev1.RestartPolicyAlways, "nobody"
	two := int32(2)
	if _, err := s.client.AppsV1().Deployments(s.ns).Create(t.Context(), &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec:       appsv1.DeploymentSpec{Replicas: &two, Selector: &metav1.LabelSelector{MatchLabels: pod.Labels}, Template: corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: pod.Labels}, Spec: pod.Spec}},
	}, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	s.garbageOf(t, name, 2)
	return &s.garbageSets(t, name, 1)[0]
}

// garbageSets waits until there are so many sets of a Deployment, and returns them.
func (s *stage) garbageSets(t testing.TB, name string, want int) (sets []appsv1.ReplicaSet) {
	t.Helper()
	eventually(t, time.Minute, func() error {
		list, err := s.client.AppsV1().ReplicaSets(s.ns).List(t.Context(), metav1.ListOptions{LabelSelector: "garbage=" + name})
		if err == nil && len(list.Items) != want {
			err = fmt.Errorf("%d sets of %s, want %d", len(list.Items), name, want)
		}
		sets = list.Items
		return err
	})
	return sets
}

// how deletes what was read, by a policy.
func how(uid types.UID, policy metav1.DeletionPropagation) metav1.DeleteOptions {
	return metav1.DeleteOptions{Preconditions: metav1.NewUIDPreconditions(string(uid)), PropagationPolicy: &policy}
}

// withoutController waits until a ReplicationController is gone.
func (s *stage) withoutController(t testing.TB, name string) {
	t.Helper()
	eventually(t, time.Minute, func() error {
		rc, err := s.client.CoreV1().ReplicationControllers(s.ns).Get(t.Context(), name, metav1.GetOptions{})
		if apierrors.IsNotFound(err) {
			return nil
		}
		return fmt.Errorf("%s: %+v, %v", name, rc.ObjectMeta, err)
	})
}

func TestConformanceGarbage(t *testing.T) {
	s := newStage(t)
	controllers := s.client.CoreV1().ReplicationControllers(s.ns)
	s.conforms(t, "[sig-api-machinery] Garbage collector should delete pods created by rc when not orphaning", func(t *testing.T) {
		rc := s.replicated(t, "background", 2)
		if err := controllers.Delete(t.Context(), rc.Name, how(rc.UID, metav1.DeletePropagationBackground)); err != nil {
			t.Fatal(err)
		}
		s.garbageOf(t, rc.Name, 0)
		s.withoutController(t, rc.Name)
	})
	s.conforms(t, "[sig-api-machinery] Garbage collector should orphan pods created by rc if delete options say so", func(t *testing.T) {
		rc := s.replicated(t, "orphans", 30)
		if err := controllers.Delete(t.Context(), rc.Name, how(rc.UID, metav1.DeletePropagationOrphan)); err != nil {
			t.Fatal(err)
		}
		s.withoutController(t, rc.Name)
		time.Sleep(3 * time.Second) // upstream: 30 s
		for _, p := range s.garbageOf(t, rc.Name, 30) {
			if len(p.OwnerReferences) > 0 || p.DeletionTimestamp != nil {
				t.Errorf("%s: %+v", p.Name, p.ObjectMeta)
			}
		}
	})
	s.conforms(t, "[sig-api-machinery] Garbage collector should keep the rc around until all its pods are deleted if the deleteOptions says so", func(t *testing.T) {
		rc := s.replicated(t, "foreground", 30)
		if err := controllers.Delete(t.Context(), rc.Name, how(rc.UID, metav1.DeletePropagationForeground)); err != nil {
			t.Fatal(err)
		}
		eventually(t, time.Minute, func() error {
			list, err := s.client.CoreV1().Pods(s.ns).List(t.Context(), metav1.ListOptions{LabelSelector: "garbage=" + rc.Name})
			if err != nil {
				return err
			}
			_, err = controllers.Get(t.Context(), rc.Name, metav1.GetOptions{})
			if apierrors.IsNotFound(err) {
				if left := s.garbageOf(t, rc.Name, 0); len(left) > 0 {
					t.Errorf("it went before %d pods", len(left))
				}
				return nil
			}
			return fmt.Errorf("%d pods are left, %v", len(list.Items), err)
		})
	})
	s.conforms(t, "[sig-api-machinery] Garbage collector should not delete dependents that have both valid owner and owner that's waiting for dependents to be deleted", func(t *testing.T) {
		goes := s.replicated(t, "goes", 20)
		stays := s.replicated(t, "stays", 0)
		for _, p := range s.garbageOf(t, goes.Name, 20)[:10] {
			patch := fmt.Sprintf(`{"metadata":{"ownerReferences":[{"apiVersion":"v1","kind":"ReplicationController","name":%q,"uid":%q}]}}`, stays.Name, stays.UID)
			if _, err := s.client.CoreV1().Pods(s.ns).Patch(t.Context(), p.Name, types.StrategicMergePatchType, []byte(patch), metav1.PatchOptions{}); err != nil {
				t.Fatal(err)
			}
		}
		if err := controllers.Delete(t.Context(), goes.Name, how(goes.UID, metav1.DeletePropagationForeground)); err != nil {
			t.Fatal(err)
		}
		s.withoutController(t, goes.Name)
		for _, p := range s.garbageOf(t, goes.Name, 10) {
			if len(p.OwnerReferences) != 1 || p.OwnerReferences[0].UID != stays.UID || p.DeletionTimestamp != nil {
				t.Errorf("%s: %+v", p.Name, p.ObjectMeta)
			}
		}
	})
	deployments := s.client.AppsV1().Deployments(s.ns)
	s.conforms(t, "[sig-api-machinery] Garbage collector should delete RS created by deployment when not orphaning", func(t *testing.T) {
		s.deploys(t, "rolled")
		d, err := deployments.Get(t.Context(), "rolled", metav1.GetOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if err := deployments.Delete(t.Context(), d.Name, how(d.UID, metav1.DeletePropagationBackground)); err != nil {
			t.Fatal(err)
		}
		s.garbageSets(t, d.Name, 0)
		s.garbageOf(t, d.Name, 0)
	})
	s.conforms(t, "[sig-api-machinery] Garbage collector should orphan RS created by deployment when deleteOptions.PropagationPolicy is Orphan", func(t *testing.T) {
		rs := s.deploys(t, "left")
		d, err := deployments.Get(t.Context(), "left", metav1.GetOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if err := deployments.Delete(t.Context(), d.Name, how(d.UID, metav1.DeletePropagationOrphan)); err != nil {
			t.Fatal(err)
		}
		eventually(t, time.Minute, func() error {
			_, err := deployments.Get(t.Context(), d.Name, metav1.GetOptions{})
			if apierrors.IsNotFound(err) {
				return nil
			}
			return fmt.Errorf("the deployment: %v", err)
		})
		time.Sleep(3 * time.Second) // upstream: 30 s
		now := s.garbageSets(t, d.Name, 1)[0]
		if now.UID != rs.UID || metav1.GetControllerOf(&now) != nil {
			t.Errorf("%+v", now.ObjectMeta)
		}
		s.garbageOf(t, d.Name, 2)
		if err := s.client.AppsV1().ReplicaSets(s.ns).Delete(context.WithoutCancel(t.Context()), rs.Name, metav1.DeleteOptions{}); err != nil {
			t.Error(err)
		}
	})
}
