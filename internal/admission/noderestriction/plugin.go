// Package noderestriction keeps a node to its own objects: the NodeRestriction
// admission of Kubernetes for the kinds that are served. Authorization has already
// decided which kinds and verbs a node may use (internal/authz/node).
//
// It reads pods and nodes from the store, not from a cache, so that a node which
// acts at once on a binding is not refused.
package noderestriction

import (
	"context"
	"errors"
	"fmt"

	certificatesv1 "k8s.io/api/certificates/v1"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	resourcev1 "k8s.io/api/resource/v1"
	storagev1 "k8s.io/api/storage/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apiserver/pkg/admission"
	"k8s.io/apiserver/pkg/authorization/authorizer"
	"k8s.io/client-go/kubernetes"

	"laterna.dev/laterna/api/projection/v1alpha1"
	"laterna.dev/laterna/internal/authz/node"
)

// Config is what the plugin works with. All fields are required.
type Config struct {
	Client kubernetes.Interface
	// Authorizer may allow a node to ask for tokens of an audience that no volume
	// of the pod names.
	Authorizer authorizer.UnconditionalAuthorizer
}

// Plugin restricts nodes. Its methods may be called concurrently.
type Plugin struct {
	*admission.Handler
	config Config
}

var _ admission.MutationInterface = &Plugin{}

// New returns the plugin.
func New(c Config) *Plugin {
	return &Plugin{admission.NewHandler(admission.Create, admission.Update, admission.Delete), c}
}

// Admit implements admission.MutationInterface; it changes nothing. Like upstream
// it runs among the mutating plugins, before they add anything.
func (p *Plugin) Admit(ctx context.Context, a admission.Attributes, _ admission.ObjectInterfaces) error {
	name, ok := node.Name(a.GetUserInfo())
	if !ok {
		return others(a)
	}
	if name == "" {
		return admission.NewForbidden(a, fmt.Errorf("could not determine node from user %q", a.GetUserInfo().GetName()))
	}
	err := p.admit(ctx, name, a)
	switch {
	case err == nil:
		return nil
	case apierrors.IsNotFound(err):
		return err
	}
	return admission.NewForbidden(a, err)
}

// others refuses pods of everybody else that pass for the pods of a node: an agent takes
// a mirror pod for what it runs without the API.
func others(a admission.Attributes) error {
	pod, ok := a.GetObject().(*corev1.Pod)
	if !ok || a.GetResource().GroupResource() != corev1.Resource("pods") || a.GetSubresource() != "" || a.GetOperation() != admission.Create {
		return nil
	}
	if _, mirror := pod.Annotations[corev1.MirrorPodAnnotationKey]; mirror {
		return admission.NewForbidden(a, fmt.Errorf("only nodes can create mirror pods, which the annotation %q makes of this one", corev1.MirrorPodAnnotationKey))
	}
	return nil
}

// admit returns why a request is refused. A NotFound is passed to the client as it
// is.
func (p *Plugin) admit(ctx context.Context, node string, a admission.Attributes) error {
	switch a.GetResource().GroupResource() {
	case corev1.Resource("pods"):
		switch a.GetSubresource() {
		case "":
			return p.pod(ctx, node, a)
		case "status":
			return podStatus(node, a)
		case "eviction":
			return p.eviction(ctx, node, a)
		}
		return fmt.Errorf("unexpected pod subresource %q, only 'status' and 'eviction' are allowed", a.GetSubresource())
	case corev1.Resource("nodes"):
		return nodeObject(node, a)
	case corev1.Resource("serviceaccounts"):
		if a.GetOperation() == admission.Create && a.GetSubresource() == "token" {
			return p.token(ctx, node, a)
		}
	case coordinationv1.Resource("leases"):
		return lease(node, a)
	case storagev1.Resource("csinodes"):
		return csiNode(node, a)
	case certificatesv1.Resource("certificatesigningrequests"):
		return signingRequest(node, a)
	case certificatesv1.Resource("podcertificaterequests"):
		return p.podCertificate(ctx, node, a)
	case resourcev1.Resource("resourceslices"):
		return slice(node, a)
	case v1alpha1.Resource(v1alpha1.Plural):
		return p.podProjection(ctx, node, a)
	}
	return nil
}

func unexpected(obj any) error { return fmt.Errorf("unexpected type %T", obj) }

func lease(node string, a admission.Attributes) error {
	if a.GetNamespace() != corev1.NamespaceNodeLease {
		return fmt.Errorf("can only access leases in the %q system namespace", corev1.NamespaceNodeLease)
	}
	name := a.GetName()
	if a.GetOperation() == admission.Create {
		// The name of a new object is in the object, not in the path.
		l, ok := a.GetObject().(*coordinationv1.Lease)
		if !ok {
			return unexpected(a.GetObject())
		}
		name = l.Name
	}
	if name != node {
		return errors.New("can only access node lease with the same name as the requesting node")
	}
	return nil
}

func csiNode(node string, a admission.Attributes) error {
	name := a.GetName()
	if a.GetOperation() == admission.Create {
		n, ok := a.GetObject().(*storagev1.CSINode)
		if !ok {
			return unexpected(a.GetObject())
		}
		name = n.Name
	}
	if name != node {
		return errors.New("can only access CSINode with the same name as the requesting node")
	}
	return nil
}

// slice keeps a node to devices of its own where authorization does not know them: as they
// are made, and as many are deleted at once.
func slice(node string, a admission.Attributes) error {
	obj, verb := a.GetObject(), "create"
	switch a.GetOperation() {
	case admission.Create:
	case admission.Delete:
		obj, verb = a.GetOldObject(), "delete"
	default:
		return nil
	}
	s, ok := obj.(*resourcev1.ResourceSlice)
	if !ok {
		return unexpected(obj)
	}
	if s.Spec.NodeName == nil || *s.Spec.NodeName != node {
		return fmt.Errorf("can only %s ResourceSlice with the same NodeName as the requesting node", verb)
	}
	return nil
}

// readPod returns a pod as the store has it.
func (p *Plugin) readPod(ctx context.Context, namespace, name string) (*corev1.Pod, error) {
	return p.config.Client.CoreV1().Pods(namespace).Get(ctx, name, metav1.GetOptions{})
}
