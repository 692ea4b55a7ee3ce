package compat

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
)

// TestConformanceSets tries what upstream asks of sets as objects, and of daemons, on three
// nodes that nobody runs.
func TestConformanceSets(t *testing.T) {
	s := withoutNodes(t, "n0", "n1", "n2")
	s.conforms(t, "[sig-apps] Daemon set should run and stop simple daemon", s.simpleDaemon)
	s.conforms(t, "[sig-apps] Daemon set should run and stop complex daemon", s.complexDaemon)
	s.conforms(t, "[sig-apps] Daemon set should retry creating failed daemon pods", s.failedDaemon)
	s.conforms(t, "[sig-apps] Daemon set should update pod when spec was updated and update strategy is RollingUpdate", s.updatedDaemon)
	s.conforms(t, "[sig-apps] Daemon set should rollback without unnecessary restarts", s.daemonRolledBack)
	s.conforms(t, "[sig-apps] Daemon set should list and delete a collection of DaemonSets", s.daemonCollection)
	s.conforms(t, "[sig-apps] Daemon set should verify changes to a daemon set status", s.daemonStatus)
	s.conforms(t, "[sig-apps] ControllerRevision should manage the lifecycle of a ControllerRevision", s.revisionLife)
	s.conforms(t, "[sig-apps] StatefulSet Basic StatefulSet functionality [StatefulSetBasic] should have a working scale subresource", s.scaleOfSets)
	s.conforms(t, "[sig-apps] StatefulSet Basic StatefulSet functionality [StatefulSetBasic] should list, patch and delete a collection of StatefulSets", s.setCollection)
	s.conforms(t, "[sig-apps] StatefulSet Basic StatefulSet functionality [StatefulSetBasic] should validate Statefulset Status endpoints", s.setStatus)
	s.conforms(t, "[sig-node] PodTemplates should run the lifecycle of PodTemplates", s.templateLife)
	s.conforms(t, "[sig-node] PodTemplates should delete a collection of pod templates", s.templateCollection)
	s.conforms(t, "[sig-node] PodTemplates should replace a pod template", s.templateReplaced)
}

// daemonSet creates a set.
func (s *stage) daemonSet(t testing.TB, name string, change ...func(*appsv1.DaemonSet)) *appsv1.DaemonSet {
	t.Helper()
	labels := map[string]string{"daemonset-name": name}
	set := &appsv1.DaemonSet{
		ObjectMeta: metav1.ObjectMeta{Name: name, Labels: labels},
		Spec: appsv1.DaemonSetSpec{
			Selector: &metav1.LabelSelector{MatchLabels: labels},
			Template: corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: labels}, Spec: corev1.PodSpec{
				Containers: []corev1.Container{{Name: "app", Image: oldImage}},
			}},
		},
	}
	for _, f := range change {
		f(set)
	}
	made, err := s.client.AppsV1().DaemonSets(s.ns).Create(t.Context(), set, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = s.client.AppsV1().DaemonSets(s.ns).Delete(context.Background(), name, metav1.DeleteOptions{})
	})
	return made
}

// daemons are the pods of a set that are not to be deleted.
func (s *stage) daemons(t testing.TB, name string) []corev1.Pod {
	t.Helper()
	list, err := s.client.CoreV1().Pods(s.ns).List(t.Context(), metav1.ListOptions{LabelSelector: "daemonset-name=" + name})
	if err != nil {
		t.Fatal(err)
	}
	return slices.DeleteFunc(list.Items, func(p corev1.Pod) bool { return p.DeletionTimestamp != nil })
}

// daemonsOn waits until a set has one pod that is available, with an image, on each of some
// nodes and nowhere else.
func (s *stage) daemonsOn(t testing.TB, name, image string, nodes ...string) (pods []corev1.Pod) {
	t.Helper()
	eventually(t, stepTimeout, func() error {
		pods = s.daemons(t, name)
		var on []string
		for _, p := range pods {
			if isRunning(&p) && p.Spec.Containers[0].Image == image {
				on = append(on, p.Spec.NodeName)
			}
		}
		slices.Sort(on)
		if !slices.Equal(on, nodes) || len(pods) != len(nodes) {
			return fmt.Errorf("%d pods, with the image and running on %s", len(pods), on)
		}
		return nil
	})
	return pods
}

func (s *stage) patchDaemons(t testing.TB, name, patch string) {
	t.Helper()
	if _, err := s.client.AppsV1().DaemonSets(s.ns).Patch(t.Context(), name, types.StrategicMergePatchType, []byte(patch), metav1.PatchOptions{}); err != nil {
		t.Fatal(err)
	}
}

func daemonImage(image string) string {
	return fmt.Sprintf(`{"spec":{"template":{"spec":{"containers":[{"name":"app","image":%q}]}}}}`, image)
}

func (s *stage) simpleDaemon(t *testing.T) {
	s.daemonSet(t, "simple")
	pods := s.daemonsOn(t, "simple", oldImage, "n0", "n1", "n2")
	if err := s.client.CoreV1().Pods(s.ns).Delete(t.Context(), pods[0].Name, metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	eventually(t, stepTimeout, func() error {
		if slices.ContainsFunc(s.daemons(t, "simple"), func(p corev1.Pod) bool { return p.UID == pods[0].UID }) {
			return errors.New("the pod that was deleted is there")
		}
		return nil
	})
	s.daemonsOn(t, "simple", oldImage, "n0", "n1", "n2")
}

func (s *stage) complexDaemon(t *testing.T) {
	paint := func(color string) {
		patch := fmt.Sprintf(`{"metadata":{"labels":{"daemonset-color":%s}}}`, color)
		if _, err := s.client.CoreV1().Nodes().Patch(t.Context(), "n1", types.StrategicMergePatchType, []byte(patch), metav1.PatchOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	s.daemonSet(t, "complex", func(d *appsv1.DaemonSet) {
		d.Spec.Template.Spec.NodeSelector = map[string]string{"daemonset-color": "blue"}
	})
	s.daemonsOn(t, "complex", oldImage)
	paint(`"blue"`)
	s.daemonsOn(t, "complex", oldImage, "n1")
	paint(`"green"`)
	s.daemonsOn(t, "complex", oldImage)
	s.patchDaemons(t, "complex", `{"spec":{"template":{"spec":{"nodeSelector":{"daemonset-color":"green"}}},"updateStrategy":{"type":"RollingUpdate"}}}`)
	s.daemonsOn(t, "complex", oldImage, "n1")
}

func (s *stage) failedDaemon(t *testing.T) {
	s.daemonSet(t, "failed")
	pod := s.daemonsOn(t, "failed", oldImage, "n0", "n1", "n2")[0]
	if _, err := s.client.CoreV1().Pods(s.ns).Patch(t.Context(), pod.Name, types.StrategicMergePatchType, []byte(`{"status":{"phase":"Failed"}}`), metav1.PatchOptions{}, "status"); err != nil {
		t.Fatal(err)
	}
	eventually(t, stepTimeout, func() error {
		if slices.ContainsFunc(s.daemons(t, "failed"), func(p corev1.Pod) bool { return p.UID == pod.UID }) {
			return errors.New("the failed pod is there")
		}
		return nil
	})
	s.daemonsOn(t, "failed", oldImage, "n0", "n1", "n2")
}

func (s *stage) updatedDaemon(t *testing.T) {
	s.daemonSet(t, "updated")
	s.daemonsOn(t, "updated", oldImage, "n0", "n1", "n2")
	s.patchDaemons(t, "updated", daemonImage(newImage))
	pods := s.daemonsOn(t, "updated", newImage, "n0", "n1", "n2")
	revisions := s.revisionsOf(t, "daemonset-name=updated")
	if len(revisions) != 2 || revisions[0].Revision != 1 || revisions[1].Revision != 2 {
		t.Errorf("history %+v", revisions)
	}
	for _, p := range pods {
		if hash := p.Labels[appsv1.ControllerRevisionHashLabelKey]; hash == "" || hash != revisions[1].Labels[appsv1.ControllerRevisionHashLabelKey] {
			t.Errorf("pod %s is of %q", p.Name, hash)
		}
	}
	s.sh(t, "kubectl rollout status daemonset/updated --timeout 20s")
	contains(t, s.sh(t, "kubectl rollout undo daemonset/updated"), "rolled back")
	s.daemonsOn(t, "updated", oldImage, "n0", "n1", "n2")
	contains(t, s.sh(t, "kubectl rollout restart daemonset/updated"), "restarted")
	s.sh(t, "kubectl rollout status daemonset/updated --timeout 20s")
}

func (s *stage) daemonRolledBack(t *testing.T) {
	s.daemonSet(t, "back")
	before := s.daemonsOn(t, "back", oldImage, "n0", "n1", "n2")
	s.patchDaemons(t, "back", daemonImage(imageOfNothing))
	touched := map[string]bool{}
	eventually(t, stepTimeout, func() error {
		for _, p := range s.daemons(t, "back") {
			if p.Spec.Containers[0].Image == imageOfNothing {
				touched[p.Spec.NodeName] = p.Spec.NodeName != ""
			}
		}
		if len(touched) == 0 {
			return errors.New("nothing is updated")
		}
		return nil
	})
	s.patchDaemons(t, "back", daemonImage(oldImage))
	after := s.daemonsOn(t, "back", oldImage, "n0", "n1", "n2")
	kept := 0
	for _, p := range before {
		if slices.ContainsFunc(after, func(q corev1.Pod) bool { return q.UID == p.UID }) {
			kept++
		}
	}
	if kept != 2 {
		t.Errorf("%d of 3 pods were kept", kept)
	}
}

func (s *stage) daemonCollection(t *testing.T) {
	s.daemonSet(t, "collected", func(d *appsv1.DaemonSet) { d.Labels["collect"] = "daemons" })
	s.daemonsOn(t, "collected", oldImage, "n0", "n1", "n2")
	sets := s.client.AppsV1().DaemonSets("")
	selector := metav1.ListOptions{LabelSelector: "collect=daemons"}
	if list, err := sets.List(t.Context(), selector); err != nil || len(list.Items) != 1 {
		t.Fatalf("%v, %v", list, err)
	}
	if err := s.client.AppsV1().DaemonSets(s.ns).DeleteCollection(t.Context(), metav1.DeleteOptions{GracePeriodSeconds: new(int64(1))}, selector); err != nil {
		t.Fatal(err)
	}
	if list, err := sets.List(t.Context(), selector); err != nil || len(list.Items) != 0 {
		t.Errorf("%v, %v", list, err)
	}
}

// revisionsOf are the revisions of a selector, by their number.
func (s *stage) revisionsOf(t testing.TB, selector string) []appsv1.ControllerRevision {
	t.Helper()
	list, err := s.client.AppsV1().ControllerRevisions(s.ns).List(t.Context(), metav1.ListOptions{LabelSelector: selector})
	if err != nil {
		t.Fatal(err)
	}
	slices.SortFunc(list.Items, func(a, b appsv1.ControllerRevision) int { return int(a.Revision - b.Revision) })
	return list.Items
}

func (s *stage) revisionLife(t *testing.T) {
	const selector = "daemonset-name=revised"
	client := s.client.AppsV1().ControllerRevisions(s.ns)
	set := s.daemonSet(t, "revised")
	s.daemonsOn(t, "revised", oldImage, "n0", "n1", "n2")
	counted := func(n int) (all []appsv1.ControllerRevision) {
		t.Helper()
		eventually(t, stepTimeout, func() error {
			if all = s.revisionsOf(t, selector); len(all) != n {
				return fmt.Errorf("%d revisions, want %d", len(all), n)
			}
			return nil
		})
		return all
	}
	first := counted(1)[0]
	label := func(name, value string) {
		t.Helper()
		patch := fmt.Sprintf(`{"metadata":{"labels":{%q:%q}}}`, name, value)
		if got, err := client.Patch(t.Context(), name, types.StrategicMergePatchType, []byte(patch), metav1.PatchOptions{}); err != nil || got.Labels[name] != value {
			t.Fatalf("%v, %v", got, err)
		}
	}
	label(first.Name, "patched")
	second := &appsv1.ControllerRevision{
		ObjectMeta: metav1.ObjectMeta{
			Name: "revised-by-hand", Labels: map[string]string{"daemonset-name": "revised", appsv1.ControllerRevisionHashLabelKey: "by-hand"},
			OwnerReferences: []metav1.OwnerReference{*metav1.NewControllerRef(set, appsv1.SchemeGroupVersion.WithKind("DaemonSet"))},
		},
		Data: runtime.RawExtension{Raw: first.Data.Raw}, Revision: first.Revision + 1,
	}
	if _, err := client.Create(t.Context(), second, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	counted(2)
	if err := client.Delete(t.Context(), first.Name, metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	counted(1)
	label(second.Name, "updated")
	s.patchDaemons(t, "revised", daemonImage(newImage))
	counted(2)
	if err := client.DeleteCollection(t.Context(), metav1.DeleteOptions{}, metav1.ListOptions{LabelSelector: second.Name + "=updated"}); err != nil {
		t.Fatal(err)
	}
	if last := counted(1)[0]; last.Revision != 3 {
		t.Errorf("the revision that is left is %d", last.Revision)
	}
	s.daemonsOn(t, "revised", newImage, "n0", "n1", "n2")
	contains(t, s.sh(t, "kubectl get controllerrevisions -l "+selector), "daemonset.apps/revised   3")
}
