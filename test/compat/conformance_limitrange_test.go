package compat

import (
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
)

func TestConformanceLimitRange(t *testing.T) {
	d := newDesk(t)
	d.conforms(t, "[sig-scheduling] LimitRange should create a LimitRange with defaults and ensure pod has those defaults applied.", func(t *testing.T) {
		q := d.limited(t)
		ranges := q.client.CoreV1().LimitRanges(q.ns)
		seen, err := ranges.Watch(t.Context(), metav1.ListOptions{})
		d.must(t, err)
		defer seen.Stop()
		three := func(cpu, memory, storage string) map[string]string {
			return map[string]string{"cpu": cpu, "memory": memory, "ephemeral-storage": storage}
		}
		made, err := ranges.Create(t.Context(), &corev1.LimitRange{ObjectMeta: metav1.ObjectMeta{Name: "limit-range"}, Spec: corev1.LimitRangeSpec{Limits: []corev1.LimitRangeItem{{
			Type: corev1.LimitTypeContainer, Min: amountsOf(three("50m", "100Mi", "100Gi")), Max: amountsOf(three("500m", "500Mi", "500Gi")),
			Default: amountsOf(three("500m", "500Mi", "500Gi")), DefaultRequest: amountsOf(three("100m", "200Mi", "200Gi")),
		}}}}, metav1.CreateOptions{})
		d.must(t, err)
		select {
		case e := <-seen.ResultChan():
			if e.Type != watch.Added {
				t.Errorf("watched %v", e)
			}
		case <-time.After(stepTimeout):
			t.Error("the creation is not watched")
		}
		gets := func(name string, requests, limits, wantRequests, wantLimits map[string]string) {
			t.Helper()
			p, err := q.pod(t, name, requests, limits, nil)
			d.must(t, err)
			got := p.Spec.Containers[0].Resources
			if !equality.Semantic.DeepEqual(got.Requests, amountsOf(wantRequests)) || !equality.Semantic.DeepEqual(got.Limits, amountsOf(wantLimits)) {
				t.Errorf("%s gets %+v", name, got)
			}
		}
		gets("no-resources", nil, nil, three("100m", "200Mi", "200Gi"), three("500m", "500Mi", "500Gi"))
		gets("partial", map[string]string{"memory": "150Mi", "ephemeral-storage": "150Gi"}, map[string]string{"cpu": "300m"}, three("300m", "150Mi", "150Gi"), three("300m", "500Mi", "500Gi"))
		little, much := three("10m", "50Mi", "50Gi"), three("600m", "600Mi", "600Gi")
		_, err = q.pod(t, "little", little, nil, nil)
		refused(t, err, `pods "little" is forbidden: [minimum cpu usage per Container is 50m, but request is 10m, `, "minimum memory usage per Container is 100Mi, but request is 50Mi")
		_, err = q.pod(t, "much", much, nil, nil)
		refused(t, err, "must be less than or equal to cpu limit of 500m") // which it is given
		made.Spec.Limits[0].Min = amountsOf(three("9m", "49Mi", "49Gi"))
		_, err = ranges.Update(t.Context(), made, metav1.UpdateOptions{})
		d.must(t, err)
		_, err = q.pod(t, "little", little, nil, nil)
		d.must(t, err) // at once
		d.must(t, ranges.Delete(t.Context(), made.Name, metav1.DeleteOptions{}))
		_, err = q.pod(t, "much", much, nil, nil)
		d.must(t, err)
	})
	d.conforms(t, "[sig-scheduling] LimitRange should list, patch and delete a LimitRange by collection", func(t *testing.T) {
		q, other := d.limited(t), d.limited(t)
		mine := metav1.ListOptions{LabelSelector: "of=" + q.ns}
		for _, ns := range []string{q.ns, other.ns} {
			_, err := q.client.CoreV1().LimitRanges(ns).Create(t.Context(), &corev1.LimitRange{ObjectMeta: metav1.ObjectMeta{Name: "limits", Labels: map[string]string{"of": q.ns}}, Spec: corev1.LimitRangeSpec{
				Limits: []corev1.LimitRangeItem{{Type: corev1.LimitTypeContainer, Min: amountsOf(map[string]string{"cpu": "50m"}), Max: amountsOf(map[string]string{"cpu": "500m"})}}}}, metav1.CreateOptions{})
			d.must(t, err)
		}
		if list, err := q.client.CoreV1().LimitRanges("").List(t.Context(), mine); err != nil || len(list.Items) != 2 {
			t.Fatalf("%+v, %v", list, err)
		}
		patched, err := q.client.CoreV1().LimitRanges(q.ns).Patch(t.Context(), "limits", types.StrategicMergePatchType, []byte(`{"metadata":{"labels":{"patched":"yes"}},"spec":{"limits":[{"type":"Container","min":{"cpu":"40m"}}]}}`), metav1.PatchOptions{})
		if err != nil || patched.Labels["patched"] != "yes" || patched.Spec.Limits[0].Min.Cpu().String() != "40m" {
			t.Fatalf("%+v, %v", patched, err)
		}
		d.must(t, q.client.CoreV1().LimitRanges(q.ns).DeleteCollection(t.Context(), metav1.DeleteOptions{}, metav1.ListOptions{LabelSelector: "patched=yes"}))
		list, err := q.client.CoreV1().LimitRanges("").List(t.Context(), mine)
		if err != nil || len(list.Items) != 1 || list.Items[0].Namespace != other.ns {
			t.Errorf("%+v, %v", list, err)
		}
	})
}
