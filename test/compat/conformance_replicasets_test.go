package compat

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	autoscalingv1 "k8s.io/api/autoscaling/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/tools/cache"
	watchtools "k8s.io/client-go/tools/watch"
)

// sleeping is the template of pods of an app that sleep.
func sleeping(app, image string) corev1.PodTemplateSpec {
	pod := shell("", forever)
	pod.Spec.RestartPolicy = ""
	pod.Spec.Containers[0].Image = image
	return corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{"app": app}}, Spec: pod.Spec}
}

// naming is the template of pods of an app that say their names on port 9376.
func naming(app string) corev1.PodTemplateSpec {
	t := sleeping(app, "busybox:1.28")
	c := &t.Spec.Containers[0]
	c.Command = []string{"sh", "-c", "mkdir /www; hostname > /www/index.html; exec httpd -f -p 9376 -h /www"}
	c.ReadinessProbe = &corev1.Probe{PeriodSeconds: 1, ProbeHandler: corev1.ProbeHandler{Exec: &corev1.ExecAction{Command: []string{"wget", "-q", "-O", "-", "127.0.0.1:9376"}}}}
	return t
}

func selects(app string) *metav1.LabelSelector {
	return &metav1.LabelSelector{MatchLabels: map[string]string{"app": app}}
}

func (s *stage) replicaSet(t testing.TB, app string, n int32, template corev1.PodTemplateSpec) *appsv1.ReplicaSet {
	t.Helper()
	made, err := s.client.AppsV1().ReplicaSets(s.ns).Create(t.Context(), &appsv1.ReplicaSet{
		ObjectMeta: metav1.ObjectMeta{Name: app, Labels: map[string]string{"app": app}},
		Spec:       appsv1.ReplicaSetSpec{Replicas: &n, Selector: selects(app), Template: template},
	}, metav1.CreateOptions{})
	s.must(t, err)
	return made
}

func (s *stage) replicationController(t testing.TB, app string, n int32, template corev1.PodTemplateSpec) *corev1.ReplicationController {
	t.Helper()
	made, err := s.client.CoreV1().ReplicationControllers(s.ns).Create(t.Context(), &corev1.ReplicationController{
		ObjectMeta: metav1.ObjectMeta{Name: app}, Spec: corev1.ReplicationControllerSpec{Replicas: &n, Selector: map[string]string{"app": app}, Template: &template},
	}, metav1.CreateOptions{})
	s.must(t, err)
	return made
}

func (s *stage) must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// podsOf returns the pods of an app that nobody has deleted.
func (s *stage) podsOf(t testing.TB, app string) (all []corev1.Pod) {
	t.Helper()
	list, err := s.client.CoreV1().Pods(s.ns).List(t.Context(), metav1.ListOptions{LabelSelector: "app=" + app})
	s.must(t, err)
	for _, p := range list.Items {
		if p.DeletionTimestamp == nil {
			all = append(all, p)
		}
	}
	return all
}

// readyPods waits until an app has that many pods and all are ready.
func (s *stage) readyPods(t testing.TB, app string, n int) (all []corev1.Pod) {
	t.Helper()
	eventually(t, stepTimeout, func() error {
		all = s.podsOf(t, app)
		if len(all) != n {
			return fmt.Errorf("%d pods of %s, want %d", len(all), app, n)
		}
		for _, p := range all {
			if !isReady(&p) {
				return fmt.Errorf("pod %s: %+v", p.Name, p.Status)
			}
		}
		return nil
	})
	return all
}

func isReady(p *corev1.Pod) bool {
	for _, c := range p.Status.Conditions {
		if c.Type == corev1.PodReady && c.Status == corev1.ConditionTrue {
			return true
		}
	}
	return false
}

// nameThemselves asks each of the pods who it is.
func (s *stage) nameThemselves(t testing.TB, pods []corev1.Pod) {
	t.Helper()
	for _, p := range pods {
		eventually(t, stepTimeout, func() error {
			response, err := http.Get("http://" + p.Status.PodIP + ":9376/")
			if err != nil {
				return err
			}
			defer response.Body.Close()
			body, err := io.ReadAll(response.Body)
			if said := strings.TrimSpace(string(body)); err != nil || said != p.Name {
				return fmt.Errorf("pod %s says that it is %q, %v", p.Name, said, err)
			}
			return nil
		})
	}
}

// adoptsAndReleases makes an orphan that something selects which make then makes; it is
// adopted, and released when its label changes.
func (s *stage) adoptsAndReleases(t *testing.T, app, kind string, release bool, make func()) {
	template := sleeping(app, "busybox:1.28")
	orphan := s.create(t, &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: app + "-orphan", Labels: template.Labels}, Spec: template.Spec})
	make()
	owner := func() *metav1.OwnerReference { return metav1.GetControllerOf(s.read(t, orphan.Name)) }
	eventually(t, stepTimeout, func() error {
		if o := owner(); o == nil || o.Kind != kind || o.Name != app {
			return fmt.Errorf("the orphan is of %v", o)
		}
		return nil
	})
	if !release {
		return
	}
	_, err := s.client.CoreV1().Pods(s.ns).Patch(t.Context(), orphan.Name, types.StrategicMergePatchType, []byte(`{"metadata":{"labels":{"app":"not-`+app+`"}}}`), metav1.PatchOptions{})
	s.must(t, err)
	eventually(t, stepTimeout, func() error {
		if o := owner(); o != nil {
			return fmt.Errorf("the pod is still of %v", o)
		}
		return nil
	})
	s.readyPods(t, app, 1)
}

// seen waits until a watch of one object, from a version on, sees it as wanted.
func seen[T metav1.Object](t testing.TB, from string, client cache.ListerWatcher, what string, wanted func(watch.EventType, T) bool) T {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), stepTimeout)
	defer cancel()
	last := ""
	event, err := watchtools.Until(ctx, from, client, func(e watch.Event) (bool, error) {
		o, ok := e.Object.(T)
		if !ok {
			return false, fmt.Errorf("%s: %v", e.Type, e.Object)
		}
		raw, _ := json.Marshal(e.Object)
		last = string(e.Type) + " " + string(raw)
		return wanted(e.Type, o), nil
	})
	if err != nil {
		t.Fatalf("waiting for %s: %v; the last was %s", what, err, last)
	}
	return event.Object.(T)
}

// watching lists and watches what has a label.
func watching(list func(metav1.ListOptions) (runtime.Object, error), watches func(metav1.ListOptions) (watch.Interface, error), selector string) cache.ListerWatcher {
	return &cache.ListWatch{
		ListFunc:  func(o metav1.ListOptions) (runtime.Object, error) { o.LabelSelector = selector; return list(o) },
		WatchFunc: func(o metav1.ListOptions) (watch.Interface, error) { o.LabelSelector = selector; return watches(o) },
	}
}

// scaler is the scale subresource of a kind.
type scaler interface {
	GetScale(ctx context.Context, name string, o metav1.GetOptions) (*autoscalingv1.Scale, error)
	UpdateScale(ctx context.Context, name string, scale *autoscalingv1.Scale, o metav1.UpdateOptions) (*autoscalingv1.Scale, error)
}

// scales reads and writes a scale of an object that has one pod.
func (s *stage) scales(t *testing.T, app string, of scaler, patch func(data string) error, spec func() int32) {
	scale, err := of.GetScale(t.Context(), app, metav1.GetOptions{})
	s.must(t, err)
	if scale.Spec.Replicas != 1 || scale.Status.Replicas != 1 || scale.Status.Selector != "app="+app || scale.Kind != "" && scale.Kind != "Scale" {
		t.Errorf("at first %+v", scale)
	}
	scale.ResourceVersion, scale.Spec.Replicas = "", 2
	after, err := of.UpdateScale(t.Context(), app, scale, metav1.UpdateOptions{})
	s.must(t, err)
	if after.Spec.Replicas != 2 || spec() != 2 {
		t.Errorf("updated: %+v, and the object has %d", after, spec())
	}
	s.must(t, patch(`{"spec":{"replicas":4}}`))
	if spec() != 4 {
		t.Errorf("patched: the object has %d", spec())
	}
	s.readyPods(t, app, 4)
}

func TestConformanceReplicaSets(t *testing.T) {
	s := newStage(t)
	sets := s.client.AppsV1().ReplicaSets(s.ns)
	get := func(t *testing.T, name string) *appsv1.ReplicaSet {
		t.Helper()
		set, err := sets.Get(t.Context(), name, metav1.GetOptions{})
		s.must(t, err)
		return set
	}
	watches := func(t *testing.T, selector string) cache.ListerWatcher {
		return watching(func(o metav1.ListOptions) (runtime.Object, error) { return sets.List(t.Context(), o) },
			func(o metav1.ListOptions) (watch.Interface, error) { return sets.Watch(t.Context(), o) }, selector)
	}
	s.conforms(t, "[sig-apps] ReplicaSet should serve a basic image on each replica with a public image", func(t *testing.T) {
		app := s.name("basic")
		s.replicaSet(t, app, 2, naming(app))
		s.nameThemselves(t, s.readyPods(t, app, 2))
	})
	s.conforms(t, "[sig-apps] ReplicaSet should adopt matching pods on creation and release no longer matching pods", func(t *testing.T) {
		app := s.name("adopts")
		s.adoptsAndReleases(t, app, "ReplicaSet", true, func() { s.replicaSet(t, app, 1, sleeping(app, "busybox:1.28")) })
	})
	s.conforms(t, "[sig-apps] ReplicaSet Replicaset should have a working scale subresource", func(t *testing.T) {
		app := s.name("scale")
		s.replicaSet(t, app, 1, sleeping(app, "busybox:1.28"))
		s.readyPods(t, app, 1)
		s.scales(t, app, sets, func(data string) error {
			_, err := sets.Patch(t.Context(), app, types.StrategicMergePatchType, []byte(data), metav1.PatchOptions{}, "scale")
			return err
		}, func() int32 { return *get(t, app).Spec.Replicas })
	})
	s.conforms(t, "[sig-apps] ReplicaSet Replace and Patch tests", func(t *testing.T) {
		app := s.name("patched")
		s.replicaSet(t, app, 1, sleeping(app, "busybox:1.28"))
		s.readyPods(t, app, 1)
		eventually(t, stepTimeout, func() error {
			set := get(t, app)
			set.Spec.Replicas = new(int32(2))
			_, err := sets.Update(t.Context(), set, metav1.UpdateOptions{})
			return err
		})
		s.readyPods(t, app, 2)
		patch := `{"metadata":{"labels":{"test-rs":"patched"}},"spec":{"replicas":3,"template":{"spec":{"terminationGracePeriodSeconds":0,"containers":[{"name":"main","image":"busybox:latest"}]}}}}`
		set, err := sets.Patch(t.Context(), app, types.StrategicMergePatchType, []byte(patch), metav1.PatchOptions{})
		s.must(t, err)
		if set.Labels["test-rs"] != "patched" || set.Spec.Template.Spec.Containers[0].Image != "busybox:latest" {
			t.Errorf("patched: %+v", set)
		}
		seen(t, set.ResourceVersion, watches(t, "test-rs=patched"), "three pods that are ready", func(_ watch.EventType, set *appsv1.ReplicaSet) bool {
			return set.Name == app && set.Status.ReadyReplicas == 3
		})
		images := map[string]int{}
		for _, p := range s.podsOf(t, app) {
			images[p.Spec.Containers[0].Image]++
		}
		if images["busybox:1.28"] != 2 || images["busybox:latest"] != 1 {
			t.Errorf("the pods have the images %v", images)
		}
	})
	s.conforms(t, "[sig-apps] ReplicaSet should list and delete a collection of ReplicaSets", func(t *testing.T) {
		app := s.name("collection")
		s.replicaSet(t, app, 3, sleeping(app, "busybox:1.28"))
		s.readyPods(t, app, 3)
		all, err := s.client.AppsV1().ReplicaSets("").List(t.Context(), metav1.ListOptions{LabelSelector: "app=" + app})
		if err != nil || len(all.Items) != 1 {
			t.Errorf("%d sets, %v", len(all.Items), err)
		}
		s.must(t, sets.DeleteCollection(t.Context(), metav1.DeleteOptions{}, metav1.ListOptions{LabelSelector: "app=" + app}))
		eventually(t, stepTimeout, func() error {
			if all, err := sets.List(t.Context(), metav1.ListOptions{LabelSelector: "app=" + app}); err != nil || len(all.Items) > 0 {
				return fmt.Errorf("%d sets, %v", len(all.Items), err)
			}
			return nil
		})
	})
	s.conforms(t, "[sig-apps] ReplicaSet should validate Replicaset Status endpoints", func(t *testing.T) {
		app := s.name("status")
		s.replicaSet(t, app, 1, sleeping(app, "busybox:1.28"))
		s.readyPods(t, app, 1)
		selector := "app=" + app
		read := &appsv1.ReplicaSet{}
		err := s.client.AppsV1().RESTClient().Get().Namespace(s.ns).Resource("replicasets").Name(app).SubResource("status").Do(t.Context()).Into(read)
		if s.must(t, err); read.Status.ReadyReplicas != 1 {
			t.Errorf("read: %+v", read.Status)
		}
		eventually(t, stepTimeout, func() error {
			set := get(t, app)
			set.Status.Conditions = append(set.Status.Conditions, appsv1.ReplicaSetCondition{Type: "StatusUpdate", Status: "True", Reason: "E2E", Message: "Set from e2e test"})
			_, err := sets.UpdateStatus(t.Context(), set, metav1.UpdateOptions{})
			return err
		})
		has := func(kind appsv1.ReplicaSetConditionType) func(watch.EventType, *appsv1.ReplicaSet) bool {
			return func(_ watch.EventType, set *appsv1.ReplicaSet) bool {
				for _, c := range set.Status.Conditions {
					if c.Type == kind && c.Status == "True" {
						return true
					}
				}
				return false
			}
		}
		seen(t, read.ResourceVersion, watches(t, selector), "the condition that was written", has("StatusUpdate"))
		_, err = sets.Patch(t.Context(), app, types.MergePatchType, []byte(`{"status":{"conditions":[{"type":"StatusPatched","status":"True"}]}}`), metav1.PatchOptions{}, "status")
		s.must(t, err)
		seen(t, read.ResourceVersion, watches(t, selector), "the condition that was patched", has("StatusPatched"))
	})
}

func TestConformanceReplicationControllers(t *testing.T) {
	s := newStage(t)
	controllers := s.client.CoreV1().ReplicationControllers(s.ns)
	get := func(t *testing.T, name string) *corev1.ReplicationController {
		t.Helper()
		c, err := controllers.Get(t.Context(), name, metav1.GetOptions{})
		s.must(t, err)
		return c
	}
	s.conforms(t, "[sig-apps] ReplicationController should serve a basic image on each replica with a public image", func(t *testing.T) {
		app := s.name("basic")
		s.replicationController(t, app, 2, naming(app))
		s.nameThemselves(t, s.readyPods(t, app, 2))
	})
	s.conforms(t, "[sig-apps] ReplicationController should adopt matching pods on creation", func(t *testing.T) {
		app := s.name("adopts")
		s.adoptsAndReleases(t, app, "ReplicationController", false, func() { s.replicationController(t, app, 1, sleeping(app, "busybox:1.28")) })
	})
	s.conforms(t, "[sig-apps] ReplicationController should release no longer matching pods", func(t *testing.T) {
		app := s.name("releases")
		s.adoptsAndReleases(t, app, "ReplicationController", true, func() { s.replicationController(t, app, 1, sleeping(app, "busybox:1.28")) })
	})
	s.conforms(t, "[sig-apps] ReplicationController should get and update a ReplicationController scale", func(t *testing.T) {
		app := s.name("scale")
		s.replicationController(t, app, 1, sleeping(app, "busybox:1.28"))
		s.readyPods(t, app, 1)
		s.scales(t, app, controllers, func(data string) error {
			_, err := controllers.Patch(t.Context(), app, types.StrategicMergePatchType, []byte(data), metav1.PatchOptions{}, "scale")
			return err
		}, func() int32 { return *get(t, app).Spec.Replicas })
	})
	s.conforms(t, "[sig-apps] ReplicationController should test the lifecycle of a ReplicationController", func(t *testing.T) { s.controllerLife(t) })
}

// controllerLife writes a ReplicationController in all ways, and sees each in a watch.
func (s *stage) controllerLife(t *testing.T) {
	controllers, app := s.client.CoreV1().ReplicationControllers(s.ns), s.name("life")
	template := sleeping(app, "busybox:1.28")
	template.Labels["life"] = app
	made := s.replicationController(t, app, 1, template)
	selector := "life=" + app
	all := watching(func(o metav1.ListOptions) (runtime.Object, error) { return controllers.List(t.Context(), o) },
		func(o metav1.ListOptions) (watch.Interface, error) { return controllers.Watch(t.Context(), o) }, "")
	from := made.ResourceVersion
	sees := func(what string, wanted func(watch.EventType, *corev1.ReplicationController) bool) {
		t.Helper()
		from = seen(t, from, all, what, func(e watch.EventType, c *corev1.ReplicationController) bool { return c.Name == app && wanted(e, c) }).ResourceVersion
	}
	ready := func(n int32) func(watch.EventType, *corev1.ReplicationController) bool {
		return func(_ watch.EventType, c *corev1.ReplicationController) bool { return c.Status.ReadyReplicas == n }
	}
	patch := func(data string, subresource ...string) {
		t.Helper()
		_, err := controllers.Patch(t.Context(), app, types.StrategicMergePatchType, []byte(data), metav1.PatchOptions{}, subresource...)
		s.must(t, err)
	}
	sees("a pod that is ready", ready(1))
	patch(`{"metadata":{"labels":{"life":"` + app + `","test-rc":"patched"}}}`)
	sees("the label", func(_ watch.EventType, c *corev1.ReplicationController) bool { return c.Labels["test-rc"] == "patched" })
	patch(`{"status":{"readyReplicas":0,"availableReplicas":0}}`, "status")
	sees("the status that was patched", ready(0))
	sees("the status that is right", ready(1))
	scale, err := controllers.GetScale(t.Context(), app, metav1.GetOptions{})
	if err != nil || scale.Spec.Replicas != 1 {
		t.Errorf("scale %+v, %v", scale, err)
	}
	patch(`{"spec":{"replicas":2}}`)
	sees("two pods that are ready", ready(2))
	eventually(t, stepTimeout, func() error {
		c, err := controllers.Get(t.Context(), app, metav1.GetOptions{})
		if err != nil {
			return err
		}
		c.Spec.Replicas = new(int32(3))
		_, err = controllers.Update(t.Context(), c, metav1.UpdateOptions{})
		return err
	})
	sees("three pods that are ready", ready(3))
	list, err := s.client.CoreV1().ReplicationControllers("").List(t.Context(), metav1.ListOptions{LabelSelector: selector})
	if err != nil || len(list.Items) != 1 {
		t.Errorf("%d controllers, %v", len(list.Items), err)
	}
	background := metav1.DeletePropagationBackground
	s.must(t, controllers.DeleteCollection(t.Context(), metav1.DeleteOptions{PropagationPolicy: &background}, metav1.ListOptions{LabelSelector: selector}))
	sees("its deletion", func(e watch.EventType, _ *corev1.ReplicationController) bool { return e == watch.Deleted })
}
