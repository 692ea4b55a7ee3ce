package compat

import (
	"context"
	"fmt"
	"maps"
	"strconv"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/dynamic/dynamicinformer"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/tools/cache"
)

// followed is a kind that an informer of client-go follows, with what its handler was told.
type followed struct {
	resource schema.GroupVersionResource
	informer cache.SharedIndexInformer
	server   dynamic.ResourceInterface
	part     map[string]any // of an object, beside its metadata

	mu sync.Mutex
	// told is the version of each object that is there by what the handler was told, by UID.
	told  map[types.UID]int64
	gone  map[types.UID]bool
	wrong []string
	// synced is how far the informer had come at the last look.
	synced int64
}

func version(text string) int64 {
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return -1
	}
	return n
}

// OnAdd and its like implement cache.ResourceEventHandler.
func (f *followed) OnAdd(o any, _ bool) {
	f.tell("added", o, func(uid types.UID) bool { return f.told[uid] == 0 && !f.gone[uid] })
}

func (f *followed) OnUpdate(before, o any) {
	was, err := meta.Accessor(before)
	is, failed := meta.Accessor(o)
	if err == nil && failed == nil && was.GetUID() != is.GetUID() {
		// While the server was away one was deleted and another made with its name, which
		// client-go tells as an update.
		f.OnDelete(before)
		f.OnAdd(o, false)
		return
	}
	f.tell("updated", o, func(uid types.UID) bool { return f.told[uid] != 0 })
}

func (f *followed) OnDelete(o any) {
	if last, ok := o.(cache.DeletedFinalStateUnknown); ok {
		o = last.Obj
	}
	f.tell("deleted", o, func(uid types.UID) bool { return f.told[uid] != 0 })
	f.mu.Lock()
	defer f.mu.Unlock()
	if m, err := meta.Accessor(o); err == nil {
		delete(f.told, m.GetUID())
		f.gone[m.GetUID()] = true
	}
}

func (f *followed) tell(what string, o any, right func(types.UID) bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	m, err := meta.Accessor(o)
	if err != nil {
		f.wrong = append(f.wrong, err.Error())
		return
	}
	now := version(m.GetResourceVersion())
	if before := f.told[m.GetUID()]; !right(m.GetUID()) || now < before {
		f.wrong = append(f.wrong, fmt.Sprintf("%s %s at %d after %d, gone %v", m.GetName(), what, now, before, f.gone[m.GetUID()]))
	}
	f.told[m.GetUID()] = now
}

// followedNames is how many objects of each kind are written.
const followedNames = 12

// write makes, changes and deletes objects, one after the other, until ctx ends. What fails
// while the server is away is not tried again.
func (f *followed) write(ctx context.Context) {
	for n := 0; ctx.Err() == nil; n++ {
		name := fmt.Sprintf("followed-%d", n%followedNames)
		try, cancel := context.WithTimeout(ctx, 5*time.Second)
		o := &unstructured.Unstructured{Object: runtime.DeepCopyJSON(f.part)}
		o.SetName(name)
		o.SetLabels(map[string]string{"n": strconv.Itoa(n)})
		_, err := f.server.Create(try, o, metav1.CreateOptions{})
		switch {
		case err == nil:
		case n/followedNames%3 == 2:
			err = f.server.Delete(try, name, metav1.DeleteOptions{})
		default:
			_, err = f.server.Patch(try, name, types.MergePatchType, []byte(fmt.Sprintf(`{"metadata":{"labels":{"n":"%d"}}}`, n)), metav1.PatchOptions{})
		}
		cancel()
		if err != nil {
			time.Sleep(20 * time.Millisecond)
		}
	}
}

// behind says where the informer, or its handler, has another state than the server; nil if
// both know all that is there.
func (f *followed) behind(ctx context.Context) error {
	list, err := f.server.List(ctx, metav1.ListOptions{})
	if err != nil {
		return err
	}
	there := map[types.UID]int64{}
	for _, o := range list.Items {
		there[o.GetUID()] = version(o.GetResourceVersion())
	}
	stored := map[types.UID]int64{}
	for _, o := range f.informer.GetStore().List() {
		m, err := meta.Accessor(o)
		if err != nil {
			return err
		}
		stored[m.GetUID()] = version(m.GetResourceVersion())
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if !maps.Equal(stored, there) || !maps.Equal(f.told, there) {
		return fmt.Errorf("%s: the server has %v, the informer %v, its handler was told of %v", f.resource.Resource, there, stored, f.told)
	}
	now := version(f.informer.LastSyncResourceVersion())
	if now < f.synced {
		f.wrong = append(f.wrong, fmt.Sprintf("the informer was at %d and is at %d", f.synced, now))
	}
	f.synced = now
	return nil
}

// TestInformersOutliveAKilledServer follows kinds with client-go's informers while they are
// written and the server is killed again and again. Each time the informers come to know
// what the server has: nothing is missed, nothing rises again, no version goes back.
func TestInformersOutliveAKilledServer(t *testing.T) {
	t.Parallel()
	rounds := 3
	if soak() {
		rounds = 60
	}
	s := started(t, "--node=false")
	s.sh(t, "kubectl apply -f - <<'END'\n"+`apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: followeds.informers.example.com}
spec:
  group: informers.example.com
  scope: Namespaced
  names: {plural: followeds, singular: followed, kind: Followed}
  versions: [{name: v1, served: true, storage: true, schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}}]
END
kubectl wait --for=condition=Established crd/followeds.informers.example.com`)
	config := s.config(t)
	config.QPS = -1
	client, err := dynamic.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	typed, custom := informers.NewSharedInformerFactory(s.client(t), 0), dynamicinformer.NewDynamicSharedInformerFactory(client, 0)
	core := corev1.SchemeGroupVersion.WithResource
	things := schema.GroupVersionResource{Group: "informers.example.com", Version: "v1", Resource: "followeds"}
	all := []*followed{
		{resource: core("configmaps"), informer: typed.Core().V1().ConfigMaps().Informer(), part: part{"apiVersion": "v1", "kind": "ConfigMap"}},
		{resource: core("secrets"), informer: typed.Core().V1().Secrets().Informer(), part: part{"apiVersion": "v1", "kind": "Secret"}},
		{resource: core("serviceaccounts"), informer: typed.Core().V1().ServiceAccounts().Informer(), part: part{"apiVersion": "v1", "kind": "ServiceAccount"}},
		{resource: core("limitranges"), informer: typed.Core().V1().LimitRanges().Informer(), part: part{"apiVersion": "v1", "kind": "LimitRange"}}, // the store itself answers
		{resource: things, informer: custom.ForResource(things).Informer(), part: part{"apiVersion": "informers.example.com/v1", "kind": "Followed"}},
	}
	ctx, end := context.WithCancel(t.Context())
	var running sync.WaitGroup
	defer running.Wait()
	defer end()
	for _, f := range all {
		f.server, f.told, f.gone = everywhere{client.Resource(f.resource)}, map[types.UID]int64{}, map[types.UID]bool{}
		if _, err := f.informer.AddEventHandler(f); err != nil {
			t.Fatal(err)
		}
		running.Go(func() { f.informer.RunWithContext(ctx) })
	}
	for round := range rounds {
		writing, stop := context.WithCancel(ctx)
		var writers sync.WaitGroup
		for _, f := range all {
			writers.Go(func() { f.write(writing) })
		}
		time.Sleep(time.Duration(500+137*round%400) * time.Millisecond)
		s.Kill()
		if err := s.Start(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(300 * time.Millisecond) // of more writes
		stop()
		writers.Wait()
		for _, f := range all {
			eventually(t, stepTimeout, func() error { return f.behind(ctx) })
		}
	}
	for _, f := range all {
		if len(f.wrong) > 0 || len(f.gone) == 0 {
			t.Errorf("%s, %d deleted: %v", f.resource.Resource, len(f.gone), f.wrong[:min(len(f.wrong), 5)])
		}
	}
	if used := s.metric(t, "apiserver_watch_list_duration_seconds_count", ""); used == 0 {
		t.Error("no informer has begun with a watch list")
	}
}

// everywhere writes to the namespace default and lists all.
type everywhere struct {
	dynamic.NamespaceableResourceInterface
}

func (e everywhere) Create(ctx context.Context, o *unstructured.Unstructured, options metav1.CreateOptions, sub ...string) (*unstructured.Unstructured, error) {
	return e.Namespace("default").Create(ctx, o, options, sub...)
}

func (e everywhere) Delete(ctx context.Context, name string, options metav1.DeleteOptions, sub ...string) error {
	return e.Namespace("default").Delete(ctx, name, options, sub...)
}

func (e everywhere) Patch(ctx context.Context, name string, kind types.PatchType, data []byte, options metav1.PatchOptions, sub ...string) (*unstructured.Unstructured, error) {
	return e.Namespace("default").Patch(ctx, name, kind, data, options, sub...)
}
