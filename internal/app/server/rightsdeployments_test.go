package server

import (
	"fmt"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/retry"
	"k8s.io/utils/ptr"
)

// template is one of pods of an app with an image.
func template(app, image string) corev1.PodTemplateSpec {
	return corev1.PodTemplateSpec{
		ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{"app": app}},
		Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "c", Image: image}}},
	}
}

func selecting(app string) *metav1.LabelSelector {
	return &metav1.LabelSelector{MatchLabels: map[string]string{"app": app}}
}

// setsOf returns the ReplicaSets of an app that want pods, by image.
func (w *world) setsOf(app string) map[string]*appsv1.ReplicaSet {
	w.Helper()
	list, err := w.admin.AppsV1().ReplicaSets("default").List(w.Context(), metav1.ListOptions{LabelSelector: "app=" + app})
	w.must(err)
	all := map[string]*appsv1.ReplicaSet{}
	for i := range list.Items {
		all[list.Items[i].Spec.Template.Spec.Containers[0].Image] = &list.Items[i]
	}
	return all
}

// podsOf returns the pods of an app that are there, and makes them ready.
func (w *world) podsOf(app string) []corev1.Pod {
	w.Helper()
	list, err := w.admin.CoreV1().Pods("default").List(w.Context(), metav1.ListOptions{LabelSelector: "app=" + app})
	w.must(err)
	for _, p := range list.Items {
		_, _ = w.admin.CoreV1().Pods("default").Patch(w.Context(), p.Name, types.StrategicMergePatchType,
			[]byte(`{"status":{"phase":"Running","conditions":[{"type":"Ready","status":"True"}]}}`), metav1.PatchOptions{}, "status")
	}
	return list.Items
}

// redeploy changes the deployment of an app.
func (w *world) redeploy(app string, f func(*appsv1.Deployment)) {
	w.Helper()
	w.must(retry.RetryOnConflict(retry.DefaultRetry, func() error {
		d, err := w.admin.AppsV1().Deployments("default").Get(w.Context(), app, metav1.GetOptions{})
		if err != nil {
			return err
		}
		f(d)
		_, err = w.admin.AppsV1().Deployments("default").Update(w.Context(), d, metav1.UpdateOptions{})
		return err
	}))
}

// rolledOut waits until all pods of the deployment of an app have an image.
func (w *world) rolledOut(app, image string) {
	w.Helper()
	w.eventually(app+" is rolled out with "+image, func() bool {
		w.podsOf(app)
		d, err := w.admin.AppsV1().Deployments("default").Get(w.Context(), app, metav1.GetOptions{})
		w.must(err)
		s := d.Status
		return d.Spec.Template.Spec.Containers[0].Image == image && s.ObservedGeneration == d.Generation &&
			s.UpdatedReplicas == *d.Spec.Replicas && s.Replicas == *d.Spec.Replicas && s.AvailableReplicas == *d.Spec.Replicas
	})
}

// deployments has a deployment rolled out, rolled back, and its history forgotten; sets of
// both kinds adopt pods.
func (w *world) deployments() {
	ctx := w.Context()
	apps := w.admin.AppsV1()
	made, err := apps.Deployments("default").Create(ctx, &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Name: "web"},
		Spec:       appsv1.DeploymentSpec{Replicas: ptr.To[int32](3), RevisionHistoryLimit: ptr.To[int32](1), Selector: selecting("web"), Template: template("web", "i:1")},
	}, metav1.CreateOptions{})
	w.must(err)
	w.rolledOut("web", "i:1")
	for _, image := range []string{"i:2", "i:3"} {
		w.redeploy("web", func(d *appsv1.Deployment) { d.Spec.Template.Spec.Containers[0].Image = image })
		w.rolledOut("web", image)
	}
	w.eventually("the first revision is forgotten", func() bool { return w.setsOf("web")["i:1"] == nil })
	w.redeploy("web", func(d *appsv1.Deployment) {
		metav1.SetMetaDataAnnotation(&d.ObjectMeta, appsv1.DeprecatedRollbackTo, "0")
	})
	w.rolledOut("web", "i:2")
	if r := w.setsOf("web")["i:2"].Annotations["deployment.kubernetes.io/revision"]; r != "4" {
		w.Errorf("it is revision %s", r)
	}
	w.adoption(made)
	w.collision()
	w.replicationController()
}

// adoption gives a deployment a set that nobody has, and the set a pod.
func (w *world) adoption(d *appsv1.Deployment) {
	ctx := w.Context()
	set := &appsv1.ReplicaSet{
		ObjectMeta: metav1.ObjectMeta{Name: "orphan", Labels: map[string]string{"app": "web"}},
		Spec:       appsv1.ReplicaSetSpec{Replicas: ptr.To[int32](0), Selector: selecting("web"), Template: template("web", "i:0")},
	}
	set.Spec.Selector.MatchLabels["hash"], set.Spec.Template.Labels["hash"] = "none", "none"
	_, err := w.admin.AppsV1().ReplicaSets("default").Create(ctx, set, metav1.CreateOptions{})
	w.must(err)
	w.eventually("the set is adopted", func() bool {
		s, err := w.admin.AppsV1().ReplicaSets("default").Get(ctx, "orphan", metav1.GetOptions{})
		return err != nil || metav1.IsControlledBy(s, d)
	})
	w.adopts("web")
}

// adopts takes a pod of an app from its set, which takes it back.
func (w *world) adopts(app string) {
	w.Helper()
	pod := w.podsOf(app)[0]
	_, err := w.admin.CoreV1().Pods("default").Patch(w.Context(), pod.Name, types.MergePatchType, []byte(`{"metadata":{"ownerReferences":null}}`), metav1.PatchOptions{})
	w.must(err)
	w.eventually("the pod is adopted, or not wanted any more", func() bool {
		p, err := w.admin.CoreV1().Pods("default").Get(w.Context(), pod.Name, metav1.GetOptions{})
		return err != nil || metav1.GetControllerOf(p) != nil
	})
}

// collision has somebody else's set stand where a deployment's is to be.
func (w *world) collision() {
	ctx := w.Context()
	name := w.setsOf("web")["i:2"].Name
	web, err := w.admin.AppsV1().Deployments("default").Get(ctx, "web", metav1.GetOptions{})
	w.must(err)
	_, err = w.admin.AppsV1().ReplicaSets("default").Create(ctx, &appsv1.ReplicaSet{
		ObjectMeta: metav1.ObjectMeta{Name: "twin" + name[strings.LastIndexByte(name, '-'):], Labels: map[string]string{"app": "stranger"}},
		Spec:       appsv1.ReplicaSetSpec{Replicas: ptr.To[int32](0), Selector: selecting("stranger"), Template: template("stranger", "i:9")},
	}, metav1.CreateOptions{})
	w.must(err)
	_, err = w.admin.AppsV1().Deployments("default").Create(ctx, &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Name: "twin"}, Spec: appsv1.DeploymentSpec{Selector: web.Spec.Selector, Template: web.Spec.Template},
	}, metav1.CreateOptions{})
	w.must(err)
	w.eventually("another name is found", func() bool {
		d, err := w.admin.AppsV1().Deployments("default").Get(ctx, "twin", metav1.GetOptions{})
		w.must(err)
		return ptr.Deref(d.Status.CollisionCount, 0) == 1 && d.Annotations["deployment.kubernetes.io/revision"] == "1"
	})
}

func (w *world) replicationController() {
	ctx := w.Context()
	pods := template("rc", "i:1")
	controllers := w.admin.CoreV1().ReplicationControllers("default")
	_, err := controllers.Create(ctx, &corev1.ReplicationController{
		ObjectMeta: metav1.ObjectMeta{Name: "rc"}, Spec: corev1.ReplicationControllerSpec{Replicas: ptr.To[int32](2), Template: &pods},
	}, metav1.CreateOptions{})
	w.must(err)
	has := func(n int32) {
		w.Helper()
		w.eventually(fmt.Sprintf("the controller has %d pods", n), func() bool {
			w.podsOf("rc")
			c, err := controllers.Get(ctx, "rc", metav1.GetOptions{})
			w.must(err)
			return c.Status.AvailableReplicas == n && c.Status.Replicas == n
		})
	}
	has(2)
	w.adopts("rc")
	_, err = controllers.Patch(ctx, "rc", types.MergePatchType, []byte(`{"spec":{"replicas":1}}`), metav1.PatchOptions{}, "scale")
	w.must(err)
	has(1)
}
