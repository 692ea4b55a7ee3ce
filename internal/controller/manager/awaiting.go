package manager

import (
	"context"
	"fmt"
	"reflect"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	certificatesv1 "k8s.io/api/certificates/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/informers"

	"laterna.dev/laterna/internal/controller/certificates"
	"laterna.dev/laterna/internal/controller/cronjob"
	"laterna.dev/laterna/internal/controller/daemonset"
	"laterna.dev/laterna/internal/controller/deployment"
	"laterna.dev/laterna/internal/controller/disruption"
	"laterna.dev/laterna/internal/controller/job"
	"laterna.dev/laterna/internal/controller/policystatus"
	"laterna.dev/laterna/internal/controller/replicaset"
	"laterna.dev/laterna/internal/controller/resourcequota"
	"laterna.dev/laterna/internal/controller/rolloutonchange"
	"laterna.dev/laterna/internal/controller/statefulset"
	"laterna.dev/laterna/internal/controller/ttlafterfinished"
)

// worksOn returns the resources without any object of which a controller has nothing to do,
// none for one that always has. Finished pods of a Job that is gone are let go by its
// controller, and a disruption that did not come is taken back with and without budgets: both
// work on pods, too.
func worksOn(controller string) []schema.GroupResource {
	switch controller {
	case daemonset.Name:
		return []schema.GroupResource{appsv1.Resource("daemonsets")}
	case statefulset.Name:
		return []schema.GroupResource{appsv1.Resource("statefulsets")}
	case deployment.Name:
		return []schema.GroupResource{appsv1.Resource("deployments")}
	case replicaset.Name:
		return []schema.GroupResource{appsv1.Resource("replicasets")}
	case replicaset.ReplicationName:
		return []schema.GroupResource{corev1.Resource("replicationcontrollers")}
	case rolloutonchange.Name:
		return []schema.GroupResource{appsv1.Resource("deployments"), appsv1.Resource("statefulsets"), appsv1.Resource("daemonsets")}
	case job.Name:
		return []schema.GroupResource{batchv1.Resource("jobs"), corev1.Resource("pods")}
	case cronjob.Name:
		return []schema.GroupResource{batchv1.Resource("cronjobs")}
	case ttlafterfinished.Name:
		return []schema.GroupResource{batchv1.Resource("jobs")}
	case disruption.Name:
		return []schema.GroupResource{policyv1.Resource("poddisruptionbudgets"), corev1.Resource("pods")}
	case resourcequota.Name:
		return []schema.GroupResource{corev1.Resource("resourcequotas")}
	case certificates.Name:
		return []schema.GroupResource{certificatesv1.Resource("certificatesigningrequests")}
	case policystatus.Name:
		return []schema.GroupResource{admissionregistrationv1.Resource("validatingadmissionpolicies")}
	}
	return nil
}

// awaiting is a controller that begins with the first object that it works on: until then
// it costs neither a client nor a cache nor workers.
type awaiting struct {
	name   string
	stored []<-chan struct{}
	begin  func(context.Context) (runner, error)
}

// await returns a controller that waits for one of some resources. Caches that are shared
// begin with the first controller that asks for them.
func (m *Manager) await(b builder, on []schema.GroupResource, shared informers.SharedInformerFactory) *awaiting {
	a := &awaiting{name: b.name, begin: func(ctx context.Context) (runner, error) {
		g, err := m.give(b.name, shared)
		if err != nil {
			return nil, err
		}
		// What controllers share, such as the indexes of a cache, is made by the first that
		// asks, so that they are made one at a time.
		m.making.Lock()
		defer m.making.Unlock()
		r, err := b.build(g)
		shared.Start(ctx.Done())
		return r, err
	}}
	for _, r := range on {
		a.stored = append(a.stored, m.config.Stored(r))
	}
	return a
}

// Run waits, and runs the controller until ctx ends.
func (a *awaiting) Run(ctx context.Context) error {
	if !anyOf(ctx, a.stored) {
		return nil
	}
	r, err := a.begin(ctx)
	if err == nil {
		err = r.Run(ctx)
	}
	if err != nil && ctx.Err() == nil {
		return fmt.Errorf("%s: %w", a.name, err)
	}
	return nil
}

// anyOf waits until one of some channels is closed. It returns false when ctx ends before.
func anyOf(ctx context.Context, all []<-chan struct{}) bool {
	cases := []reflect.SelectCase{{Dir: reflect.SelectRecv, Chan: reflect.ValueOf(ctx.Done())}}
	for _, c := range all {
		cases = append(cases, reflect.SelectCase{Dir: reflect.SelectRecv, Chan: reflect.ValueOf(c)})
	}
	chosen, _, _ := reflect.Select(cases)
	return chosen > 0
}
