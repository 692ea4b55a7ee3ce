package namespace

import (
	"context"
	"errors"
	"slices"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/metadata"
)

// discover lists the served namespaced resources that can be listed and deleted.
// With an error it returns those that were found all the same; parsing is of groups whose
// names cannot be read.
func discover(client discovery.DiscoveryInterface) (all []resource, parsing, err error) {
	lists, err := client.ServerPreferredNamespacedResources()
	for _, l := range lists {
		gv, parseErr := schema.ParseGroupVersion(l.GroupVersion)
		if parseErr != nil {
			parsing = errors.Join(parsing, parseErr)
			continue
		}
		for _, r := range l.APIResources {
			if !slices.Contains(r.Verbs, "list") || !slices.Contains(r.Verbs, "delete") {
				continue
			}
			all = append(all, resource{gv.WithResource(r.Name), slices.Contains(r.Verbs, "deletecollection")})
		}
	}
	return all, parsing, err
}

// content reads and deletes the objects of a namespace, whatever they are.
type content struct{ client metadata.Interface }

// remove asks for the deletion of all objects of r and returns what is left.
func (c content) remove(ctx context.Context, r resource, namespace string) (left, error) {
	client := c.client.Resource(r.GroupVersionResource).Namespace(namespace)
	before, err := client.List(ctx, metav1.ListOptions{})
	if ignorable(err) || err == nil && len(before.Items) == 0 {
		return left{}, nil
	}
	if err != nil {
		return left{}, err
	}
	if err := c.deleteAll(ctx, client, r, before.Items); err != nil {
		return count(before.Items), err
	}
	after, err := client.List(ctx, metav1.ListOptions{})
	if err != nil {
		return count(before.Items), err
	}
	return count(after.Items), nil
}

func (c content) deleteAll(ctx context.Context, client metadata.ResourceInterface, r resource, items []metav1.PartialObjectMetadata) error {
	background := metav1.DeletePropagationBackground
	options := metav1.DeleteOptions{PropagationPolicy: &background}
	if r.collection {
		if err := client.DeleteCollection(ctx, options, metav1.ListOptions{}); err != nil && !apierrors.IsNotFound(err) {
			return err
		}
		return nil
	}
	var failed []error
	for i := range items {
		if err := client.Delete(ctx, items[i].Name, options); err != nil && !apierrors.IsNotFound(err) {
			failed = append(failed, err)
		}
	}
	return errors.Join(failed...)
}

// ignorable reports whether a resource is gone or not served that way.
func ignorable(err error) bool {
	return apierrors.IsNotFound(err) || apierrors.IsMethodNotSupported(err)
}

func count(items []metav1.PartialObjectMetadata) left {
	l := left{objects: len(items)}
	for i := range items {
		for _, f := range items[i].Finalizers {
			if l.finalizers == nil {
				l.finalizers = map[string]int{}
			}
			l.finalizers[f]++
		}
	}
	return l
}
