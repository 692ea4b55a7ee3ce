package podprojection

import (
	"context"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"

	"laterna.dev/laterna/api/projection/v1alpha1"
)

// api reads and writes objects.
type api struct{ rest rest.Interface }

// discover returns NotFound where the server does not know the group.
func (a api) discover(ctx context.Context) error {
	return a.rest.Get().AbsPath("/apis", v1alpha1.SchemeGroupVersion.Group, v1alpha1.SchemeGroupVersion.Version).Do(ctx).Error()
}

func (a api) get(ctx context.Context, namespace, name string) (*v1alpha1.PodProjection, error) {
	return into(a.rest.Get().Namespace(namespace).Resource(v1alpha1.Plural).Name(name).Do(ctx))
}

func (a api) create(ctx context.Context, p *v1alpha1.PodProjection) (*v1alpha1.PodProjection, error) {
	return into(a.rest.Post().Namespace(p.Namespace).Resource(v1alpha1.Plural).Body(p).Do(ctx))
}

func (a api) update(ctx context.Context, p *v1alpha1.PodProjection) (*v1alpha1.PodProjection, error) {
	return into(a.rest.Put().Namespace(p.Namespace).Resource(v1alpha1.Plural).Name(p.Name).Body(p).Do(ctx))
}

func (a api) remove(ctx context.Context, namespace, name string, uid types.UID) error {
	options := &metav1.DeleteOptions{Preconditions: &metav1.Preconditions{UID: &uid}}
	return a.rest.Delete().Namespace(namespace).Resource(v1alpha1.Plural).Name(name).Body(options).Do(ctx).Error()
}

// into decodes an answer. Who manages which field is left out: the server keeps that by
// itself, and it is most of an object.
func into(result rest.Result) (*v1alpha1.PodProjection, error) {
	p := &v1alpha1.PodProjection{}
	if err := result.Into(p); err != nil {
		return nil, err
	}
	p.ManagedFields = nil
	return p, nil
}
