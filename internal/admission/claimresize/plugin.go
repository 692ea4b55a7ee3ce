// Package claimresize refuses to enlarge claims of storage that cannot grow: the
// PersistentVolumeClaimResize admission of Kubernetes. What else may change of a claim is in
// internal/registry/core/persistentvolumeclaim; nothing here enlarges a volume.
package claimresize

import (
	"context"
	"errors"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apiserver/pkg/admission"
	"k8s.io/client-go/kubernetes"
	volumehelper "k8s.io/component-helpers/storage/volume"
)

// Why a claim may not ask for more, in upstream's words.
var (
	errUnbound = errors.New("Only bound persistent volume claims can be expanded") //nolint:staticcheck // upstream's text
	errFixed   = errors.New("only dynamically provisioned pvc can be resized and the storageclass that provisions the pvc must support resize")
)

// Plugin admits changes of claims. Its methods may be called concurrently.
type Plugin struct {
	*admission.Handler
	client kubernetes.Interface
}

var _ admission.ValidationInterface = &Plugin{}

// New returns the plugin. It reads a class with client for claims alone that ask for more.
func New(client kubernetes.Interface) *Plugin {
	return &Plugin{admission.NewHandler(admission.Update), client}
}

// Validate implements admission.ValidationInterface.
func (p *Plugin) Validate(ctx context.Context, a admission.Attributes, _ admission.ObjectInterfaces) error {
	now, isClaim := a.GetObject().(*corev1.PersistentVolumeClaim)
	before, wasClaim := a.GetOldObject().(*corev1.PersistentVolumeClaim)
	if a.GetSubresource() != "" || !isClaim || !wasClaim || now.Spec.Resources.Requests.Storage().Cmp(*before.Spec.Resources.Requests.Storage()) <= 0 {
		return nil
	}
	if before.Status.Phase != corev1.ClaimBound {
		return admission.NewForbidden(a, errUnbound)
	}
	may, err := p.grows(ctx, volumehelper.GetPersistentVolumeClaimClass(now), volumehelper.GetPersistentVolumeClaimClass(before))
	switch {
	case err != nil:
		return admission.NewForbidden(a, err)
	case !may:
		return admission.NewForbidden(a, errFixed)
	}
	return nil
}

// grows tells whether volumes of a class can be enlarged; a claim whose class changes has
// none.
func (p *Plugin) grows(ctx context.Context, class, former string) (bool, error) {
	if class == "" || class != former {
		return false, nil
	}
	found, err := p.client.StorageV1().StorageClasses().Get(ctx, class, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	return found.AllowVolumeExpansion != nil && *found.AllowVolumeExpansion, nil
}
