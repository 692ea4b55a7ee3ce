// Package podsecurity holds pods to the Pod Security Standards: the PodSecurity admission
// of Kubernetes, by the labels of a namespace and, where it has none, by the defaults of
// the cluster. What a level asks for, and every message, is the published module's,
// k8s.io/pod-security-admission, which belongs to this package alone.
package podsecurity

import (
	"context"
	"errors"
	"fmt"

	admissionv1 "k8s.io/api/admission/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apiserver/pkg/admission"
	"k8s.io/apiserver/pkg/audit"
	"k8s.io/apiserver/pkg/warning"
	"k8s.io/client-go/kubernetes"
	"k8s.io/component-base/metrics"
	podsecurityadmission "k8s.io/pod-security-admission/admission"
	"k8s.io/pod-security-admission/api"
	podsecuritymetrics "k8s.io/pod-security-admission/metrics"
	"k8s.io/pod-security-admission/policy"
)

// Config is what a plugin works with. All fields are required.
type Config struct {
	// Client reads a pod's namespace and the pods of a namespace whose labels change. It
	// reads what is stored: a label holds for the next pod.
	Client   kubernetes.Interface
	Settings Settings
}

// Plugin checks pods, templates of pods, and namespaces. Its methods may be called
// concurrently.
type Plugin struct {
	*admission.Handler
	checks  podsecurityadmission.Admission
	metrics []metrics.Registerable
}

var _ admission.ValidationInterface = &Plugin{}

// New returns the plugin.
func New(c Config) (*Plugin, error) {
	configuration, err := c.Settings.configuration()
	if err != nil {
		return nil, err
	}
	evaluator, err := policy.NewEvaluator(policy.DefaultChecks(), nil)
	if err != nil {
		return nil, fmt.Errorf("making the checks of Pod Security: %w", err)
	}
	recorder := podsecuritymetrics.NewPrometheusRecorder(apiVersion)
	p := &Plugin{Handler: admission.NewHandler(admission.Create, admission.Update)}
	recorder.MustRegister(func(all ...metrics.Registerable) { p.metrics = append(p.metrics, all...) })
	p.checks = podsecurityadmission.Admission{
		Configuration:    configuration,
		Evaluator:        evaluator,
		Metrics:          recorder,
		PodSpecExtractor: podsecurityadmission.DefaultPodSpecExtractor{},
		NamespaceGetter:  podsecurityadmission.NamespaceGetterFromClient(c.Client),
		PodLister:        pods{c.Client},
	}
	if err := p.checks.CompleteConfiguration(); err != nil {
		return nil, fmt.Errorf("configuring Pod Security: %w", err)
	}
	if err := p.checks.ValidateConfiguration(); err != nil {
		return nil, fmt.Errorf("configuring Pod Security: %w", err)
	}
	return p, nil
}

// Metrics are what is counted of the checks, by upstream's names. They count once they
// are registered.
func (p *Plugin) Metrics() []metrics.Registerable { return p.metrics }

// Validate implements admission.ValidationInterface.
func (p *Plugin) Validate(ctx context.Context, a admission.Attributes, _ admission.ObjectInterfaces) error {
	kind := a.GetResource().GroupResource()
	if kind != corev1.Resource("namespaces") && !p.checks.PodSpecExtractor.HasPodSpec(kind) {
		return nil
	}
	answer := p.checks.Validate(ctx, request{a})
	for _, text := range answer.Warnings {
		warning.AddWarning(ctx, "", text)
	}
	for key, value := range answer.AuditAnnotations {
		audit.AddAuditAnnotation(ctx, api.AuditAnnotationPrefix+key, value)
	}
	if answer.Allowed {
		return nil
	}
	return refusal(a, answer.Result)
}

// refusal is the answer to a request that is not allowed: what the checks say of it, and
// for what they leave out that it is forbidden.
func refusal(a admission.Attributes, said *metav1.Status) error {
	err := admission.NewForbidden(a, errors.New("Not allowed by PodSecurity"))
	var forbidden *apierrors.StatusError
	if said == nil || !errors.As(err, &forbidden) {
		return err
	}
	if said.Message != "" {
		forbidden.ErrStatus.Message = said.Message
	}
	if said.Reason != "" {
		forbidden.ErrStatus.Reason = said.Reason
	}
	if said.Code != 0 {
		forbidden.ErrStatus.Code = said.Code
	}
	if said.Details != nil {
		forbidden.ErrStatus.Details = said.Details
	}
	return forbidden
}

// request shows the checks what is to be admitted. Objects are of the versions that the
// API serves, which are those that the checks know.
type request struct{ admission.Attributes }

var _ api.Attributes = request{}

// GetOperation implements api.Attributes.
func (r request) GetOperation() admissionv1.Operation {
	return admissionv1.Operation(r.Attributes.GetOperation())
}

// GetObject implements api.Attributes.
func (r request) GetObject() (runtime.Object, error) { return r.Attributes.GetObject(), nil }

// GetOldObject implements api.Attributes.
func (r request) GetOldObject() (runtime.Object, error) { return r.Attributes.GetOldObject(), nil }

// GetUserName implements api.Attributes.
func (r request) GetUserName() string {
	if u := r.GetUserInfo(); u != nil {
		return u.GetName()
	}
	return ""
}

// pods lists what a namespace holds, page by page.
type pods struct{ client kubernetes.Interface }

const page = 500

// ListPods implements podsecurityadmission.PodLister. The checks give it a second.
func (p pods) ListPods(ctx context.Context, namespace string) ([]*corev1.Pod, error) {
	var all []*corev1.Pod
	options := metav1.ListOptions{Limit: page}
	for {
		list, err := p.client.CoreV1().Pods(namespace).List(ctx, options)
		if err != nil {
			return nil, err
		}
		for i := range list.Items {
			all = append(all, &list.Items[i])
		}
		if list.Continue == "" {
			return all, nil
		}
		options.Continue = list.Continue
	}
}
