package disruption

import (
	"context"
	"fmt"
	"sync"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	autoscalingv1 "k8s.io/api/autoscaling/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/restmapper"

	"laterna.dev/laterna/internal/clock"
)

// relearn is how often the server may be asked again for kinds that were not known.
const relearn = 10 * time.Second

// scales asks the server for the scale of any kind that has one.
type scales struct {
	client kubernetes.Interface
	wall   clock.Wall

	mu      sync.Mutex
	mapper  meta.RESTMapper
	learned time.Time
}

// of returns the scale of a pod's controller, nil where that is not there. Of a replica
// set that a Deployment has made, it is the Deployment's, so that the pods of two of its
// replica sets count once.
func (s *scales) of(ctx context.Context, namespace string, controller metav1.OwnerReference) (*scale, error) {
	gv, err := schema.ParseGroupVersion(controller.APIVersion)
	if err != nil {
		return nil, err
	}
	if controller.Kind == "ReplicaSet" && gv.Group == appsv1.GroupName {
		deployment, err := s.deployment(ctx, namespace, controller)
		if deployment != nil || err != nil {
			return deployment, err
		}
	}
	return s.get(ctx, namespace, gv.WithKind(controller.Kind), controller)
}

// deployment returns the scale of the Deployment that made a replica set, nil for none.
func (s *scales) deployment(ctx context.Context, namespace string, set metav1.OwnerReference) (*scale, error) {
	rs, err := s.client.AppsV1().ReplicaSets(namespace).Get(ctx, set.Name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) || err == nil && rs.UID != set.UID {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	ref := metav1.GetControllerOf(rs)
	if ref == nil {
		return nil, nil
	}
	gv, err := schema.ParseGroupVersion(ref.APIVersion)
	if err != nil || ref.Kind != "Deployment" || gv.Group != appsv1.GroupName {
		return nil, err
	}
	return s.get(ctx, namespace, gv.WithKind(ref.Kind), *ref)
}

func (s *scales) get(ctx context.Context, namespace string, kind schema.GroupVersionKind, ref metav1.OwnerReference) (*scale, error) {
	mapping, err := s.mapping(kind)
	if err != nil {
		return nil, err
	}
	at := mapping.Resource
	path := "/apis/" + at.Group + "/" + at.Version
	if at.Group == "" {
		path = "/api/" + at.Version
	}
	var found autoscalingv1.Scale
	err = s.client.Discovery().RESTClient().Get().AbsPath(path, "namespaces", namespace, at.Resource, ref.Name, "scale").Do(ctx).Into(&found)
	switch {
	case apierrors.IsNotFound(err):
		has, err := s.scalable(at)
		if err != nil {
			return nil, err
		}
		if !has {
			return nil, fmt.Errorf("%s does not implement the scale subresource", at.GroupResource())
		}
		return nil, nil
	case err != nil:
		return nil, err
	case found.UID != ref.UID:
		return nil, nil
	}
	return &scale{found.UID, found.Spec.Replicas}, nil
}

// scalable tells whether a resource has a scale.
func (s *scales) scalable(at schema.GroupVersionResource) (bool, error) {
	list, err := s.client.Discovery().ServerResourcesForGroupVersion(at.GroupVersion().String())
	if err != nil {
		return false, err
	}
	for _, r := range list.APIResources {
		if r.Name == at.Resource+"/scale" && r.Kind == "Scale" {
			return true, nil
		}
	}
	return false, nil
}

// mapping returns where a kind is served. A kind that is not known may be a new one.
func (s *scales) mapping(kind schema.GroupVersionKind) (*meta.RESTMapping, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.mapper != nil {
		found, err := s.mapper.RESTMapping(kind.GroupKind(), kind.Version)
		if !meta.IsNoMatchError(err) || s.wall.Since(s.learned) < relearn {
			return found, err
		}
	}
	groups, err := restmapper.GetAPIGroupResources(s.client.Discovery())
	if err != nil {
		return nil, fmt.Errorf("discovering resources: %w", err)
	}
	s.mapper, s.learned = restmapper.NewDiscoveryRESTMapper(groups), s.wall.Now()
	return s.mapper.RESTMapping(kind.GroupKind(), kind.Version)
}
