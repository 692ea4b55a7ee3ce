package objects

import (
	"context"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/kubernetes"
)

// source reads one kind of object from the API.
type source struct {
	get func(context.Context, Key) (metav1.Object, error)
	// list returns the object of that name, nil when there is none, and the version
	// of the answer.
	list  func(context.Context, Key) (object metav1.Object, version string, err error)
	watch func(ctx context.Context, key Key, version string) (watch.Interface, error)
}

func sourcesOf(client kubernetes.Interface) map[Kind]source {
	core := client.CoreV1()
	return map[Kind]source{
		Secret: {
			get: func(ctx context.Context, k Key) (metav1.Object, error) {
				return some(core.Secrets(k.Namespace).Get(ctx, k.Name, metav1.GetOptions{}))
			},
			list: func(ctx context.Context, k Key) (metav1.Object, string, error) {
				l, err := core.Secrets(k.Namespace).List(ctx, selecting(k, ""))
				if err != nil {
					return nil, "", err
				}
				return pick(l.Items, k, func(s *corev1.Secret) metav1.Object { return s }), l.ResourceVersion, nil
			},
			watch: func(ctx context.Context, k Key, version string) (watch.Interface, error) {
				return core.Secrets(k.Namespace).Watch(ctx, selecting(k, version))
			},
		},
		ConfigMap: {
			get: func(ctx context.Context, k Key) (metav1.Object, error) {
				return some(core.ConfigMaps(k.Namespace).Get(ctx, k.Name, metav1.GetOptions{}))
			},
			list: func(ctx context.Context, k Key) (metav1.Object, string, error) {
				l, err := core.ConfigMaps(k.Namespace).List(ctx, selecting(k, ""))
				if err != nil {
					return nil, "", err
				}
				return pick(l.Items, k, func(m *corev1.ConfigMap) metav1.Object { return m }), l.ResourceVersion, nil
			},
			watch: func(ctx context.Context, k Key, version string) (watch.Interface, error) {
				return core.ConfigMaps(k.Namespace).Watch(ctx, selecting(k, version))
			},
		},
		ServiceAccount: {
			get: func(ctx context.Context, k Key) (metav1.Object, error) {
				return some(core.ServiceAccounts(k.Namespace).Get(ctx, k.Name, metav1.GetOptions{}))
			},
			list: func(ctx context.Context, k Key) (metav1.Object, string, error) {
				l, err := core.ServiceAccounts(k.Namespace).List(ctx, selecting(k, ""))
				if err != nil {
					return nil, "", err
				}
				return pick(l.Items, k, func(a *corev1.ServiceAccount) metav1.Object { return a }), l.ResourceVersion, nil
			},
			watch: func(ctx context.Context, k Key, version string) (watch.Interface, error) {
				return core.ServiceAccounts(k.Namespace).Watch(ctx, selecting(k, version))
			},
		},
	}
}

// selecting asks for one object. Without a version a list is as fresh as the store.
func selecting(k Key, version string) metav1.ListOptions {
	return metav1.ListOptions{
		FieldSelector:       fields.OneTermEqualSelector(metav1.ObjectNameField, k.Name).String(),
		ResourceVersion:     version,
		AllowWatchBookmarks: version != "",
	}
}

// some returns a nil interface, not a typed nil, with an error.
func some[T metav1.Object](object T, err error) (metav1.Object, error) {
	if err != nil {
		return nil, err
	}
	return object, nil
}

// pick returns the item of the key's name.
func pick[T any](items []T, k Key, object func(*T) metav1.Object) metav1.Object {
	for i := range items {
		if o := object(&items[i]); o.GetName() == k.Name {
			return o
		}
	}
	return nil
}
