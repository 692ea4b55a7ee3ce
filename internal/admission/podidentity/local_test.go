package podidentity

import (
	"maps"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apiserver/pkg/admission"
	"k8s.io/apiserver/pkg/authentication/user"

	"laterna.dev/laterna/api"
)

// theService leads to the STS of the system.
func theService(ip string) *corev1.Service {
	return &corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: "kube-system", Name: "aws"}, Spec: corev1.ServiceSpec{ClusterIP: ip}}
}

// asking are the annotations of a service account with a role that is led to the STS.
func asking() map[string]string {
	all := map[string]string{api.LocalSTS: "true"}
	maps.Copy(all, annotated())
	return all
}

func TestPodThatAsksIsLedToTheLocalSTS(t *testing.T) {
	w := plugin(t, Settings{Region: "eu-central-1"}, asking(), theService("10.96.3.4"))
	pod := newPod(nil)
	for range 2 { // again changes nothing
		if err := w.creates(t, pod); err != nil {
			t.Fatal(err)
		}
		s := pod.Spec
		if len(s.HostAliases) != 1 || s.HostAliases[0].IP != "10.96.3.4" || len(s.Containers[0].Env) != 7 || len(s.Containers[0].VolumeMounts) != 2 || len(s.Volumes) != 2 {
			t.Errorf("admitted as %+v", s)
		}
		want := "; local STS at 10.96.3.4 for aws.kube-system.svc, sts.amazonaws.com, sts.us-east-1.amazonaws.com, sts.eu-central-1.amazonaws.com; its variables in: c"
		if got := pod.Annotations[api.PodIdentity]; !strings.HasSuffix(got, want) {
			t.Errorf("annotated %q, want %q", got, want)
		}
	}
}

func TestServerLeadsPodsWithARoleAlone(t *testing.T) {
	w := plugin(t, Settings{LocalSTS: true}, annotated(), theService("10.96.3.4"))
	for annotations, want := range map[string]int{"": 1, "false": 0} {
		pod := newPod(func(p *corev1.Pod) {
			if annotations != "" {
				p.Annotations = map[string]string{api.LocalSTS: annotations}
			}
		})
		if err := w.creates(t, pod); err != nil || len(pod.Spec.HostAliases) != want {
			t.Errorf("annotated %q: %+v, %v", annotations, pod.Spec, err)
		}
	}
	w.account.Annotations = nil
	pod := newPod(nil)
	if err := w.creates(t, pod); err != nil || len(pod.Spec.HostAliases) > 0 {
		t.Errorf("without a role: %+v, %v", pod.Spec, err)
	}
}

// TestPodThatCannotBeLedIsRefused has pods never come without what they ask for.
func TestPodThatCannotBeLedIsRefused(t *testing.T) {
	err := plugin(t, Settings{}, asking()).creates(t, newPod(nil))
	if want := `pods "p" is forbidden: where the local STS is, is not known: services "aws" not found`; !apierrors.IsForbidden(err) || err.Error() != want {
		t.Errorf("without the service: %v", err)
	}
	err = plugin(t, Settings{}, asking(), theService("None")).creates(t, newPod(nil))
	if want := `pods "p" is forbidden: the local STS has no address: service kube-system/aws has clusterIP "None"`; !apierrors.IsForbidden(err) || err.Error() != want {
		t.Errorf("without an address: %v", err)
	}
}

func TestSkipLabelKeepsTheLocalSTSAway(t *testing.T) {
	w := plugin(t, Settings{}, asking(), theService("10.96.3.4"))
	pod := newPod(func(p *corev1.Pod) { p.Labels = map[string]string{"eks.amazonaws.com/skip-pod-identity-webhook": ""} })
	if err := w.creates(t, pod); err != nil || len(pod.Spec.HostAliases)+len(pod.Spec.Volumes) > 0 {
		t.Errorf("admitted as %+v, %v", pod.Spec, err)
	}
}

func TestEphemeralContainersOfAPodThatIsLedAreToo(t *testing.T) {
	w := plugin(t, Settings{}, map[string]string{api.LocalSTS: "true"}, theService("10.96.3.4"))
	old := newPod(nil)
	if err := w.creates(t, old); err != nil {
		t.Fatal(err)
	}
	pod := old.DeepCopy()
	pod.Spec.EphemeralContainers = []corev1.EphemeralContainer{{EphemeralContainerCommon: corev1.EphemeralContainerCommon{Name: "new"}}}
	a := admission.NewAttributesRecord(pod, old, corev1.SchemeGroupVersion.WithKind("Pod"), "n", "p",
		corev1.SchemeGroupVersion.WithResource("pods"), "ephemeralcontainers", admission.Update, &metav1.UpdateOptions{}, false, &user.DefaultInfo{Name: "ann"})
	if err := w.Admit(t.Context(), a, nil); err != nil {
		t.Fatal(err)
	}
	if c := pod.Spec.EphemeralContainers[0]; len(c.Env) != 3 || len(c.VolumeMounts) != 1 {
		t.Errorf("the ephemeral container is %+v", c)
	}
}
