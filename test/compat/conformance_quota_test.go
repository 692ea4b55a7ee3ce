package compat

import (
	"context"
	"fmt"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

func TestConformanceQuota(t *testing.T) {
	d := newDesk(t)
	d.conforms(t, "[sig-api-machinery] ResourceQuota should create a ResourceQuota and ensure its status is promptly calculated.", func(t *testing.T) {
		d.limited(t).quota(t, "test-quota", everything())
	})
	d.conforms(t, "[sig-api-machinery] ResourceQuota should create a ResourceQuota and capture the life of a service.", func(t *testing.T) {
		q := d.limited(t)
		q.quota(t, "test-quota", everything())
		service := func(name string, kind corev1.ServiceType) error {
			_, err := q.client.CoreV1().Services(q.ns).Create(t.Context(), &corev1.Service{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: corev1.ServiceSpec{
				Type: kind, Ports: []corev1.ServicePort{{Port: 80}}}}, metav1.CreateOptions{})
			return err
		}
		d.must(t, service("cluster", corev1.ServiceTypeClusterIP))
		d.must(t, service("node", corev1.ServiceTypeNodePort))
		refused(t, service("balanced", corev1.ServiceTypeLoadBalancer), "exceeded quota: test-quota, requested: services.nodeports=1, used: services.nodeports=1, limited: services.nodeports=1")
		q.uses(t, "test-quota", map[string]string{"services": "2", "services.nodeports": "1", "services.loadbalancers": "0"})
		for _, name := range []string{"cluster", "node"} {
			d.must(t, q.client.CoreV1().Services(q.ns).Delete(t.Context(), name, metav1.DeleteOptions{}))
		}
		q.uses(t, "test-quota", map[string]string{"services": "0", "services.nodeports": "0"})
	})
	d.conforms(t, "[sig-api-machinery] ResourceQuota should create a ResourceQuota and capture the life of a secret.", func(t *testing.T) {
		q := d.limited(t)
		q.quota(t, "test-quota", everything())
		q.secret(t, map[string]string{"a": "b"})
		q.uses(t, "test-quota", map[string]string{"secrets": "1"})
		d.must(t, q.client.CoreV1().Secrets(q.ns).DeleteCollection(t.Context(), metav1.DeleteOptions{}, metav1.ListOptions{}))
		q.uses(t, "test-quota", map[string]string{"secrets": "0"})
	})
	d.conforms(t, "[sig-api-machinery] ResourceQuota should create a ResourceQuota and capture the life of a configMap.", func(t *testing.T) {
		q := d.limited(t)
		q.quota(t, "test-quota", everything())
		q.uses(t, "test-quota", map[string]string{"configmaps": "1"}) // of the authority
		made := q.configMap(t, nil)
		q.uses(t, "test-quota", map[string]string{"configmaps": "2"})
		d.must(t, q.client.CoreV1().ConfigMaps(q.ns).Delete(t.Context(), made.Name, metav1.DeleteOptions{}))
		q.uses(t, "test-quota", map[string]string{"configmaps": "1"})
	})
	d.conforms(t, "[sig-api-machinery] ResourceQuota should create a ResourceQuota and capture the life of a replication controller.", func(t *testing.T) {
		q := d.limited(t)
		q.quota(t, "test-quota", everything())
		all := q.client.CoreV1().ReplicationControllers(q.ns)
		_, err := all.Create(t.Context(), &corev1.ReplicationController{ObjectMeta: metav1.ObjectMeta{Name: "rc"}, Spec: corev1.ReplicationControllerSpec{
			Replicas: new(int32), Selector: map[string]string{"a": "b"}, Template: template()}}, metav1.CreateOptions{})
		d.must(t, err)
		q.uses(t, "test-quota", map[string]string{"replicationcontrollers": "1"})
		d.must(t, all.Delete(t.Context(), "rc", metav1.DeleteOptions{}))
		q.uses(t, "test-quota", map[string]string{"replicationcontrollers": "0"})
	})
	d.conforms(t, "[sig-api-machinery] ResourceQuota should create a ResourceQuota and capture the life of a replica set.", func(t *testing.T) {
		q := d.limited(t)
		q.quota(t, "test-quota", everything())
		all := q.client.AppsV1().ReplicaSets(q.ns)
		_, err := all.Create(t.Context(), &appsv1.ReplicaSet{ObjectMeta: metav1.ObjectMeta{Name: "rs"}, Spec: appsv1.ReplicaSetSpec{
			Replicas: new(int32), Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"a": "b"}}, Template: *template()}}, metav1.CreateOptions{})
		d.must(t, err)
		q.uses(t, "test-quota", map[string]string{"count/replicasets.apps": "1"})
		d.must(t, all.Delete(t.Context(), "rs", metav1.DeleteOptions{}))
		q.uses(t, "test-quota", map[string]string{"count/replicasets.apps": "0"})
	})
	d.conforms(t, "[sig-apps] ReplicationController should surface a failure condition on a common issue like exceeded quota", d.quotaFailsController)
	d.conforms(t, "[sig-api-machinery] ResourceQuota should create a ResourceQuota and capture the life of a pod.", d.quotaOfPods)
	d.conforms(t, "[sig-api-machinery] ResourceQuota should verify ResourceQuota with terminating scopes.", func(t *testing.T) {
		d.scoped(t, corev1.ResourceQuotaScopeTerminating, corev1.ResourceQuotaScopeNotTerminating, func(p *corev1.Pod) { p.Spec.ActiveDeadlineSeconds = new(int64(3600)) }, func(*corev1.Pod) {})
	})
	d.conforms(t, "[sig-api-machinery] ResourceQuota should verify ResourceQuota with best effort scope.", func(t *testing.T) {
		d.scoped(t, corev1.ResourceQuotaScopeBestEffort, corev1.ResourceQuotaScopeNotBestEffort, func(p *corev1.Pod) { p.Spec.Containers[0].Resources = corev1.ResourceRequirements{} }, func(*corev1.Pod) {})
	})
	d.conforms(t, "[sig-api-machinery] ResourceQuota should be able to update and delete ResourceQuota.", func(t *testing.T) { d.quotaChanges(t) })
	d.conforms(t, "[sig-api-machinery] ResourceQuota should manage the lifecycle of a ResourceQuota", d.quotaLives)
	d.conforms(t, "[sig-api-machinery] ResourceQuota should apply changes to a resourcequota status", d.quotaStatus)
}

// limitedSpace is a namespace with quotas.
type limitedSpace struct{ *stage }

func (d desk) limited(t *testing.T) limitedSpace {
	t.Helper()
	ns := d.name("limited")
	_, err := d.client.CoreV1().Namespaces().Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: ns}}, metav1.CreateOptions{})
	d.must(t, err)
	q := limitedSpace{&stage{system: d.system, ns: ns, client: d.client}}
	eventually(t, stepTimeout, func() error {
		_, err := d.client.CoreV1().ConfigMaps(ns).Get(t.Context(), "kube-root-ca.crt", metav1.GetOptions{})
		return err
	})
	return q
}

func amountsOf(all map[string]string) corev1.ResourceList {
	list := corev1.ResourceList{}
	for name, q := range all {
		list[corev1.ResourceName(name)] = resource.MustParse(q)
	}
	return list
}

// everything is what upstream's test quota limits.
func everything() map[string]string {
	return map[string]string{
		"pods": "5", "services": "10", "services.nodeports": "1", "services.loadbalancers": "1", "replicationcontrollers": "10", "resourcequotas": "1",
		"cpu": "1", "memory": "500Mi", "configmaps": "10", "secrets": "10", "persistentvolumeclaims": "10", "requests.storage": "10Gi", "ephemeral-storage": "50Gi",
		"gold.storageclass.storage.k8s.io/persistentvolumeclaims": "10", "gold.storageclass.storage.k8s.io/requests.storage": "10Gi",
		"count/replicasets.apps": "5", "requests.example.com/dongle": "3",
	}
}

// quota makes a quota and waits until its status says what is used of all that it limits.
func (q limitedSpace) quota(t *testing.T, name string, hard map[string]string, scopes ...corev1.ResourceQuotaScope) {
	t.Helper()
	_, err := q.client.CoreV1().ResourceQuotas(q.ns).Create(t.Context(), &corev1.ResourceQuota{
		ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{"of": name}}, Spec: corev1.ResourceQuotaSpec{Hard: amountsOf(hard), Scopes: scopes}}, metav1.CreateOptions{})
	q.must(t, err)
	eventually(t, stepTimeout, func() error {
		made, err := q.client.CoreV1().ResourceQuotas(q.ns).Get(context.WithoutCancel(t.Context()), name, metav1.GetOptions{})
		if err == nil && (len(made.Status.Hard) != len(hard) || len(made.Status.Used) != len(hard)) {
			err = fmt.Errorf("status %+v", made.Status)
		}
		return err
	})
	if _, counted := hard["resourcequotas"]; counted {
		q.uses(t, name, map[string]string{"resourcequotas": "1"})
	}
}

// uses waits until so much is used of a quota.
func (q limitedSpace) uses(t *testing.T, name string, want map[string]string) {
	t.Helper()
	eventually(t, stepTimeout, func() error {
		got, err := q.client.CoreV1().ResourceQuotas(q.ns).Get(context.WithoutCancel(t.Context()), name, metav1.GetOptions{})
		if err != nil {
			return err
		}
		for resource, amount := range amountsOf(want) {
			if used := got.Status.Used[resource]; used.Cmp(amount) != 0 {
				return fmt.Errorf("%s of %s is used: %s, want %s", used.String(), resource, name, amount.String())
			}
		}
		return nil
	})
}

func template() *corev1.PodTemplateSpec {
	return &corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{"a": "b"}}, Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "pause", Image: "busybox:1.28"}}}}
}

// pod makes a pod that asks for so much.
func (q limitedSpace) pod(t *testing.T, name string, requests, limits map[string]string, change func(*corev1.Pod)) (*corev1.Pod, error) {
	p := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: template().Spec}
	p.Spec.Containers[0].Resources = corev1.ResourceRequirements{Requests: amountsOf(requests), Limits: amountsOf(limits)}
	if change != nil {
		change(p)
	}
	return q.client.CoreV1().Pods(q.ns).Create(t.Context(), p, metav1.CreateOptions{})
}

func (q limitedSpace) end(t *testing.T, pod string) {
	t.Helper()
	q.must(t, q.client.CoreV1().Pods(q.ns).Delete(t.Context(), pod, metav1.DeleteOptions{GracePeriodSeconds: new(int64)}))
}

func (d desk) quotaOfPods(t *testing.T) {
	q := d.limited(t)
	q.quota(t, "test-quota", everything())
	dongles := map[string]string{"example.com/dongle": "2"}
	pod, err := q.pod(t, "test-pod", map[string]string{"cpu": "500m", "memory": "252Mi", "ephemeral-storage": "30Gi", "example.com/dongle": "2"}, dongles, nil)
	d.must(t, err)
	used := map[string]string{"pods": "1", "cpu": "500m", "memory": "252Mi", "ephemeral-storage": "30Gi", "requests.example.com/dongle": "2"}
	q.uses(t, "test-quota", used)
	_, err = q.pod(t, "fail-pod", map[string]string{"cpu": "600m", "memory": "100Mi"}, nil, nil)
	refused(t, err, "exceeded quota: test-quota, requested: cpu=600m, used: cpu=500m, limited: cpu=1")
	_, err = q.pod(t, "fail-dongle", map[string]string{"cpu": "500m", "memory": "100Mi", "ephemeral-storage": "30Gi", "example.com/dongle": "2"}, dongles, nil)
	refused(t, err, "requests.example.com/dongle=2")
	_, err = q.pod(t, "says-nothing", nil, nil, nil)
	refused(t, err, "failed quota: test-quota: must specify cpu for: pause; memory for: pause")
	pod.Spec.Containers[0].Resources.Requests = amountsOf(map[string]string{"cpu": "100m", "memory": "100Mi", "ephemeral-storage": "10Gi"})
	if _, err := q.client.CoreV1().Pods(q.ns).Update(t.Context(), pod, metav1.UpdateOptions{}); err == nil {
		t.Error("a pod asks for something else")
	}
	q.uses(t, "test-quota", used)
	q.end(t, "test-pod")
	q.uses(t, "test-quota", map[string]string{"pods": "0", "cpu": "0", "memory": "0", "ephemeral-storage": "0", "requests.example.com/dongle": "0"})
}

// scoped has pods counted by one of two quotas with scopes that exclude each other.
func (d desk) scoped(t *testing.T, first, second corev1.ResourceQuotaScope, inFirst, inSecond func(*corev1.Pod)) {
	q := d.limited(t)
	q.quota(t, "first", map[string]string{"pods": "5"}, first)
	q.quota(t, "second", map[string]string{"pods": "5", "requests.cpu": "1", "limits.memory": "1Gi"}, second)
	for _, c := range []struct {
		in            func(*corev1.Pod)
		first, second string
	}{{inSecond, "0", "1"}, {inFirst, "1", "0"}} {
		_, err := q.pod(t, "pod", map[string]string{"cpu": "500m", "memory": "200Mi"}, map[string]string{"cpu": "1", "memory": "400Mi"}, c.in)
		d.must(t, err)
		q.uses(t, "first", map[string]string{"pods": c.first})
		q.uses(t, "second", map[string]string{"pods": c.second})
		if c.second == "1" {
			q.uses(t, "second", map[string]string{"requests.cpu": "500m", "limits.memory": "400Mi"})
		}
		q.end(t, "pod")
		q.uses(t, "first", map[string]string{"pods": "0"})
		q.uses(t, "second", map[string]string{"pods": "0", "requests.cpu": "0", "limits.memory": "0"})
	}
}

// quotaFailsController has a controller want more pods than it may have, and then fewer.
func (d desk) quotaFailsController(t *testing.T) {
	q := d.limited(t)
	q.quota(t, "two", map[string]string{"pods": "2"})
	all := q.client.CoreV1().ReplicationControllers(q.ns)
	_, err := all.Create(t.Context(), &corev1.ReplicationController{ObjectMeta: metav1.ObjectMeta{Name: "three"}, Spec: corev1.ReplicationControllerSpec{
		Replicas: new(int32(3)), Selector: map[string]string{"a": "b"}, Template: template()}}, metav1.CreateOptions{})
	d.must(t, err)
	failing := func(want int) {
		eventually(t, stepTimeout, func() error {
			rc, err := all.Get(context.WithoutCancel(t.Context()), "three", metav1.GetOptions{})
			if err == nil && (len(rc.Status.Conditions) != want || rc.Status.ObservedGeneration != rc.Generation) {
				err = fmt.Errorf("status %+v", rc.Status)
			}
			return err
		})
	}
	failing(1)
	_, err = all.Patch(t.Context(), "three", types.MergePatchType, []byte(`{"spec":{"replicas":2}}`), metav1.PatchOptions{})
	d.must(t, err)
	failing(0)
}

func (d desk) quotaChanges(t *testing.T) {
	q := d.limited(t)
	all := q.client.CoreV1().ResourceQuotas(q.ns)
	made, err := all.Create(t.Context(), &corev1.ResourceQuota{ObjectMeta: metav1.ObjectMeta{Name: "test-quota"}, Spec: corev1.ResourceQuotaSpec{Hard: amountsOf(map[string]string{"cpu": "1", "memory": "500Mi"})}}, metav1.CreateOptions{})
	d.must(t, err)
	made.ResourceVersion = ""
	made.Spec.Hard = amountsOf(map[string]string{"cpu": "2", "memory": "1Gi"})
	changed, err := all.Update(t.Context(), made, metav1.UpdateOptions{})
	if err != nil || changed.Spec.Hard.Cpu().String() != "2" || changed.Spec.Hard.Memory().String() != "1Gi" {
		t.Fatalf("%+v, %v", changed, err)
	}
	d.must(t, all.Delete(t.Context(), "test-quota", metav1.DeleteOptions{}))
	if _, err := all.Get(t.Context(), "test-quota", metav1.GetOptions{}); !apierrors.IsNotFound(err) {
		t.Errorf("after the deletion: %v", err)
	}
}

func (d desk) quotaLives(t *testing.T) {
	q := d.limited(t)
	q.quota(t, q.ns, map[string]string{"cpu": "1", "memory": "500Mi"})
	mine := metav1.ListOptions{LabelSelector: "of=" + q.ns}
	if list, err := q.client.CoreV1().ResourceQuotas("").List(t.Context(), mine); err != nil || len(list.Items) != 1 {
		t.Fatalf("%+v, %v", list, err)
	}
	all := q.client.CoreV1().ResourceQuotas(q.ns)
	patched, err := all.Patch(t.Context(), q.ns, types.StrategicMergePatchType, []byte(`{"metadata":{"labels":{"patched":"yes"}},"spec":{"hard":{"memory":"750Mi"}}}`), metav1.PatchOptions{})
	if err != nil || patched.Labels["patched"] != "yes" || patched.Spec.Hard.Memory().String() != "750Mi" || patched.Spec.Hard.Cpu().String() != "1" {
		t.Fatalf("%+v, %v", patched, err)
	}
	d.must(t, all.DeleteCollection(t.Context(), metav1.DeleteOptions{}, mine))
	if _, err := all.Get(t.Context(), q.ns, metav1.GetOptions{}); !apierrors.IsNotFound(err) {
		t.Errorf("after the deletion: %v", err)
	}
}

func (d desk) quotaStatus(t *testing.T) {
	q := d.limited(t)
	q.quota(t, "status", map[string]string{"cpu": "500m", "memory": "500Mi"})
	all := q.client.CoreV1().ResourceQuotas(q.ns)
	var updated *corev1.ResourceQuota
	eventually(t, stepTimeout, func() error {
		made, err := all.Get(t.Context(), "status", metav1.GetOptions{})
		d.must(t, err)
		made.Status, made.Spec.Hard = corev1.ResourceQuotaStatus{Hard: amountsOf(map[string]string{"cpu": "400m", "memory": "400Mi"})}, nil
		updated, err = all.UpdateStatus(t.Context(), made, metav1.UpdateOptions{})
		return err
	})
	if updated.Status.Hard.Cpu().String() != "400m" || updated.Spec.Hard.Cpu().String() != "500m" {
		t.Errorf("%+v", updated)
	}
	_, err := all.Patch(t.Context(), "status", types.StrategicMergePatchType, []byte(`{"spec":{"hard":{"cpu":"1","memory":"1Gi"}}}`), metav1.PatchOptions{})
	d.must(t, err)
	eventually(t, stepTimeout, func() error { // the controller follows
		got, err := all.Get(t.Context(), "status", metav1.GetOptions{})
		if err == nil && (got.Status.Hard.Memory().String() != "1Gi" || len(got.Status.Used) != 2) {
			err = fmt.Errorf("status %+v", got.Status)
		}
		return err
	})
	patched, err := all.Patch(t.Context(), "status", types.StrategicMergePatchType, []byte(`{"spec":{"hard":{"cpu":"9"}},"status":{"hard":{"cpu":"2","memory":"2Gi"}}}`), metav1.PatchOptions{}, "status")
	if err != nil || patched.Status.Hard.Memory().String() != "2Gi" || patched.Spec.Hard.Cpu().String() != "1" {
		t.Errorf("%+v, %v", patched, err)
	}
}
