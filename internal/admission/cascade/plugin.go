// Package cascade refuses deletions that ask what is to become of the objects that an
// object owns: the garbage collector that would do it is not there, and such an object
// would wait for it for ever.
package cascade

import (
	"context"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apiserver/pkg/admission"
	"k8s.io/utils/ptr"
)

// Plugin refuses deletions.
type Plugin struct{ *admission.Handler }

var _ admission.MutationInterface = &Plugin{}

// New returns the plugin.
func New() *Plugin { return &Plugin{admission.NewHandler(admission.Delete)} }

// Admit implements admission.MutationInterface.
func (*Plugin) Admit(_ context.Context, a admission.Attributes, _ admission.ObjectInterfaces) error {
	options, ok := a.GetOperationOptions().(*metav1.DeleteOptions)
	if !ok || options == nil {
		return nil
	}
	asked, policy := "", ptr.Deref(options.PropagationPolicy, "")
	switch {
	case policy == metav1.DeletePropagationForeground || policy == metav1.DeletePropagationOrphan:
		asked = fmt.Sprintf("propagationPolicy %s", policy)
	case ptr.Deref(options.OrphanDependents, false): //nolint:staticcheck // clients of old send it
		asked = "orphanDependents"
	default:
		return nil
	}
	return apierrors.NewBadRequest(fmt.Sprintf("%s is not served: no garbage collector deletes or orphans what %s %q owns, and it would never go; delete with propagationPolicy Background (kubectl delete --cascade=background)",
		asked, a.GetResource().Resource, a.GetName()))
}
