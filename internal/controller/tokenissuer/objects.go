package tokenissuer

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	configv1 "laterna.dev/laterna/api/config/v1"
	operatorv1 "laterna.dev/laterna/api/operator/v1"
)

// authentication returns what is asked for; where somebody has deleted the object, it
// is made again with what it said.
func (c *Controller) authentication(ctx context.Context) (*configv1.Authentication, error) {
	if found, ok, err := c.authentications.GetStore().GetByKey(configv1.Name); err != nil || ok {
		return as[*configv1.Authentication](found), err
	}
	want := &configv1.Authentication{ObjectMeta: metav1.ObjectMeta{Name: configv1.Name}}
	c.mu.Lock()
	if c.lastSpec != nil {
		want.Spec = *c.lastSpec
	}
	c.mu.Unlock()
	made := &configv1.Authentication{}
	err := c.config.ConfigAPI.Post().Resource(configv1.Authentications.Resource).Body(want).Do(ctx).Into(made)
	if apierrors.IsAlreadyExists(err) {
		err = c.config.ConfigAPI.Get().Resource(configv1.Authentications.Resource).Name(want.Name).Do(ctx).Into(made)
	}
	if err != nil {
		return nil, fmt.Errorf("making authentications/%s: %w", want.Name, err)
	}
	return made, nil
}

// server returns the object whose status is ours, made where it is missing: with the
// status that it had.
func (c *Controller) server(ctx context.Context) (*operatorv1.KubeAPIServer, error) {
	if found, ok, err := c.servers.GetStore().GetByKey(operatorv1.Name); err != nil || ok {
		return as[*operatorv1.KubeAPIServer](found), err
	}
	want := &operatorv1.KubeAPIServer{
		ObjectMeta: metav1.ObjectMeta{Name: operatorv1.Name},
		Spec:       operatorv1.KubeAPIServerSpec{ManagementState: "Managed"},
	}
	made := &operatorv1.KubeAPIServer{}
	err := c.config.OperatorAPI.Post().Resource(operatorv1.KubeAPIServers.Resource).Body(want).Do(ctx).Into(made)
	if apierrors.IsAlreadyExists(err) {
		err = c.config.OperatorAPI.Get().Resource(operatorv1.KubeAPIServers.Resource).Name(want.Name).Do(ctx).Into(made)
	}
	if err != nil {
		return nil, fmt.Errorf("making kubeapiservers/%s: %w", want.Name, err)
	}
	c.mu.Lock()
	known := c.lastStatus
	c.mu.Unlock()
	if known == nil || made.Status.LatestAvailableRevision != 0 {
		return made, nil
	}
	var status operatorv1.KubeAPIServerStatus
	known.DeepCopyInto(&status)
	status.ObservedGeneration = made.Generation
	return c.write(ctx, made, status)
}

// write stores a status, if it is another one.
func (c *Controller) write(ctx context.Context, server *operatorv1.KubeAPIServer, status operatorv1.KubeAPIServerStatus) (*operatorv1.KubeAPIServer, error) {
	next := server.DeepCopy()
	next.Status = status
	written, err := c.commit(ctx, server, next)
	if err != nil {
		return nil, fmt.Errorf("writing the status of kubeapiservers/%s: %w", next.Name, err)
	}
	return written, nil
}

func (c *Controller) writeStatus(ctx context.Context, next *operatorv1.KubeAPIServer, _ metav1.UpdateOptions) (*operatorv1.KubeAPIServer, error) {
	written := &operatorv1.KubeAPIServer{}
	err := c.config.OperatorAPI.Put().Resource(operatorv1.KubeAPIServers.Resource).Name(next.Name).SubResource("status").Body(next).Do(ctx).Into(written)
	return written, err
}

// reference is what events are about.
func reference(a *configv1.Authentication) *corev1.ObjectReference {
	return &corev1.ObjectReference{
		APIVersion: configv1.SchemeGroupVersion.String(), Kind: "Authentication",
		Name: a.Name, UID: a.UID, ResourceVersion: a.ResourceVersion,
	}
}

// remember keeps what brings the objects back. An issuer that was not taken is not kept:
// an object that asks for it would be refused.
func (c *Controller) remember(asked *configv1.Authentication, d decision) {
	c.mu.Lock()
	defer c.mu.Unlock()
	s, spec := &d.status, asked.Spec
	if d.warning != "" {
		spec.ServiceAccountIssuer = s.ActiveIssuer()
	}
	c.lastSpec, c.lastStatus = &spec, &operatorv1.KubeAPIServerStatus{}
	s.DeepCopyInto(c.lastStatus)
}

// as is a checked type for what an informer of that type holds.
func as[T any](obj any) T {
	t, _ := obj.(T)
	return t
}
