// Package rolloutonchange notes in the pod templates of workloads with the annotation
// laterna.dev/rollout-on-change by which content their pods come up: whoever creates or
// changes one makes one revision, with the content of that moment.
//
// What counts and how it is told by digests is known by internal/podcontent; when content
// changes later, internal/controller/rolloutonchange has the workload written again.
package rolloutonchange

import (
	"context"
	"fmt"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/apiserver/pkg/admission"
	"k8s.io/apiserver/pkg/warning"
	"k8s.io/client-go/kubernetes"

	"laterna.dev/laterna/api"
	"laterna.dev/laterna/internal/podcontent"
)

// Plugin admits workloads. Its methods may be called concurrently.
type Plugin struct {
	*admission.Handler
	client kubernetes.Interface
}

var _ admission.MutationInterface = &Plugin{}

// New returns the plugin. It reads ConfigMaps and Secrets with client, for those workloads
// alone that have the annotation, and keeps the key of digests in a Secret.
func New(client kubernetes.Interface) *Plugin {
	return &Plugin{admission.NewHandler(admission.Create, admission.Update), client}
}

// Admit implements admission.MutationInterface.
func (p *Plugin) Admit(ctx context.Context, a admission.Attributes, _ admission.ObjectInterfaces) error {
	if a.GetResource().Group != appsv1.GroupName || a.GetSubresource() != "" {
		return nil
	}
	template := podcontent.Template(a.GetObject())
	if template == nil {
		return nil
	}
	request, asked, err := podcontent.RequestOf(a.GetObject().(metav1.Object))
	if !asked {
		return nil
	}
	var reads []podcontent.Read
	if err == nil {
		reads, err = podcontent.Reads(request, template)
	}
	if err != nil {
		return wrong(a, err)
	}
	now, err := p.digests(ctx, a, reads)
	if err != nil {
		return apierrors.NewInternalError(fmt.Errorf("noting the content of what the pods of %s %s/%s read: %w", strings.ToLower(a.GetKind().Kind), a.GetNamespace(), a.GetName(), err))
	}
	var before podcontent.Digests
	if old := podcontent.Template(a.GetOldObject()); old != nil {
		before = podcontent.Known(old)
	}
	now.Since(before)
	sent := podcontent.Known(template)
	note(template, now)
	if gone := now.Changed(sent); sent.String() != before.String() && len(gone) > 0 {
		warning.AddWarning(ctx, "", undone(gone))
	}
	return nil
}

// undone is what somebody is told who writes a template of an earlier revision.
func undone(gone []podcontent.Object) string {
	var names []string
	for _, o := range gone {
		names = append(names, o.String())
	}
	return fmt.Sprintf("%s: this template has run with other content of %s than there is now; the template is taken back, the content is not", api.RolloutOnChange, strings.Join(names, ", "))
}

// note writes digests to a template; none are no annotation.
func note(template *corev1.PodTemplateSpec, d podcontent.Digests) {
	if len(d) == 0 {
		delete(template.Annotations, api.ContentDigests)
		return
	}
	if template.Annotations == nil {
		template.Annotations = map[string]string{}
	}
	template.Annotations[api.ContentDigests] = d.String()
}

func wrong(a admission.Attributes, err error) error {
	text := a.GetObject().(metav1.Object).GetAnnotations()[api.RolloutOnChange]
	path := field.NewPath("metadata", "annotations").Key(api.RolloutOnChange)
	return apierrors.NewInvalid(a.GetKind().GroupKind(), a.GetName(), field.ErrorList{field.Invalid(path, shortened(text), err.Error())})
}

func shortened(text string) string {
	const most = 100
	if len(text) <= most {
		return text
	}
	return text[:most] + "…"
}

// digests reads what counts and returns its digests.
func (p *Plugin) digests(ctx context.Context, a admission.Attributes, reads []podcontent.Read) (podcontent.Digests, error) {
	out := podcontent.Digests{}
	if len(reads) == 0 {
		return out, nil
	}
	key, err := podcontent.KeyOf(ctx, p.client.CoreV1().Secrets(metav1.NamespaceSystem), a.IsDryRun())
	if err != nil {
		return nil, err
	}
	for _, r := range reads {
		obj, err := p.read(ctx, a.GetNamespace(), r.Object)
		if err != nil {
			return nil, fmt.Errorf("reading %s: %w", r.Object, err)
		}
		if out[r.Object], err = key.Digest(a.GetNamespace(), r, obj); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// read returns an object, nil where it is not there.
func (p *Plugin) read(ctx context.Context, namespace string, o podcontent.Object) (obj metav1.Object, err error) {
	if o.Kind == podcontent.Secret {
		obj, err = p.client.CoreV1().Secrets(namespace).Get(ctx, o.Name, metav1.GetOptions{})
	} else {
		obj, err = p.client.CoreV1().ConfigMaps(namespace).Get(ctx, o.Name, metav1.GetOptions{})
	}
	if apierrors.IsNotFound(err) {
		return nil, nil
	}
	return obj, err
}
