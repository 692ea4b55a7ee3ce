package pod

import (
	"context"
	"net/http"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apiserver/pkg/registry/rest"

	"laterna.dev/laterna/internal/registry/resource"
)

// portForwardREST answers pods/portforward: it says that ports are not forwarded yet.
type portForwardREST struct{ pods *resource.Store[*corev1.Pod] }

var _ rest.Connecter = &portForwardREST{}

// New implements rest.Storage.
func (r *portForwardREST) New() runtime.Object { return &corev1.PodPortForwardOptions{} }

// Destroy implements rest.Storage.
func (r *portForwardREST) Destroy() {}

// ConnectMethods implements rest.Connecter.
func (r *portForwardREST) ConnectMethods() []string { return []string{http.MethodGet, http.MethodPost} }

// NewConnectOptions implements rest.Connecter. What is asked for does not matter.
func (r *portForwardREST) NewConnectOptions() (runtime.Object, bool, string) { return nil, false, "" }

// Connect implements rest.Connecter. It always fails.
func (r *portForwardREST) Connect(ctx context.Context, name string, _ runtime.Object, _ rest.Responder) (http.Handler, error) {
	if _, err := r.pods.Get(ctx, name, &metav1.GetOptions{}); err != nil {
		return nil, err
	}
	return nil, &apierrors.StatusError{ErrStatus: metav1.Status{
		Status: metav1.StatusFailure,
		Code:   http.StatusNotImplemented,
		Reason: metav1.StatusReasonMethodNotAllowed,
		Message: "Laterna does not forward ports of pods yet: on the machine of the pod its address can be reached directly " +
			"(kubectl get pod " + name + " -o wide)",
	}}
}
