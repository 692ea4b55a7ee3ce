package token

import (
	"context"
	"fmt"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apiserver/pkg/endpoints/request"
	"k8s.io/apiserver/pkg/registry/rest"

	"laterna.dev/laterna/boundtoken"
)

// bind looks up what the token shall be bound to and adds it to g.
func (s *storage) bind(ctx context.Context, g *boundtoken.Grant, ref *authenticationv1.BoundObjectReference) error {
	if ref == nil {
		return nil
	}
	gvk := schema.FromAPIVersionAndKind(ref.APIVersion, ref.Kind)
	var uid types.UID
	var err error
	switch gvk.GroupKind() {
	case schema.GroupKind{Kind: "Pod"}:
		uid, err = s.bindPod(ctx, g, ref.Name)
	case schema.GroupKind{Kind: "Secret"}:
		var secret *corev1.Secret
		if secret, err = get[*corev1.Secret](of(ctx, "secrets"), s.Secrets, ref.Name); err == nil {
			uid, g.Secret = secret.UID, refTo(secret)
		}
	case schema.GroupKind{Kind: "Node"}:
		var node *corev1.Node
		if node, err = get[*corev1.Node](request.WithNamespace(of(ctx, "nodes"), ""), s.Nodes, ref.Name); err == nil {
			uid, g.Node = node.UID, refTo(node)
		}
	default:
		return apierrors.NewBadRequest(fmt.Sprintf("cannot bind token to object of type %s", gvk))
	}
	if err != nil {
		return err
	}
	if ref.UID != "" && ref.UID != uid {
		return apierrors.NewConflict(schema.GroupResource{Group: gvk.Group, Resource: gvk.Kind}, ref.Name,
			fmt.Errorf("the UID in the bound object reference (%s) does not match the UID in record. The object might have been deleted and then recreated", ref.UID))
	}
	return nil
}

// bindPod binds to a pod of the service account and notes the node it is on.
func (s *storage) bindPod(ctx context.Context, g *boundtoken.Grant, name string) (types.UID, error) {
	pod, err := get[*corev1.Pod](of(ctx, "pods"), s.Pods, name)
	if err != nil {
		return "", err
	}
	if pod.Spec.ServiceAccountName != g.ServiceAccount.Name {
		return "", apierrors.NewBadRequest(fmt.Sprintf("cannot bind token for serviceaccount %q to pod running with different serviceaccount name.", g.ServiceAccount.Name))
	}
	g.Pod = refTo(pod)
	if pod.Spec.NodeName == "" {
		return pod.UID, nil
	}
	g.Node, err = s.nodeOf(request.WithNamespace(ctx, ""), pod.Spec.NodeName)
	return pod.UID, err
}

// nodeOf returns the node of a pod, by its name alone if there is no such object.
// The claim only informs, so a copy from a cache will do.
func (s *storage) nodeOf(ctx context.Context, name string) (*boundtoken.Ref, error) {
	obj, err := s.Nodes.Get(ctx, name, &metav1.GetOptions{ResourceVersion: "0"})
	if err != nil {
		obj, err = s.Nodes.Get(ctx, name, &metav1.GetOptions{})
	}
	if apierrors.IsNotFound(err) {
		return &boundtoken.Ref{Name: name}, nil
	}
	if err != nil {
		return nil, apierrors.NewInternalError(err)
	}
	return refTo(obj.(*corev1.Node)), nil
}

func refTo(m metav1.Object) *boundtoken.Ref {
	return &boundtoken.Ref{Name: m.GetName(), UID: string(m.GetUID())}
}

// of returns ctx for a read of another core resource: the store names in its errors
// what the request is for, which is a service account.
func of(ctx context.Context, resource string) context.Context {
	info, ok := request.RequestInfoFrom(ctx)
	if !ok {
		return ctx
	}
	read := *info
	read.Verb, read.APIGroup, read.Resource, read.Subresource = "get", "", resource, ""
	return request.WithRequestInfo(ctx, &read)
}

func get[T any](ctx context.Context, from rest.Getter, name string) (T, error) {
	var none T
	obj, err := from.Get(ctx, name, &metav1.GetOptions{})
	if err != nil {
		return none, err
	}
	t, ok := obj.(T)
	if !ok {
		return none, apierrors.NewInternalError(fmt.Errorf("store returned a %T", obj))
	}
	return t, nil
}
