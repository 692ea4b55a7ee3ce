package server

import (
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// images are those of a set's pods one after another: the third is the first again.
var images = []string{"i:1", "i:2", "i:1", "i:3", "i:4"}

// short is a template whose pods end at once.
func short(app, image string) corev1.PodTemplateSpec {
	t := template(app, image)
	t.Spec.TerminationGracePeriodSeconds = new(int64(0))
	t.Spec.Tolerations = []corev1.Toleration{{Operator: corev1.TolerationOpExists}}
	return t
}

// statefulSet has a set with a claim rolled out and back, and its parts taken from it.
func (w *world) statefulSet() {
	ctx, sets, claims := w.Context(), w.admin.AppsV1().StatefulSets("default"), w.admin.CoreV1().PersistentVolumeClaims("default")
	claim := corev1.PersistentVolumeClaim{ObjectMeta: metav1.ObjectMeta{Name: "data"}, Spec: corev1.PersistentVolumeClaimSpec{
		AccessModes: []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce},
		Resources:   corev1.VolumeResourceRequirements{Requests: corev1.ResourceList{corev1.ResourceStorage: resource.MustParse("1Gi")}},
	}}
	_, err := sets.Create(ctx, &appsv1.StatefulSet{ObjectMeta: metav1.ObjectMeta{Name: "db"}, Spec: appsv1.StatefulSetSpec{
		RevisionHistoryLimit: new(int32(1)), Selector: selecting("db"), Template: short("db", images[0]), VolumeClaimTemplates: []corev1.PersistentVolumeClaim{claim},
	}}, metav1.CreateOptions{})
	w.must(err)
	w.changes("db", func(image string) error {
		_, err := sets.Patch(ctx, "db", types.StrategicMergePatchType, []byte(`{"spec":{"template":{"spec":{"containers":[{"name":"c","image":"`+image+`"}]}}}}`), metav1.PatchOptions{})
		return err
	})
	w.adopts("db")
	_, err = w.admin.CoreV1().Pods("default").Patch(ctx, "db-0", types.MergePatchType, []byte(`{"metadata":{"labels":{"statefulset.kubernetes.io/pod-name":null}}}`), metav1.PatchOptions{})
	w.must(err)
	w.eventually("the pod has its name again", func() bool {
		p, err := w.admin.CoreV1().Pods("default").Get(ctx, "db-0", metav1.GetOptions{})
		return err == nil && p.Labels["statefulset.kubernetes.io/pod-name"] == "db-0"
	})
	_, err = sets.Patch(ctx, "db", types.MergePatchType, []byte(`{"spec":{"persistentVolumeClaimRetentionPolicy":{"whenDeleted":"Delete","whenScaled":"Retain"}}}`), metav1.PatchOptions{})
	w.must(err)
	w.eventually("the claim goes with its set", func() bool {
		c, err := claims.Get(ctx, "data-db-0", metav1.GetOptions{})
		return err == nil && len(c.OwnerReferences) == 1
	})
}

// daemonSet has a set rolled out and back on a node that nobody runs.
func (w *world) daemonSet() {
	ctx, sets := w.Context(), w.admin.AppsV1().DaemonSets("default")
	_, err := w.admin.CoreV1().Nodes().Create(ctx, &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "daemons", Labels: map[string]string{"daemons": "here"}}}, metav1.CreateOptions{})
	w.must(err)
	pods := short("agent", images[0])
	pods.Spec.NodeSelector = map[string]string{"daemons": "here"}
	_, err = sets.Create(ctx, &appsv1.DaemonSet{ObjectMeta: metav1.ObjectMeta{Name: "agent"}, Spec: appsv1.DaemonSetSpec{
		RevisionHistoryLimit: new(int32(1)), Selector: selecting("agent"), Template: pods,
	}}, metav1.CreateOptions{})
	w.must(err)
	w.changes("agent", func(image string) error {
		_, err := sets.Patch(ctx, "agent", types.StrategicMergePatchType, []byte(`{"spec":{"template":{"spec":{"containers":[{"name":"c","image":"`+image+`"}]}}}}`), metav1.PatchOptions{})
		return err
	})
	w.adopts("agent")
}

// changes has a set's pods get one image after another, and a revision of it taken from
// it and adopted.
func (w *world) changes(app string, change func(image string) error) {
	w.Helper()
	ctx, revisions := w.Context(), w.admin.AppsV1().ControllerRevisions("default")
	for i, image := range images {
		if i > 0 {
			w.must(change(image))
		}
		w.eventually(app+" has pods of "+image, func() bool {
			pods := w.podsOf(app)
			return len(pods) == 1 && pods[0].Spec.Containers[0].Image == image
		})
	}
	var all *appsv1.ControllerRevisionList
	w.eventually("old revisions of "+app+" are forgotten", func() bool {
		w.podsOf(app)
		var err error
		all, err = revisions.List(ctx, metav1.ListOptions{LabelSelector: "app=" + app})
		return err == nil && len(all.Items) == 2
	})
	name := all.Items[0].Name
	_, err := revisions.Patch(ctx, name, types.MergePatchType, []byte(`{"metadata":{"ownerReferences":null}}`), metav1.PatchOptions{})
	w.must(err)
	w.eventually("the revision is adopted, or not wanted any more", func() bool {
		w.must(change(images[len(images)-1]))
		r, err := revisions.Get(ctx, name, metav1.GetOptions{})
		return apierrors.IsNotFound(err) || err == nil && metav1.GetControllerOf(r) != nil
	})
}
