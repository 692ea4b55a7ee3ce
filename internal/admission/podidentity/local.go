package podidentity

import (
	"context"
	"fmt"
	"net/netip"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apiserver/pkg/admission"

	aws "laterna.dev/laterna/internal/aws/podidentity"
)

// stsService leads to the STS of this system, see internal/registry/systemobjects.
const stsService = "aws"

// local is what leads a pod to the STS of this system, nil for a pod that does not ask for
// it. One that does is refused where the address is not known.
func (p *Plugin) local(ctx context.Context, a admission.Attributes, pod *corev1.Pod, account *corev1.ServiceAccount, role bool) (*aws.LocalSTS, error) {
	if !p.settings.WantsLocalSTS(pod.Annotations, account.Annotations, role) {
		return nil, nil
	}
	s, err := p.client.CoreV1().Services(metav1.NamespaceSystem).Get(ctx, stsService, metav1.GetOptions{})
	if err != nil {
		return nil, admission.NewForbidden(a, fmt.Errorf("where the local STS is, is not known: %w", err))
	}
	at, err := netip.ParseAddr(s.Spec.ClusterIP)
	if err != nil {
		return nil, admission.NewForbidden(a, fmt.Errorf("the local STS has no address: service %s/%s has clusterIP %q", s.Namespace, s.Name, s.Spec.ClusterIP))
	}
	return p.settings.DecideLocal(pod, at), nil
}
