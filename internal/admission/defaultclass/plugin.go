// Package defaultclass gives new claims and ingresses that name no class the default one:
// the DefaultStorageClass and DefaultIngressClass admission of Kubernetes. Classes live in
// internal/registry/storage/storageclass and internal/registry/networking/ingressclass.
package defaultclass

import (
	"cmp"
	"context"
	"slices"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	storagev1 "k8s.io/api/storage/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apiserver/pkg/admission"
	"k8s.io/client-go/kubernetes"
	volumehelper "k8s.io/component-helpers/storage/volume"
)

// ingressAnnotation names the class of an ingress in an older way.
const ingressAnnotation = "kubernetes.io/ingress.class"

// storageAnnotations mark the default class of storage.
var storageAnnotations = [...]string{"storageclass.kubernetes.io/is-default-class", "storageclass.beta.kubernetes.io/is-default-class"}

// Plugin admits new claims and ingresses. Its methods may be called concurrently.
type Plugin struct {
	*admission.Handler
	client kubernetes.Interface
}

var _ admission.MutationInterface = &Plugin{}

// New returns the plugin. It reads the classes with client, for those objects alone that
// name none: a class whose creation was answered counts.
func New(client kubernetes.Interface) *Plugin {
	return &Plugin{admission.NewHandler(admission.Create), client}
}

// Admit implements admission.MutationInterface.
func (p *Plugin) Admit(ctx context.Context, a admission.Attributes, _ admission.ObjectInterfaces) error {
	if a.GetSubresource() != "" {
		return nil
	}
	var err error
	switch o := a.GetObject().(type) {
	case *corev1.PersistentVolumeClaim:
		if !volumehelper.PersistentVolumeClaimHasClass(o) {
			o.Spec.StorageClassName, err = p.storage(ctx)
		}
	case *networkingv1.Ingress:
		if _, named := o.Annotations[ingressAnnotation]; !named && o.Spec.IngressClassName == nil {
			o.Spec.IngressClassName, err = p.ingress(ctx)
		}
	}
	if err != nil {
		return admission.NewForbidden(a, err)
	}
	return nil
}

// storage returns the name of the default class of storage, nil where there is none.
func (p *Plugin) storage(ctx context.Context) (*string, error) {
	list, err := p.client.StorageV1().StorageClasses().List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil, err
	}
	return newest(list.Items, func(c *storagev1.StorageClass) *metav1.ObjectMeta { return &c.ObjectMeta }, storageAnnotations[:]), nil
}

// ingress returns the name of the default class of ingresses, nil where there is none.
func (p *Plugin) ingress(ctx context.Context) (*string, error) {
	list, err := p.client.NetworkingV1().IngressClasses().List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil, err
	}
	return newest(list.Items, func(c *networkingv1.IngressClass) *metav1.ObjectMeta { return &c.ObjectMeta }, []string{networkingv1.AnnotationIsDefaultIngressClass}), nil
}

// newest returns the name of the class that is marked as the default, of several the one
// that was made last, and of those the first by name.
func newest[C any](all []C, meta func(*C) *metav1.ObjectMeta, annotations []string) *string {
	var marked []*metav1.ObjectMeta
	for i := range all {
		m := meta(&all[i])
		if slices.ContainsFunc(annotations, func(a string) bool { return m.Annotations[a] == "true" }) {
			marked = append(marked, m)
		}
	}
	if len(marked) == 0 {
		return nil
	}
	best := slices.MinFunc(marked, func(a, b *metav1.ObjectMeta) int {
		return cmp.Or(b.CreationTimestamp.Compare(a.CreationTimestamp.Time), cmp.Compare(a.Name, b.Name))
	})
	return &best.Name
}
