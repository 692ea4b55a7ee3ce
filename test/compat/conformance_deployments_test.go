package compat

import (
	"fmt"
	"maps"
	"slices"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/tools/cache"
)

const revisionAnnotation = "deployment.kubernetes.io/revision"

// deployment makes a Deployment with pods that sleep, which change may change before.
func (s *stage) deployment(t testing.TB, app string, n int32, change ...func(*appsv1.DeploymentSpec)) *appsv1.Deployment {
	t.Helper()
	d := &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Name: app, Labels: map[string]string{"app": app}},
		Spec:       appsv1.DeploymentSpec{Replicas: &n, Selector: selects(app), Template: sleeping(app, "busybox:1.28")},
	}
	for _, f := range change {
		f(&d.Spec)
	}
	made, err := s.client.AppsV1().Deployments(s.ns).Create(t.Context(), d, metav1.CreateOptions{})
	s.must(t, err)
	return made
}

func rolls(surge, missing int32) func(*appsv1.DeploymentSpec) {
	return func(d *appsv1.DeploymentSpec) {
		d.Strategy = appsv1.DeploymentStrategy{Type: appsv1.RollingUpdateDeploymentStrategyType, RollingUpdate: &appsv1.RollingUpdateDeployment{
			MaxSurge: new(intstr.FromInt32(surge)), MaxUnavailable: new(intstr.FromInt32(missing)),
		}}
	}
}

// getDeployment reads a Deployment.
func (s *stage) getDeployment(t testing.TB, name string) *appsv1.Deployment {
	t.Helper()
	d, err := s.client.AppsV1().Deployments(s.ns).Get(t.Context(), name, metav1.GetOptions{})
	s.must(t, err)
	return d
}

// changeDeployment changes a Deployment, whatever else is written of it.
func (s *stage) changeDeployment(t testing.TB, name string, f func(*appsv1.Deployment)) {
	t.Helper()
	eventually(t, stepTimeout, func() error {
		d := s.getDeployment(t, name)
		f(d)
		_, err := s.client.AppsV1().Deployments(s.ns).Update(t.Context(), d, metav1.UpdateOptions{})
		return err
	})
}

// rolledOut waits until all pods of a Deployment are of its template and available.
func (s *stage) rolledOut(t testing.TB, name string) *appsv1.Deployment {
	t.Helper()
	var d *appsv1.Deployment
	eventually(t, stepTimeout, func() error {
		d = s.getDeployment(t, name)
		n := *d.Spec.Replicas
		if x := d.Status; x.ObservedGeneration < d.Generation || x.Replicas != n || x.UpdatedReplicas != n || x.AvailableReplicas != n {
			return fmt.Errorf("generation %d, status %+v", d.Generation, x)
		}
		return nil
	})
	return d
}

// setsOf returns the ReplicaSets of a Deployment by the image of their pods.
func (s *stage) setsOf(t testing.TB, app string) map[string]*appsv1.ReplicaSet {
	t.Helper()
	list, err := s.client.AppsV1().ReplicaSets(s.ns).List(t.Context(), metav1.ListOptions{LabelSelector: "app=" + app})
	s.must(t, err)
	all := map[string]*appsv1.ReplicaSet{}
	for i := range list.Items {
		all[list.Items[i].Spec.Template.Spec.Containers[0].Image] = &list.Items[i]
	}
	return all
}

func imageOf(image string) func(*appsv1.Deployment) {
	return func(d *appsv1.Deployment) { d.Spec.Template.Spec.Containers[0].Image = image }
}

func TestConformanceDeployments(t *testing.T) {
	s := newStage(t)
	const first, second = "busybox:1.28", "busybox:latest"
	deployments := s.client.AppsV1().Deployments(s.ns)
	s.conforms(t, "[sig-apps] Deployment Deployment should have a working scale subresource", func(t *testing.T) {
		app := s.name("scale")
		s.deployment(t, app, 1)
		s.rolledOut(t, app)
		s.scales(t, app, deployments, func(data string) error {
			_, err := deployments.Patch(t.Context(), app, types.StrategicMergePatchType, []byte(data), metav1.PatchOptions{}, "scale")
			return err
		}, func() int32 { return *s.getDeployment(t, app).Spec.Replicas })
	})
	s.conforms(t, "[sig-apps] Deployment RecreateDeployment should delete old pods and create new ones", func(t *testing.T) {
		app := s.name("recreate")
		made := s.deployment(t, app, 2, func(d *appsv1.DeploymentSpec) {
			d.Strategy.Type = appsv1.RecreateDeploymentStrategyType
			d.Template.Spec.Containers[0].Lifecycle = &corev1.Lifecycle{PreStop: &corev1.LifecycleHandler{Sleep: &corev1.SleepAction{Seconds: 1}}}
			d.Template.Spec.TerminationGracePeriodSeconds = new(int64(3))
		})
		if d := s.rolledOut(t, app); d.Annotations[revisionAnnotation] != "1" {
			t.Errorf("at first revision %s", d.Annotations[revisionAnnotation])
		}
		old := map[types.UID]bool{}
		for _, p := range s.podsOf(t, app) {
			old[p.UID] = true
		}
		s.changeDeployment(t, app, imageOf(second))
		pods := cache.NewFilteredListWatchFromClient(s.client.CoreV1().RESTClient(), "pods", s.ns, func(o *metav1.ListOptions) { o.LabelSelector = "app=" + app })
		left := maps.Clone(old)
		seen(t, made.ResourceVersion, pods, "pods of the new template", func(e watch.EventType, p *corev1.Pod) bool {
			switch {
			case old[p.UID] && (e == watch.Deleted || p.Status.Phase == corev1.PodFailed || p.Status.Phase == corev1.PodSucceeded):
				delete(left, p.UID)
			case !old[p.UID] && len(left) > 0:
				t.Errorf("pod %s is there while %d of the old ones are", p.Name, len(left))
			}
			return !old[p.UID]
		})
		if d := s.rolledOut(t, app); d.Annotations[revisionAnnotation] != "2" {
			t.Errorf("then revision %s", d.Annotations[revisionAnnotation])
		}
	})
	s.conforms(t, "[sig-apps] Deployment RollingUpdateDeployment should delete old pods and create new ones", func(t *testing.T) {
		const revision, next = "3546343826724305832", "3546343826724305833"
		app := s.name("rolling")
		s.adopted(t, app, 1, map[string]string{revisionAnnotation: revision})
		s.deployment(t, app, 1, func(d *appsv1.DeploymentSpec) { d.Template = sleeping(app, second) })
		if d := s.rolledOut(t, app); d.Annotations[revisionAnnotation] != next {
			t.Errorf("revision %s", d.Annotations[revisionAnnotation])
		}
		sets := s.setsOf(t, app)
		if len(sets) != 2 || *sets[first].Spec.Replicas != 0 || *sets[second].Spec.Replicas != 1 || sets[second].Annotations[revisionAnnotation] != next {
			t.Errorf("sets %+v", sets)
		}
		if owner := metav1.GetControllerOf(sets[first]); owner == nil || owner.Name != app {
			t.Errorf("the old set is of %v", owner)
		}
	})
	s.conforms(t, "[sig-apps] Deployment deployment should delete old replica sets", func(t *testing.T) {
		app := s.name("history")
		s.adopted(t, app, 1, nil)
		s.deployment(t, app, 1, func(d *appsv1.DeploymentSpec) {
			d.Template, d.RevisionHistoryLimit = sleeping(app, second), new(int32(0))
		})
		eventually(t, stepTimeout, func() error {
			if sets := s.setsOf(t, app); len(sets) != 1 || sets[second] == nil {
				return fmt.Errorf("sets with %v", slices.Collect(maps.Keys(sets)))
			}
			return nil
		})
		s.rolledOut(t, app)
	})
	s.conforms(t, "[sig-apps] Deployment deployment should support rollover", s.rollover)
	s.conforms(t, "[sig-apps] Deployment deployment should support proportional scaling", s.proportional)
	s.conforms(t, "[sig-apps] Deployment should run the lifecycle of a Deployment", s.deploymentLife)
	s.conforms(t, "[sig-apps] Deployment should validate Deployment Status endpoints", s.deploymentStatus)
}

// adopted is a ReplicaSet with pods that are ready, which a Deployment of the same app is
// to adopt.
func (s *stage) adopted(t testing.TB, app string, n int32, annotations map[string]string) {
	t.Helper()
	template := sleeping(app, "busybox:1.28")
	template.Labels["pod"] = "old"
	_, err := s.client.AppsV1().ReplicaSets(s.ns).Create(t.Context(), &appsv1.ReplicaSet{
		ObjectMeta: metav1.ObjectMeta{Name: app + "-controller", Labels: map[string]string{"app": app}, Annotations: annotations},
		Spec:       appsv1.ReplicaSetSpec{Replicas: &n, Selector: &metav1.LabelSelector{MatchLabels: template.Labels}, Template: template},
	}, metav1.CreateOptions{})
	s.must(t, err)
	s.readyPods(t, app, int(n))
}

// rollover changes the template while the rollout of another one does not get on.
func (s *stage) rollover(t *testing.T) {
	app := s.name("rollover")
	s.adopted(t, app, 1, nil)
	s.deployment(t, app, 1, rolls(1, 0), func(d *appsv1.DeploymentSpec) {
		d.Template, d.MinReadySeconds = sleeping(app, "none.example/none:1"), 2
	})
	eventually(t, stepTimeout, func() error {
		if set := s.setsOf(t, app)["none.example/none:1"]; set == nil || set.Status.Replicas != 1 {
			return fmt.Errorf("the set of the image that is not there: %+v", set)
		}
		return nil
	})
	s.changeDeployment(t, app, imageOf("busybox:latest"))
	if d := s.rolledOut(t, app); d.Annotations[revisionAnnotation] != "2" {
		t.Errorf("revision %s", d.Annotations[revisionAnnotation])
	}
	for image, set := range s.setsOf(t, app) {
		want := int32(0)
		if image == "busybox:latest" {
			want = 1
		}
		if *set.Spec.Replicas != want || set.Status.Replicas != want {
			t.Errorf("%s: %d pods of %d", image, set.Status.Replicas, *set.Spec.Replicas)
		}
	}
}

// proportional scales in the middle of a rollout that does not get on.
func (s *stage) proportional(t *testing.T) {
	const good, bad = "busybox:1.28", "webserver.example/webserver:404"
	app := s.name("proportional")
	s.deployment(t, app, 10, rolls(3, 2))
	s.rolledOut(t, app)
	sized := func(first, second int32) {
		t.Helper()
		eventually(t, stepTimeout, func() error {
			sets := s.setsOf(t, app)
			if sets[bad] == nil || *sets[good].Spec.Replicas != first || *sets[bad].Spec.Replicas != second || sets[bad].Status.AvailableReplicas != 0 {
				return fmt.Errorf("%+v", sets)
			}
			return nil
		})
	}
	s.changeDeployment(t, app, imageOf(bad))
	sized(8, 5)
	eventually(t, stepTimeout, func() error {
		if d := s.getDeployment(t, app); d.Status.AvailableReplicas < 8 || d.Status.ObservedGeneration < d.Generation {
			return fmt.Errorf("%+v", d.Status)
		}
		return nil
	})
	s.changeDeployment(t, app, func(d *appsv1.Deployment) { d.Spec.Replicas = new(int32(30)) })
	sized(20, 13)
	s.changeDeployment(t, app, func(d *appsv1.Deployment) { d.Spec.Replicas = new(int32(0)) })
}

// watchDeployment lists and watches a Deployment.
func (s *stage) watchDeployment(t testing.TB, selector string) cache.ListerWatcher {
	deployments := s.client.AppsV1().Deployments(s.ns)
	return watching(func(o metav1.ListOptions) (runtime.Object, error) { return deployments.List(t.Context(), o) },
		func(o metav1.ListOptions) (watch.Interface, error) { return deployments.Watch(t.Context(), o) }, selector)
}

// deploymentLife writes a Deployment in all ways, and sees each in a watch.
func (s *stage) deploymentLife(t *testing.T) {
	deployments, app := s.client.AppsV1().Deployments(s.ns), s.name("life")
	made := s.deployment(t, app, 2)
	from := made.ResourceVersion
	sees := func(what string, wanted func(watch.EventType, *appsv1.Deployment) bool) {
		t.Helper()
		from = seen(t, from, s.watchDeployment(t, "app="+app), what, wanted).ResourceVersion
	}
	ready := func(n int32) func(watch.EventType, *appsv1.Deployment) bool {
		return func(_ watch.EventType, d *appsv1.Deployment) bool {
			return d.Status.ReadyReplicas == n && *d.Spec.Replicas == n && d.Status.UpdatedReplicas == n
		}
	}
	sees("two pods that are ready", ready(2))
	patch := `{"metadata":{"labels":{"test-deployment":"patched"}},"spec":{"replicas":1,"template":{"spec":{"terminationGracePeriodSeconds":0,"containers":[{"name":"main","image":"busybox:latest"}]}}}}`
	_, err := deployments.Patch(t.Context(), app, types.StrategicMergePatchType, []byte(patch), metav1.PatchOptions{})
	s.must(t, err)
	sees("the label", func(_ watch.EventType, d *appsv1.Deployment) bool { return d.Labels["test-deployment"] == "patched" })
	sees("one pod of the other image", ready(1))
	if list, err := s.client.AppsV1().Deployments("").List(t.Context(), metav1.ListOptions{LabelSelector: "app=" + app}); err != nil || len(list.Items) != 1 || list.Items[0].Spec.Template.Spec.Containers[0].Image != "busybox:latest" {
		t.Errorf("%+v, %v", list, err)
	}
	s.changeDeployment(t, app, func(d *appsv1.Deployment) {
		d.Labels["test-deployment"], d.Spec.Replicas = "updated", new(int32(2))
	})
	sees("two pods again", func(e watch.EventType, d *appsv1.Deployment) bool {
		return d.Labels["test-deployment"] == "updated" && ready(2)(e, d)
	})
	_, err = deployments.Patch(t.Context(), app, types.StrategicMergePatchType, []byte(`{"status":{"readyReplicas":0,"availableReplicas":0}}`), metav1.PatchOptions{}, "status")
	s.must(t, err)
	sees("the status that was patched", func(_ watch.EventType, d *appsv1.Deployment) bool {
		return d.Labels["test-deployment"] == "updated" && d.Status.ReadyReplicas == 0
	})
	eventually(t, stepTimeout, func() error {
		if d := s.getDeployment(t, app); d.Status.ReadyReplicas != 2 {
			return fmt.Errorf("the status stays: %+v", d.Status)
		}
		return nil
	})
	s.must(t, deployments.DeleteCollection(t.Context(), metav1.DeleteOptions{}, metav1.ListOptions{LabelSelector: "app=" + app}))
	sees("its deletion", func(e watch.EventType, _ *appsv1.Deployment) bool { return e == watch.Deleted })
	if _, err := deployments.Get(t.Context(), app, metav1.GetOptions{}); !apierrors.IsNotFound(err) {
		t.Errorf("it is read: %v", err)
	}
}

// deploymentStatus writes the status of a Deployment, which keeps what others said of it.
func (s *stage) deploymentStatus(t *testing.T) {
	deployments, app := s.client.AppsV1().Deployments(s.ns), s.name("status")
	made := s.deployment(t, app, 1)
	s.rolledOut(t, app)
	has := func(kind appsv1.DeploymentConditionType) func(watch.EventType, *appsv1.Deployment) bool {
		return func(_ watch.EventType, d *appsv1.Deployment) bool {
			return slices.ContainsFunc(d.Status.Conditions, func(c appsv1.DeploymentCondition) bool { return c.Type == kind && c.Status == "True" })
		}
	}
	read := &appsv1.Deployment{}
	err := s.client.AppsV1().RESTClient().Get().Namespace(s.ns).Resource("deployments").Name(app).SubResource("status").Do(t.Context()).Into(read)
	if s.must(t, err); read.Status.AvailableReplicas != 1 {
		t.Errorf("read: %+v", read.Status)
	}
	eventually(t, stepTimeout, func() error {
		d := s.getDeployment(t, app)
		d.Status.Conditions = append(d.Status.Conditions, appsv1.DeploymentCondition{Type: "StatusUpdate", Status: "True", Reason: "E2E", Message: "Set from e2e test"})
		_, err := deployments.UpdateStatus(t.Context(), d, metav1.UpdateOptions{})
		return err
	})
	seen(t, made.ResourceVersion, s.watchDeployment(t, "app="+app), "the condition that was written", has("StatusUpdate"))
	_, err = deployments.Patch(t.Context(), app, types.StrategicMergePatchType, []byte(`{"status":{"conditions":[{"type":"StatusPatched","status":"True"}]}}`), metav1.PatchOptions{}, "status")
	s.must(t, err)
	d := seen(t, made.ResourceVersion, s.watchDeployment(t, "app="+app), "the condition that was patched", has("StatusPatched"))
	if !has("StatusUpdate")("", d) {
		t.Errorf("what was written is gone: %+v", d.Status.Conditions)
	}
}
