// Package serviceaccount gives every pod a service account, and the volume with
// which it reaches the API: the ServiceAccount admission of Kubernetes.
//
// It reads the service account once while a pod is mutated, from the store and not
// from a cache, and keeps it for later plugins of the same request (Read). What the
// volume holds in a running pod lives in internal/node; issuing its token in
// internal/registry/core/serviceaccount/token.
package serviceaccount

import (
	"context"
	"errors"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apiserver/pkg/admission"
	"k8s.io/apiserver/pkg/storage/names"
	"k8s.io/client-go/kubernetes"

	"laterna.dev/laterna/internal/clock"
)

// name of the plugin, under which it keeps the service account of a request.
const name = "ServiceAccount"

// defaultName is the service account of pods that name none.
const defaultName = "default"

// Config is what the plugin works with. Client and Clock are required.
type Config struct {
	Client kubernetes.Interface
	Clock  clock.Wall
	// Legacy lets pods mount the Secret with their service account's token instead of
	// a projected volume, as Kubernetes before 1.24.
	Legacy bool
	// VolumeName returns a new name of the API volume that begins with prefix;
	// nil adds five random characters.
	VolumeName func(prefix string) string
}

// Plugin admits pods. Its methods may be called concurrently.
type Plugin struct {
	*admission.Handler
	config Config
}

var (
	_ admission.MutationInterface   = &Plugin{}
	_ admission.ValidationInterface = &Plugin{}
)

// New returns the plugin.
func New(c Config) *Plugin {
	if c.VolumeName == nil {
		c.VolumeName = names.SimpleNameGenerator.GenerateName
	}
	return &Plugin{admission.NewHandler(admission.Create, admission.Update), c}
}

// Read returns the service account that this plugin has read for the pod of a
// mutating admission, nil if it has not. Callers must not change it.
func Read(a admission.Attributes) *corev1.ServiceAccount {
	account, _ := a.GetReinvocationContext().Value(name).(*corev1.ServiceAccount)
	return account
}

// Admit implements admission.MutationInterface.
func (p *Plugin) Admit(ctx context.Context, a admission.Attributes, _ admission.ObjectInterfaces) error {
	pod := podOf(a)
	if pod == nil {
		return nil
	}
	if isMirror(pod) {
		return validateMirror(a, pod)
	}
	if pod.Spec.ServiceAccountName == "" {
		pod.Spec.ServiceAccountName = pod.Spec.DeprecatedServiceAccount
	}
	if pod.Spec.ServiceAccountName == "" {
		pod.Spec.ServiceAccountName = defaultName
	}
	pod.Spec.DeprecatedServiceAccount = pod.Spec.ServiceAccountName
	account, err := p.lookUp(ctx, a, pod)
	if err != nil {
		return err
	}
	a.GetReinvocationContext().SetValue(name, account)
	if automounts(account, pod) {
		if err := p.mount(ctx, account, pod); err != nil {
			return err
		}
	}
	if len(pod.Spec.ImagePullSecrets) == 0 {
		for _, s := range account.ImagePullSecrets {
			pod.Spec.ImagePullSecrets = append(pod.Spec.ImagePullSecrets, corev1.LocalObjectReference{Name: s.Name})
		}
	}
	return p.validate(a, account, pod)
}

// Validate implements admission.ValidationInterface: later plugins may have changed
// what Admit has checked.
func (p *Plugin) Validate(ctx context.Context, a admission.Attributes, _ admission.ObjectInterfaces) error {
	if debugged := debuggedOf(a); debugged != nil {
		account, err := p.lookUp(ctx, a, debugged)
		if err != nil {
			return err
		}
		return p.validate(a, account, debugged)
	}
	pod := podOf(a)
	if pod == nil {
		return nil
	}
	if isMirror(pod) {
		return validateMirror(a, pod)
	}
	if pod.Spec.ServiceAccountName == "" {
		return admission.NewForbidden(a, fmt.Errorf("no service account specified for pod %s/%s", a.GetNamespace(), pod.Name))
	}
	account, err := p.lookUp(ctx, a, pod)
	if err != nil {
		return err
	}
	return p.validate(a, account, pod)
}

func (p *Plugin) validate(a admission.Attributes, account *corev1.ServiceAccount, pod *corev1.Pod) error {
	if !limited(account) {
		return nil
	}
	if err := limitSecrets(account, pod); err != nil {
		return admission.NewForbidden(a, err)
	}
	return nil
}

func (p *Plugin) lookUp(ctx context.Context, a admission.Attributes, pod *corev1.Pod) (*corev1.ServiceAccount, error) {
	account, err := p.read(ctx, a.GetNamespace(), pod.Spec.ServiceAccountName)
	if err != nil {
		return nil, admission.NewForbidden(a, fmt.Errorf("error looking up service account %s/%s: %w", a.GetNamespace(), pod.Spec.ServiceAccountName, err))
	}
	return account, nil
}

// podOf returns the pod that is being created, nil if something else happens.
func podOf(a admission.Attributes) *corev1.Pod {
	if a.GetResource().GroupResource() != corev1.Resource("pods") || a.GetSubresource() != "" || a.GetOperation() != admission.Create {
		return nil
	}
	pod, _ := a.GetObject().(*corev1.Pod)
	return pod
}

// debuggedOf returns what there is to check of a pod that ephemeral containers are added
// to, nil if something else happens: what these name of secrets is limited as for other
// containers.
func debuggedOf(a admission.Attributes) *corev1.Pod {
	if a.GetResource().GroupResource() != corev1.Resource("pods") || a.GetSubresource() != "ephemeralcontainers" || a.GetOperation() != admission.Update {
		return nil
	}
	pod, ok := a.GetObject().(*corev1.Pod)
	if !ok || isMirror(pod) || pod.Spec.ServiceAccountName == "" {
		return nil
	}
	return &corev1.Pod{ObjectMeta: pod.ObjectMeta, Spec: corev1.PodSpec{
		ServiceAccountName: pod.Spec.ServiceAccountName, EphemeralContainers: pod.Spec.EphemeralContainers,
	}}
}

func isMirror(pod *corev1.Pod) bool {
	_, ok := pod.Annotations[corev1.MirrorPodAnnotationKey]
	return ok
}

// validateMirror refuses a mirror pod that has anything to do with service accounts
// or secrets: its node would get at them.
func validateMirror(a admission.Attributes, pod *corev1.Pod) error {
	if pod.Spec.ServiceAccountName != "" || pod.Spec.DeprecatedServiceAccount != "" {
		return admission.NewForbidden(a, errors.New("a mirror pod may not reference service accounts"))
	}
	if len(secretUses(pod))+len(pod.Spec.ImagePullSecrets) > 0 {
		return admission.NewForbidden(a, errors.New("a mirror pod may not reference secrets"))
	}
	for _, v := range pod.Spec.Volumes {
		if v.Projected == nil {
			continue
		}
		for _, s := range v.Projected.Sources {
			if s.ServiceAccountToken != nil {
				return admission.NewForbidden(a, errors.New("a mirror pod may not use ServiceAccountToken volume projections"))
			}
		}
	}
	return nil
}
