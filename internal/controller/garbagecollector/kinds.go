package garbagecollector

import (
	"fmt"
	"slices"
	"sync"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/tools/cache"

	iamv1alpha1 "laterna.dev/laterna/api/iam/v1alpha1"
)

// kind is one kind of objects and where they are served.
type kind struct {
	apiVersion, name string
	resource         schema.GroupVersionResource
	namespaced       bool
}

// kinds is which there are, in every version that is served. It is safe for concurrent
// use.
type kinds struct {
	mu  sync.RWMutex
	all map[[2]string]kind // by apiVersion and name
}

func (k *kinds) find(apiVersion, name string) (found kind, ok bool) {
	k.mu.RLock()
	defer k.mu.RUnlock()
	found, ok = k.all[[2]string{apiVersion, name}]
	return found, ok
}

// set replaces what there is and tells whether anything is new.
func (k *kinds) set(all map[[2]string]kind) (more bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for name, found := range all {
		if k.all[name] != found {
			more = true
		}
	}
	k.all = all
	return more
}

// ignored are resources that are not collected: they own nothing, nothing owns them, and
// they are many, or what the server makes of itself.
var ignored = []schema.GroupResource{
	{Resource: "events"}, {Group: "events.k8s.io", Resource: "events"},
	{Group: "apiregistration.k8s.io", Resource: "apiservices"},
	iamv1alpha1.Resource(iamv1alpha1.Roles), iamv1alpha1.Resource(iamv1alpha1.Policies), iamv1alpha1.Resource(iamv1alpha1.OpenIDConnectProviders),
}

// discover asks the server for all kinds, and for those whose objects can be owned or
// collected, each in one version. Kinds that it could not tell of, such as those of an
// aggregated server that is down, are missing, and err says so.
func discover(client discovery.DiscoveryInterface) (all map[[2]string]kind, collected []kind, err error) {
	_, lists, err := client.ServerGroupsAndResources()
	if lists == nil {
		return nil, nil, fmt.Errorf("discovering resources: %w", err)
	}
	all = map[[2]string]kind{}
	for _, l := range lists {
		each(l, func(k kind, _ []string) { all[[2]string{k.apiVersion, k.name}] = k })
	}
	preferred, err := client.ServerPreferredResources()
	for _, l := range preferred {
		each(l, func(k kind, verbs []string) {
			if !slices.Contains(ignored, k.resource.GroupResource()) &&
				slices.Contains(verbs, "list") && slices.Contains(verbs, "watch") && slices.Contains(verbs, "delete") {
				collected = append(collected, k)
			}
		})
	}
	if err != nil {
		err = fmt.Errorf("discovering resources: %w", err)
	}
	return all, collected, err
}

// each calls f with the resources of a list that are no subresources.
func each(l *metav1.APIResourceList, f func(k kind, verbs []string)) {
	gv, err := schema.ParseGroupVersion(l.GroupVersion)
	if err != nil {
		return
	}
	for _, r := range l.APIResources {
		if slices.Contains([]byte(r.Name), '/') {
			continue
		}
		f(kind{l.GroupVersion, r.Kind, gv.WithResource(r.Name), r.Namespaced}, r.Verbs)
	}
}

// shared are the caches that other controllers fill where there are objects of a kind. A
// kind that is not among them is watched by the collector itself.
func shared(f informers.SharedInformerFactory) map[schema.GroupVersionResource]func() cache.SharedIndexInformer {
	core, apps, batch := f.Core().V1(), f.Apps().V1(), f.Batch().V1()
	of := corev1.SchemeGroupVersion.WithResource
	inApps, inBatch := appsv1.SchemeGroupVersion.WithResource, batchv1.SchemeGroupVersion.WithResource
	return map[schema.GroupVersionResource]func() cache.SharedIndexInformer{
		of("endpoints"):               func() cache.SharedIndexInformer { return core.Endpoints().Informer() },
		of("namespaces"):              func() cache.SharedIndexInformer { return core.Namespaces().Informer() },
		of("nodes"):                   func() cache.SharedIndexInformer { return core.Nodes().Informer() },
		of("persistentvolumeclaims"):  func() cache.SharedIndexInformer { return core.PersistentVolumeClaims().Informer() },
		of("pods"):                    func() cache.SharedIndexInformer { return core.Pods().Informer() },
		of("replicationcontrollers"):  func() cache.SharedIndexInformer { return core.ReplicationControllers().Informer() },
		of("serviceaccounts"):         func() cache.SharedIndexInformer { return core.ServiceAccounts().Informer() },
		of("services"):                func() cache.SharedIndexInformer { return core.Services().Informer() },
		inApps("controllerrevisions"): func() cache.SharedIndexInformer { return apps.ControllerRevisions().Informer() },
		inApps("daemonsets"):          func() cache.SharedIndexInformer { return apps.DaemonSets().Informer() },
		inApps("deployments"):         func() cache.SharedIndexInformer { return apps.Deployments().Informer() },
		inApps("replicasets"):         func() cache.SharedIndexInformer { return apps.ReplicaSets().Informer() },
		inApps("statefulsets"):        func() cache.SharedIndexInformer { return apps.StatefulSets().Informer() },
		inBatch("cronjobs"):           func() cache.SharedIndexInformer { return batch.CronJobs().Informer() },
		inBatch("jobs"):               func() cache.SharedIndexInformer { return batch.Jobs().Informer() },
		policyv1.SchemeGroupVersion.WithResource("poddisruptionbudgets"): func() cache.SharedIndexInformer {
			return f.Policy().V1().PodDisruptionBudgets().Informer()
		},
		discoveryv1.SchemeGroupVersion.WithResource("endpointslices"): func() cache.SharedIndexInformer {
			return f.Discovery().V1().EndpointSlices().Informer()
		},
	}
}
