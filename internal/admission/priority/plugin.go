// Package priority gives every pod its priority, lets one PriorityClass at most be the
// default, and keeps those of the system: the Priority admission of Kubernetes. The kind
// itself lives in internal/registry/scheduling/priorityclass.
package priority

import (
	"context"
	"errors"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	schedulingv1 "k8s.io/api/scheduling/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apiserver/pkg/admission"
	"k8s.io/client-go/kubernetes"
	schedulinglisters "k8s.io/client-go/listers/scheduling/v1"

	"laterna.dev/laterna/internal/registry/scheduling/priorityclass"
)

// Plugin sets the priority of pods and checks classes. Its methods may be called
// concurrently.
type Plugin struct {
	*admission.Handler
	client  kubernetes.Interface
	classes schedulinglisters.PriorityClassLister
}

var (
	_ admission.MutationInterface   = &Plugin{}
	_ admission.ValidationInterface = &Plugin{}
)

// New returns the plugin. It looks for classes in a cache, and with client for those that
// the cache does not have yet.
func New(client kubernetes.Interface, classes schedulinglisters.PriorityClassLister) *Plugin {
	return &Plugin{admission.NewHandler(admission.Create, admission.Update, admission.Delete), client, classes}
}

// Admit implements admission.MutationInterface.
func (p *Plugin) Admit(ctx context.Context, a admission.Attributes, _ admission.ObjectInterfaces) error {
	pod, ok := a.GetObject().(*corev1.Pod)
	if !ok || a.GetResource().GroupResource() != corev1.Resource("pods") || a.GetSubresource() != "" {
		return nil
	}
	switch a.GetOperation() {
	case admission.Update:
		keep(pod, a.GetOldObject())
		return nil
	case admission.Create:
		return p.prioritize(ctx, a, pod)
	}
	return nil
}

// prioritize resolves the class of a new pod.
func (p *Plugin) prioritize(ctx context.Context, a admission.Attributes, pod *corev1.Pod) error {
	class, err := p.classOf(ctx, pod.Spec.PriorityClassName)
	switch {
	case apierrors.IsNotFound(err):
		return admission.NewForbidden(a, fmt.Errorf("no PriorityClass with name %v was found", pod.Spec.PriorityClassName))
	case err != nil:
		return fmt.Errorf("reading PriorityClass %q: %w", pod.Spec.PriorityClassName, err)
	}
	value, policy := class.Value, corev1.PreemptLowerPriority
	if class.PreemptionPolicy != nil {
		policy = *class.PreemptionPolicy
	}
	if own := pod.Spec.Priority; own != nil && *own != value {
		return admission.NewForbidden(a, fmt.Errorf("the integer value of priority (%d) must not be provided in pod spec; priority admission controller computed %d from the given PriorityClass name", *own, value))
	}
	if own := pod.Spec.PreemptionPolicy; own != nil && *own != policy {
		return admission.NewForbidden(a, fmt.Errorf("the string value of PreemptionPolicy (%s) must not be provided in pod spec; priority admission controller computed %s from the given PriorityClass name", *own, policy))
	}
	pod.Spec.PriorityClassName, pod.Spec.Priority, pod.Spec.PreemptionPolicy = class.Name, &value, &policy
	return nil
}

// classOf returns the class of a name, for no name the default. Where there is none it is
// a class without a name, of priority 0.
func (p *Plugin) classOf(ctx context.Context, name string) (*schedulingv1.PriorityClass, error) {
	if name == "" {
		class, err := p.preset()
		if class == nil {
			class = &schedulingv1.PriorityClass{}
		}
		return class, err
	}
	for _, class := range priorityclass.System() {
		if class.Name == name {
			return class, nil
		}
	}
	class, err := p.classes.Get(name)
	if apierrors.IsNotFound(err) {
		return p.client.SchedulingV1().PriorityClasses().Get(ctx, name, metav1.GetOptions{})
	}
	return class, err
}

// preset returns the default class, nil where there is none. Of several, which two
// requests at once can make, it is the one with the lowest value.
func (p *Plugin) preset() (*schedulingv1.PriorityClass, error) {
	all, err := p.classes.List(labels.Everything())
	var found *schedulingv1.PriorityClass
	for _, class := range all {
		if class.GlobalDefault && (found == nil || class.Value < found.Value) {
			found = class
		}
	}
	return found, err
}

// Validate implements admission.ValidationInterface.
func (p *Plugin) Validate(_ context.Context, a admission.Attributes, _ admission.ObjectInterfaces) error {
	if a.GetResource().GroupResource() != schedulingv1.Resource("priorityclasses") || a.GetSubresource() != "" {
		return nil
	}
	if a.GetOperation() == admission.Delete {
		if priorityclass.IsSystem(a.GetName()) {
			return admission.NewForbidden(a, errors.New("this is a system priority class and cannot be deleted"))
		}
		return nil
	}
	class, ok := a.GetObject().(*schedulingv1.PriorityClass)
	if !ok || !class.GlobalDefault {
		return nil
	}
	other, err := p.preset()
	if err != nil {
		return fmt.Errorf("looking for the default PriorityClass: %w", err)
	}
	if other != nil && other.Name != class.Name {
		return admission.NewForbidden(a, fmt.Errorf("PriorityClass %v is already marked as default. Only one default can exist", other.Name))
	}
	return nil
}

// keep carries over what a client that does not know the fields has left out.
func keep(pod *corev1.Pod, old any) {
	before, ok := old.(*corev1.Pod)
	if !ok {
		return
	}
	if pod.Spec.Priority == nil {
		pod.Spec.Priority = before.Spec.Priority
	}
	if pod.Spec.PreemptionPolicy == nil {
		pod.Spec.PreemptionPolicy = before.Spec.PreemptionPolicy
	}
}
