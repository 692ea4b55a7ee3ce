package usage

import (
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	quota "k8s.io/apiserver/pkg/quota/v1"
	"k8s.io/apiserver/pkg/quota/v1/generic"
	"k8s.io/utils/ptr"

	"laterna.dev/laterna/internal/clock"
)

func list(pairs ...string) corev1.ResourceList {
	l := corev1.ResourceList{}
	for i := 0; i < len(pairs); i += 2 {
		l[corev1.ResourceName(pairs[i])] = resource.MustParse(pairs[i+1])
	}
	return l
}

func registry() quota.Registry {
	return generic.NewRegistry(Evaluators(func(schema.GroupResource, string) ([]runtime.Object, error) { return nil, nil }, clock.Real()))
}

func pod(change func(*corev1.Pod)) *corev1.Pod {
	p := &corev1.Pod{Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "a", Resources: corev1.ResourceRequirements{
		Requests: list("cpu", "1", "example.com/d", "2", "hugepages-2Mi", "4Mi"), Limits: list("memory", "1Gi")}}}}}
	change(p)
	return p
}

func TestWhatObjectsUse(t *testing.T) {
	long := metav1.NewTime(time.Now().Add(-time.Hour))
	for name, tc := range map[string]struct {
		resource string
		obj      runtime.Object
		want     corev1.ResourceList
	}{
		"pod": {"pods", pod(func(*corev1.Pod) {}), list("count/pods", "1", "pods", "1", "cpu", "1", "requests.cpu", "1", "limits.memory", "1Gi",
			"requests.example.com/d", "2", "hugepages-2Mi", "4Mi", "requests.hugepages-2Mi", "4Mi")},
		"ended pod": {"pods", pod(func(p *corev1.Pod) { p.Status.Phase = corev1.PodSucceeded }), list("count/pods", "1")},
		"lost pod":  {"pods", pod(func(p *corev1.Pod) { p.DeletionTimestamp, p.DeletionGracePeriodSeconds = &long, ptr.To[int64](30) }), list("count/pods", "1")},
		"node port": {"services", &corev1.Service{Spec: corev1.ServiceSpec{Type: corev1.ServiceTypeNodePort, Ports: make([]corev1.ServicePort, 2)}}, list("count/services", "1", "services", "1", "services.nodeports", "2", "services.loadbalancers", "0")},
		"balancer": {"services", &corev1.Service{Spec: corev1.ServiceSpec{Type: corev1.ServiceTypeLoadBalancer, AllocateLoadBalancerNodePorts: new(bool), Ports: []corev1.ServicePort{{NodePort: 1}, {}}}},
			list("count/services", "1", "services", "1", "services.nodeports", "1", "services.loadbalancers", "1")},
		"claim": {"persistentvolumeclaims", &corev1.PersistentVolumeClaim{Spec: corev1.PersistentVolumeClaimSpec{StorageClassName: ptr.To("gold"), Resources: corev1.VolumeResourceRequirements{Requests: list("storage", "1500m")}}},
			list("count/persistentvolumeclaims", "1", "persistentvolumeclaims", "1", "requests.storage", "2", "gold.storageclass.storage.k8s.io/persistentvolumeclaims", "1", "gold.storageclass.storage.k8s.io/requests.storage", "2")},
		"secret": {"secrets", &corev1.Secret{}, list("count/secrets", "1", "secrets", "1")},
	} {
		t.Run(name, func(t *testing.T) {
			e := registry().Get(corev1.Resource(tc.resource))
			used, err := e.Usage(tc.obj)
			if err != nil || !quota.Equals(used, tc.want) || len(used) != len(tc.want) {
				t.Errorf("%v, %v, want %v", used, err, tc.want)
			}
			if named := e.MatchingResources(quota.ResourceNames(used)); len(named) != len(used) {
				t.Errorf("of %v only %v can be limited", used, named)
			}
		})
	}
}

func TestScopesOfPods(t *testing.T) {
	e := registry().Get(corev1.Resource("pods"))
	best := func(p *corev1.Pod) { p.Spec.Containers[0].Resources = corev1.ResourceRequirements{} }
	far := func(p *corev1.Pod) {
		p.Spec.Affinity = &corev1.Affinity{PodAntiAffinity: &corev1.PodAntiAffinity{PreferredDuringSchedulingIgnoredDuringExecution: []corev1.WeightedPodAffinityTerm{{PodAffinityTerm: corev1.PodAffinityTerm{Namespaces: []string{"n"}}}}}}
	}
	same := func(*corev1.Pod) {}
	for _, tc := range []struct {
		scope    corev1.ResourceQuotaScope
		operator corev1.ScopeSelectorOperator
		values   []string
		change   func(*corev1.Pod)
		want     bool
	}{
		{corev1.ResourceQuotaScopeBestEffort, "Exists", nil, best, true}, {corev1.ResourceQuotaScopeBestEffort, "Exists", nil, same, false},
		{corev1.ResourceQuotaScopeNotBestEffort, "Exists", nil, same, true}, {corev1.ResourceQuotaScopeNotTerminating, "Exists", nil, same, true},
		{corev1.ResourceQuotaScopeTerminating, "Exists", nil, func(p *corev1.Pod) { p.Spec.ActiveDeadlineSeconds = new(int64) }, true},
		{corev1.ResourceQuotaScopeCrossNamespacePodAffinity, "Exists", nil, far, true}, {corev1.ResourceQuotaScopeCrossNamespacePodAffinity, "Exists", nil, same, false},
		{corev1.ResourceQuotaScopePriorityClass, "In", []string{"a", "b"}, func(p *corev1.Pod) { p.Spec.PriorityClassName = "b" }, true},
		{corev1.ResourceQuotaScopePriorityClass, "In", []string{"a"}, same, false}, {corev1.ResourceQuotaScopePriorityClass, "NotIn", []string{"a"}, same, true},
		{corev1.ResourceQuotaScopePriorityClass, "Exists", nil, same, false}, {corev1.ResourceQuotaScopePriorityClass, "DoesNotExist", nil, same, true},
		{corev1.ResourceQuotaScopeVolumeAttributesClass, "Exists", nil, same, false},
	} {
		s := corev1.ScopedResourceSelectorRequirement{ScopeName: tc.scope, Operator: tc.operator, Values: tc.values}
		if in, err := e.MatchingScopes(pod(tc.change), []corev1.ScopedResourceSelectorRequirement{s}); err != nil || (len(in) == 1) != tc.want {
			t.Errorf("%v: %v, %v, want %v", s, in, err, tc.want)
		}
	}
}

func TestContainersSayWhatIsLimited(t *testing.T) {
	e := registry().Get(corev1.Resource("pods"))
	p := pod(func(p *corev1.Pod) { p.Spec.InitContainers = []corev1.Container{{Name: "i"}} })
	err := e.Constraints([]corev1.ResourceName{"cpu", "limits.memory", "requests.memory", "pods", "ephemeral-storage"}, p)
	if err == nil || err.Error() != "must specify cpu for: i; limits.memory for: i; requests.memory for: a,i" {
		t.Errorf("error %v", err)
	}
	p.Spec.Resources = &corev1.ResourceRequirements{Requests: list("cpu", "1")}
	if err := e.Constraints([]corev1.ResourceName{"memory"}, p); err != nil {
		t.Errorf("a pod that says so for all: %v", err)
	}
}
