package apiservice

import (
	"context"
	"fmt"
	"strconv"

	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metainternal "k8s.io/apimachinery/pkg/apis/meta/internalversion"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/apiserver/pkg/registry/rest"
	"k8s.io/apiserver/pkg/util/flowcontrol"
	apiregistrationv1 "k8s.io/kube-aggregator/pkg/apis/apiregistration/v1"

	"laterna.dev/laterna/internal/registry/resource"
)

// Plural is the resource.
const Plural = "apiservices"

// storage answers from the book. Nothing can be written: there is one object for what is
// served, and no other.
type storage struct {
	rest.TableConvertor
	book *Book
}

var (
	_ rest.Getter               = &storage{}
	_ rest.Lister               = &storage{}
	_ rest.Watcher              = &storage{}
	_ rest.CreaterUpdater       = &storage{}
	_ rest.Patcher              = &storage{}
	_ rest.GracefulDeleter      = &storage{}
	_ rest.CategoriesProvider   = &storage{}
	_ rest.SingularNameProvider = &storage{}
	_ rest.Scoper               = &storage{}
)

// Storages returns what answers, by path.
func (b *Book) Storages() map[string]rest.Storage {
	return map[string]rest.Storage{Plural: &storage{resource.NewTableConvertor(columns()), b}}
}

func columns() resource.Columns[*service] {
	return resource.Columns[*service]{
		Columns: []resource.Column{
			resource.Name(),
			{Name: "Service", Type: "string", Description: "The reference to the service that hosts this API endpoint."},
			{Name: "Available", Type: "string", Description: "Whether this service is available."},
			resource.AgeColumn(),
		},
		Row: func(s *service) []any { return []any{s.Name, "Local", "True", resource.Age(s)} },
	}
}

// New implements rest.Storage.
func (*storage) New() runtime.Object { return &service{} }

// NewList implements rest.Lister.
func (*storage) NewList() runtime.Object { return &apiregistrationv1.APIServiceList{} }

// Destroy implements rest.Storage; there is nothing to release.
func (*storage) Destroy() {}

// NamespaceScoped implements rest.Scoper.
func (*storage) NamespaceScoped() bool { return false }

// GetSingularName implements rest.SingularNameProvider.
func (*storage) GetSingularName() string { return "apiservice" }

// Categories implements rest.CategoriesProvider.
func (*storage) Categories() []string { return []string{"api-extensions"} }

// Get implements rest.Getter.
func (s *storage) Get(_ context.Context, name string, _ *metav1.GetOptions) (runtime.Object, error) {
	if found := s.book.get(name); found != nil {
		return found, nil
	}
	return nil, apierrors.NewNotFound(apiregistrationv1.Resource(Plural), name)
}

// List implements rest.Lister. A list is always whole.
func (s *storage) List(_ context.Context, o *metainternal.ListOptions) (runtime.Object, error) {
	all, revision := s.book.list()
	list, selects := &apiregistrationv1.APIServiceList{}, resource.Selects[*service](o)
	list.ResourceVersion = strconv.FormatInt(revision, 10)
	list.Items = []service{}
	for _, one := range all {
		if selects(one) {
			list.Items = append(list.Items, *one)
		}
	}
	return list, nil
}

// Watch implements rest.Watcher.
func (s *storage) Watch(ctx context.Context, o *metainternal.ListOptions) (watch.Interface, error) {
	defer flowcontrol.WatchInitialized(ctx) // it takes no seat from others
	return s.book.watch(o, resource.Selects[*service](o))
}

// Create implements rest.Creater: it refuses.
func (s *storage) Create(_ context.Context, obj runtime.Object, _ rest.ValidateObjectFunc, _ *metav1.CreateOptions) (runtime.Object, error) {
	asked, ok := obj.(*service)
	if !ok {
		return nil, apierrors.NewBadRequest(fmt.Sprintf("not an APIService: %T", obj))
	}
	if s.book.get(asked.Name) != nil && asked.Spec.Service == nil {
		return nil, apierrors.NewAlreadyExists(apiregistrationv1.Resource(Plural), asked.Name)
	}
	return nil, refuse(asked)
}

// Update implements rest.Updater: it refuses what would change something.
func (s *storage) Update(ctx context.Context, name string, change rest.UpdatedObjectInfo, _ rest.ValidateObjectFunc, _ rest.ValidateObjectUpdateFunc, create bool, _ *metav1.UpdateOptions) (runtime.Object, bool, error) {
	now := s.book.get(name)
	if now == nil && !create {
		return nil, false, apierrors.NewNotFound(apiregistrationv1.Resource(Plural), name)
	}
	before := now
	if before == nil {
		before = &service{}
	}
	obj, err := change.UpdatedObject(ctx, before.DeepCopy())
	if err != nil {
		return nil, false, err
	}
	asked, ok := obj.(*service)
	if !ok {
		return nil, false, apierrors.NewBadRequest(fmt.Sprintf("not an APIService: %T", obj))
	}
	if now != nil && equality.Semantic.DeepEqual(asked.Spec, now.Spec) && equality.Semantic.DeepEqual(asked.Labels, now.Labels) &&
		equality.Semantic.DeepEqual(asked.Annotations, now.Annotations) {
		return now, false, nil
	}
	if now != nil && asked.Spec.Service == nil {
		return nil, false, apierrors.NewForbidden(apiregistrationv1.Resource(Plural), name, fmt.Errorf("%s, and nothing of the object can be changed", because(now)))
	}
	return nil, false, refuse(asked)
}

// Delete implements rest.GracefulDeleter: what is served stays.
func (s *storage) Delete(_ context.Context, name string, _ rest.ValidateObjectFunc, _ *metav1.DeleteOptions) (runtime.Object, bool, error) {
	found := s.book.get(name)
	if found == nil {
		return nil, false, apierrors.NewNotFound(apiregistrationv1.Resource(Plural), name)
	}
	return nil, false, apierrors.NewForbidden(apiregistrationv1.Resource(Plural), name, fmt.Errorf("%s; it goes when that ends, for custom resources with their CustomResourceDefinitions", because(found)))
}

// because says why there is an object.
func because(s *service) string {
	return fmt.Sprintf("the object says that this server itself serves %s", schema.GroupVersion{Group: s.Spec.Group, Version: s.Spec.Version})
}

// refuse says why an object cannot be, and what to do instead.
func refuse(asked *service) error {
	gv := schema.GroupVersion{Group: asked.Spec.Group, Version: asked.Spec.Version}
	if asked.Spec.Service == nil {
		return invalid(asked, field.Forbidden(field.NewPath("spec"), fmt.Sprintf(
			"APIServices cannot be written: this server has one for each group-version that it serves, and serves %s only where a CustomResourceDefinition says so", gv)))
	}
	why := fmt.Sprintf("API servers behind a Service are not supported: this server has no aggregation layer, so requests for %s would not reach %s/%s. Leave this object out of the manifest", gv, asked.Spec.Service.Namespace, asked.Spec.Service.Name)
	if gv.Group == "metrics.k8s.io" {
		why += "; metrics of pods and nodes are not served and nothing scales by them, so metrics-server is of no use here (laterna top shows pods and volumes)"
	} else {
		why += " and, where the group's kinds are only stored, define them by CustomResourceDefinitions"
	}
	return invalid(asked, field.Forbidden(field.NewPath("spec", "service"), why))
}

func invalid(asked *service, err *field.Error) error {
	return apierrors.NewInvalid(Version.WithKind("APIService").GroupKind(), asked.Name, field.ErrorList{err})
}
