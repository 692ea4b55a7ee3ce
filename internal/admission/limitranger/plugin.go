// Package limitranger gives containers what the LimitRanges of their namespace say they get,
// and refuses pods and claims that ask for too little or too much: the LimitRanger admission
// of Kubernetes. The kind itself lives in internal/registry/core/limits.
//
// What is compared, and in which words it is refused, stands in constraint.go.
package limitranger

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync/atomic"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	utilerrors "k8s.io/apimachinery/pkg/util/errors"
	"k8s.io/apiserver/pkg/admission"
	"k8s.io/client-go/kubernetes"
	resourcehelper "k8s.io/component-helpers/resource"

	"laterna.dev/laterna/internal/admission/libplugin"
)

// Plugin enforces LimitRanges. It reads those of a namespace for each pod and claim, once
// there is any, so that it misses none. Its methods may be called concurrently.
type Plugin struct {
	*admission.Handler
	client kubernetes.Interface
	stored <-chan struct{}
	// begun is true once a LimitRange has been created here.
	begun atomic.Bool
}

var (
	_ admission.MutationInterface   = &Plugin{}
	_ admission.ValidationInterface = &Plugin{}
)

// New returns the plugin. stored returns what is closed once the store has an object of a
// resource.
func New(client kubernetes.Interface, stored func(schema.GroupResource) <-chan struct{}) *Plugin {
	return &Plugin{Handler: admission.NewHandler(admission.Create, admission.Update), client: client, stored: stored(ranges())}
}

func ranges() schema.GroupResource { return corev1.Resource("limitranges") }

// Annotation tells what a pod was given.
const annotation = "kubernetes.io/limit-ranger"

// Admit implements admission.MutationInterface.
func (p *Plugin) Admit(ctx context.Context, a admission.Attributes, _ admission.ObjectInterfaces) error {
	pod, ok := a.GetObject().(*corev1.Pod)
	if !ok || !concerns(a) {
		return nil
	}
	all, err := p.of(ctx, a)
	for i := range all {
		give(pod, &all[i])
	}
	return err
}

// Validate implements admission.ValidationInterface.
func (p *Plugin) Validate(ctx context.Context, a admission.Attributes, _ admission.ObjectInterfaces) error {
	if libplugin.Creates(a, ranges()) {
		p.begun.Store(true)
		return nil
	}
	if !concerns(a) {
		return nil
	}
	all, err := p.of(ctx, a)
	if err != nil {
		return err
	}
	for i := range all {
		var errs []error
		switch o := a.GetObject().(type) {
		case *corev1.Pod:
			errs = checkPod(o, &all[i])
		case *corev1.PersistentVolumeClaim:
			errs = checkClaim(o, &all[i])
		}
		if err := utilerrors.NewAggregate(errs); err != nil {
			return admission.NewForbidden(a, err)
		}
	}
	return nil
}

// concerns tells whether a request is about what containers or a claim ask for. They cannot
// change with a pod otherwise.
func concerns(a admission.Attributes) bool {
	switch old := a.GetOldObject().(type) {
	case *corev1.Pod:
		if old.DeletionTimestamp != nil {
			return false
		}
	case *corev1.PersistentVolumeClaim:
		if old.DeletionTimestamp != nil {
			return false
		}
	}
	switch a.GetResource().GroupResource() {
	case corev1.Resource("pods"):
		return a.GetSubresource() == "" && a.GetOperation() == admission.Create || a.GetSubresource() == "resize" && a.GetOperation() == admission.Update
	case corev1.Resource("persistentvolumeclaims"):
		return a.GetSubresource() == ""
	}
	return false
}

// of returns the LimitRanges of the namespace of a request.
func (p *Plugin) of(ctx context.Context, a admission.Attributes) ([]corev1.LimitRange, error) {
	if !p.begun.Load() && !libplugin.Closed(p.stored) {
		return nil, nil
	}
	list, err := p.client.CoreV1().LimitRanges(a.GetNamespace()).List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil, admission.NewForbidden(a, fmt.Errorf("unable to %s %v at this time because there was an error enforcing limit ranges: %w", a.GetOperation(), a.GetResource(), err))
	}
	return list.Items, nil
}

// give gives the containers of a pod what they do not say themselves.
func give(pod *corev1.Pod, l *corev1.LimitRange) {
	requests, limits := corev1.ResourceList{}, corev1.ResourceList{}
	for _, item := range l.Spec.Limits {
		if item.Type == corev1.LimitTypeContainer {
			maps.Copy(requests, item.DefaultRequest)
			maps.Copy(limits, item.Default)
		}
	}
	var said []string
	for _, of := range []struct {
		kind       string
		containers []corev1.Container
	}{{"container", pod.Spec.Containers}, {"init container", pod.Spec.InitContainers}} {
		for i := range of.containers {
			c := &of.containers[i]
			added := fill(&c.Resources.Limits, limits)
			if names := fill(&c.Resources.Requests, requests); len(names) > 0 {
				said = append(said, fmt.Sprintf("%s request for %s %s", strings.Join(names, ", "), of.kind, c.Name))
			}
			if len(added) > 0 {
				said = append(said, fmt.Sprintf("%s limit for %s %s", strings.Join(added, ", "), of.kind, c.Name))
			}
		}
	}
	if len(said) > 0 {
		metav1.SetMetaDataAnnotation(&pod.ObjectMeta, annotation, "LimitRanger plugin set: "+strings.Join(said, "; "))
	}
}

// fill adds what is not in a list, and returns its names in order.
func fill(list *corev1.ResourceList, from corev1.ResourceList) (added []string) {
	for _, name := range slices.Sorted(maps.Keys(from)) {
		if _, there := (*list)[name]; there {
			continue
		}
		if *list == nil {
			*list = corev1.ResourceList{}
		}
		(*list)[name] = from[name].DeepCopy()
		added = append(added, string(name))
	}
	return added
}

func checkPod(pod *corev1.Pod, l *corev1.LimitRange) (errs []error) {
	for i := range l.Spec.Limits {
		item := &l.Spec.Limits[i]
		switch item.Type {
		case corev1.LimitTypeContainer:
			for _, list := range [][]corev1.Container{pod.Spec.Containers, pod.Spec.InitContainers} {
				for _, c := range list {
					errs = append(errs, check(item, c.Resources.Requests, c.Resources.Limits)...)
				}
			}
		case corev1.LimitTypePod:
			o := resourcehelper.PodResourcesOptions{ExcludeOverhead: true}
			errs = append(errs, check(item, resourcehelper.PodRequests(pod, o), resourcehelper.PodLimits(pod, o))...)
		}
	}
	return errs
}

func checkClaim(claim *corev1.PersistentVolumeClaim, l *corev1.LimitRange) (errs []error) {
	for i := range l.Spec.Limits {
		if item := &l.Spec.Limits[i]; item.Type == corev1.LimitTypePersistentVolumeClaim {
			errs = append(errs, checkRequests(item, claim.Spec.Resources.Requests)...)
		}
	}
	return errs
}
