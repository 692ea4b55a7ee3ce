// Package podidentity gives pods what they need to assume an IAM role by their service
// account, while they are created: the Amazon EKS Pod Identity Webhook, inside the API
// server.
//
// It decides by the service account that ServiceAccount admission has read for the same
// request, from the store: a pod that is created after an annotation was written has what
// the annotation asks for, or is not created. What that is says internal/aws/podidentity;
// the same for other clusters is internal/aws/podidentity/webhook.
package podidentity

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/apiserver/pkg/admission"
	"k8s.io/apiserver/pkg/warning"
	"k8s.io/client-go/kubernetes"

	"laterna.dev/laterna/api"
	aws "laterna.dev/laterna/internal/aws/podidentity"
	"laterna.dev/laterna/internal/aws/podidentity/identityfile"
)

// Config is what the plugin works with. Client and Account are required, Log where Settings
// name a file.
type Config struct {
	// Client reads service accounts for ephemeral containers, and the ConfigMap.
	Client kubernetes.Interface
	// Account returns the service account that was read for a pod that is created, nil if
	// the pod has none.
	Account  func(admission.Attributes) *corev1.ServiceAccount
	Settings Settings
	Log      *slog.Logger
}

// Plugin admits pods, and ephemeral containers. Its methods may be called concurrently.
type Plugin struct {
	*admission.Handler
	client     kubernetes.Interface
	account    func(admission.Attributes) *corev1.ServiceAccount
	settings   aws.Settings
	configMap  types.NamespacedName
	identities *identityfile.File
	log        *slog.Logger
}

var (
	_ admission.MutationInterface   = &Plugin{}
	_ admission.ValidationInterface = &Plugin{}
)

// New returns the plugin, which comes after ServiceAccount admission.
func New(c Config) (*Plugin, error) {
	p := &Plugin{Handler: admission.NewHandler(admission.Create, admission.Update), client: c.Client, account: c.Account, log: c.Log}
	var err error
	if p.settings, err = c.Settings.injection(); err != nil {
		return nil, fmt.Errorf("making pod identity admission: %w", err)
	}
	if p.configMap, err = c.Settings.configMap(); err != nil {
		return nil, fmt.Errorf("making pod identity admission: %w", err)
	}
	if c.Settings.IdentitiesFile != "" {
		if p.identities, err = identityfile.Open(c.Settings.IdentitiesFile); err != nil {
			return nil, fmt.Errorf("making pod identity admission: %w", err)
		}
	}
	return p, nil
}

// Admit implements admission.MutationInterface.
func (p *Plugin) Admit(ctx context.Context, a admission.Attributes, _ admission.ObjectInterfaces) error {
	if a.GetResource().GroupResource() != corev1.Resource("pods") {
		return nil
	}
	pod, ok := a.GetObject().(*corev1.Pod)
	if !ok {
		return nil
	}
	switch {
	case a.GetSubresource() == "" && a.GetOperation() == admission.Create:
		return p.create(ctx, a, pod)
	case a.GetSubresource() == "ephemeralcontainers" && a.GetOperation() == admission.Update:
		return p.debug(ctx, a, pod)
	}
	return nil
}

// create admits a new pod. One without a service account is a mirror pod.
func (p *Plugin) create(ctx context.Context, a admission.Attributes, pod *corev1.Pod) error {
	account := p.account(a)
	if account == nil || account.Name != pod.Spec.ServiceAccountName {
		return nil
	}
	injection, err := p.decide(ctx, a, pod, account)
	if err != nil {
		return err
	}
	var report aws.Report
	if _, skip := pod.Labels[aws.SkipLabel]; !skip {
		if injection != nil {
			injection.Apply(pod)
		}
		local, err := p.local(ctx, a, pod, account, injection != nil)
		if err != nil {
			return err
		}
		if local != nil {
			local.Apply(pod)
		}
		report = p.settings.Report(pod, account.Annotations, injection, local)
	} else if injection != nil {
		report.Text = "nothing injected: the pod has the label " + aws.SkipLabel
	}
	note(pod, report.Text)
	for _, problem := range report.Problems {
		warning.AddWarning(ctx, "", "pod identity: "+problem)
	}
	return nil
}

// note writes the report to the pod; a report of somebody else's does not stay.
func note(pod *corev1.Pod, text string) {
	if text == "" {
		delete(pod.Annotations, api.PodIdentity)
		return
	}
	if pod.Annotations == nil {
		pod.Annotations = map[string]string{}
	}
	pod.Annotations[api.PodIdentity] = text
}

// debug admits new ephemeral containers of a pod: they are given what new containers would
// be, where the pod has the token.
func (p *Plugin) debug(ctx context.Context, a admission.Attributes, pod *corev1.Pod) error {
	old, ok := a.GetOldObject().(*corev1.Pod)
	if _, skip := pod.Labels[aws.SkipLabel]; skip || !ok || len(pod.Spec.EphemeralContainers) <= len(old.Spec.EphemeralContainers) {
		return nil
	}
	if pod.Spec.ServiceAccountName == "" {
		return nil
	}
	account, err := p.client.CoreV1().ServiceAccounts(a.GetNamespace()).Get(ctx, pod.Spec.ServiceAccountName, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return nil // ServiceAccount admission has its say
	}
	if err != nil {
		return apierrors.NewInternalError(fmt.Errorf("looking up service account %s/%s: %w", a.GetNamespace(), pod.Spec.ServiceAccountName, err))
	}
	injection, err := p.decide(ctx, a, pod, account)
	if err != nil {
		return err
	}
	local, err := p.local(ctx, a, pod, account, injection != nil)
	if err != nil {
		return err
	}
	known := map[string]bool{}
	for i := range old.Spec.EphemeralContainers {
		known[old.Spec.EphemeralContainers[i].Name] = true
	}
	for i := range pod.Spec.EphemeralContainers {
		c := &pod.Spec.EphemeralContainers[i]
		if known[c.Name] {
			continue
		}
		if injection != nil {
			injection.ApplyTo(pod, c)
		}
		if local != nil {
			local.ApplyTo(pod, c)
		}
	}
	return nil
}

// decide returns what a pod is to be given.
func (p *Plugin) decide(ctx context.Context, a admission.Attributes, pod *corev1.Pod, account *corev1.ServiceAccount) (*aws.Injection, error) {
	entry := p.settings.OfAccount(account.Annotations)
	from := aws.Sources{Account: &entry, Random: rand.Int64N}
	if p.identities != nil {
		var err error
		if from.Identities, err = p.identities.Identities(); err != nil {
			p.log.Warn("file of container credentials is passed over, the last good one counts", "err", err)
		}
	}
	if entry.RoleARN == "" && p.configMap.Name != "" {
		var err error
		if from.Entries, err = p.entries(ctx); err != nil {
			return nil, admission.NewForbidden(a, fmt.Errorf("whether the pod has a role is not known: %w", err))
		}
	}
	return p.settings.Decide(pod, a.GetNamespace(), from), nil
}

// entries reads the ConfigMap; there need not be one.
func (p *Plugin) entries(ctx context.Context) (aws.Entries, error) {
	m, err := p.client.CoreV1().ConfigMaps(p.configMap.Namespace).Get(ctx, p.configMap.Name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading ConfigMap %s: %w", p.configMap, err)
	}
	entries, err := p.settings.ParseEntries(m.Data[aws.ConfigMapKey])
	if err != nil {
		return nil, fmt.Errorf("ConfigMap %s: %w", p.configMap, err)
	}
	return entries, nil
}

// Validate implements admission.ValidationInterface: a ConfigMap that could not be read
// when pods come is refused where it is written.
func (p *Plugin) Validate(_ context.Context, a admission.Attributes, _ admission.ObjectInterfaces) error {
	m, ok := a.GetObject().(*corev1.ConfigMap)
	if !ok || p.configMap.Name == "" || a.GetNamespace() != p.configMap.Namespace || m.Name != p.configMap.Name {
		return nil
	}
	if _, err := p.settings.ParseEntries(m.Data[aws.ConfigMapKey]); err != nil {
		path := field.NewPath("data").Key(aws.ConfigMapKey)
		return apierrors.NewInvalid(a.GetKind().GroupKind(), m.Name, field.ErrorList{field.Invalid(path, field.OmitValueType{}, err.Error())})
	}
	return nil
}
