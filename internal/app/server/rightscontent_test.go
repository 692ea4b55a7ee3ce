package server

import (
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"laterna.dev/laterna/api"
)

// content has a workload of each kind rolled out since what its pods read has changed.
func (w *world) content() {
	ctx, apps, configMaps := w.Context(), w.admin.AppsV1(), w.admin.CoreV1().ConfigMaps("default")
	config := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "read"}, Data: map[string]string{"k": "1"}}
	_, err := configMaps.Create(ctx, config, metav1.CreateOptions{})
	w.must(err)
	_, err = w.admin.CoreV1().Secrets("default").Create(ctx, &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: "read"}}, metav1.CreateOptions{})
	w.must(err)
	meta := metav1.ObjectMeta{Name: "reader", Annotations: map[string]string{api.RolloutOnChange: "configmap/read,secret/read"}}
	pods, none := template("reader", "i"), int32(0)
	_, err = apps.Deployments("default").Create(ctx, &appsv1.Deployment{ObjectMeta: meta, Spec: appsv1.DeploymentSpec{Replicas: &none, Selector: selecting("reader"), Template: pods}}, metav1.CreateOptions{})
	w.must(err)
	_, err = apps.StatefulSets("default").Create(ctx, &appsv1.StatefulSet{ObjectMeta: meta, Spec: appsv1.StatefulSetSpec{Replicas: &none, Selector: selecting("reader"), Template: pods}}, metav1.CreateOptions{})
	w.must(err)
	pods.Spec.NodeSelector = map[string]string{"no": "node"}
	_, err = apps.DaemonSets("default").Create(ctx, &appsv1.DaemonSet{ObjectMeta: meta, Spec: appsv1.DaemonSetSpec{Selector: selecting("reader"), Template: pods}}, metav1.CreateOptions{})
	w.must(err)
	config.Data["k"] = "2"
	_, err = configMaps.Update(ctx, config, metav1.UpdateOptions{})
	w.must(err)
	w.eventually("workloads are rolled out on change", func() bool {
		d, err := apps.Deployments("default").Get(ctx, "reader", metav1.GetOptions{})
		s, err2 := apps.StatefulSets("default").Get(ctx, "reader", metav1.GetOptions{})
		m, err3 := apps.DaemonSets("default").Get(ctx, "reader", metav1.GetOptions{})
		return err == nil && err2 == nil && err3 == nil && d.Generation > 1 && s.Generation > 1 && m.Generation > 1
	})
}
