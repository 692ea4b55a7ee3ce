package compat

import (
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	v1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"laterna.dev/laterna/internal/clock"
	"laterna.dev/laterna/internal/pki"
)

// TestWebhookInAPod asks a webhook behind a service whose pod runs on the system's own node
// about everything, with failures that refuse: the system must come up again with it.
func TestWebhookInAPod(t *testing.T) {
	t.Parallel()
	s := started(t)
	client := s.client(t)
	bundle := s.webhookPod(t)
	everything := v1.ValidatingWebhook{
		Name:         "everything.k8s.io.example",
		ClientConfig: v1.WebhookClientConfig{CABundle: bundle, Service: &v1.ServiceReference{Namespace: "default", Name: "reviewer", Path: new("/deny-maps"), Port: new(int32(443))}},
		Rules: []v1.RuleWithOperations{{Operations: []v1.OperationType{v1.OperationAll}, Rule: v1.Rule{
			APIGroups: []string{"*"}, APIVersions: []string{"*"}, Resources: []string{"*/*"}}}},
		SideEffects: new(v1.SideEffectClassNone), AdmissionReviewVersions: []string{"v1"}, TimeoutSeconds: new(int32(5)),
	}
	if _, err := client.AdmissionregistrationV1().ValidatingWebhookConfigurations().Create(t.Context(), &v1.ValidatingWebhookConfiguration{
		ObjectMeta: metav1.ObjectMeta{Name: "everything"}, Webhooks: []v1.ValidatingWebhook{everything}}, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	refuses := func() error {
		_, err := client.CoreV1().ConfigMaps("default").Create(t.Context(), &corev1.ConfigMap{
			ObjectMeta: metav1.ObjectMeta{GenerateName: "marker-"}, Data: map[string]string{"webhook-e2e-test": "webhook-disallow"}}, metav1.CreateOptions{})
		if err == nil || !strings.Contains(err.Error(), `admission webhook "everything.k8s.io.example" denied the request: the configmap contains unwanted key and value`) {
			return fmt.Errorf("the webhook is not asked, or does not answer: %v", err)
		}
		return nil
	}
	eventually(t, 20*time.Second, refuses)

	s.Kill()
	if err := s.Start(); err != nil {
		t.Fatal(err)
	}
	client = s.client(t)
	eventually(t, 20*time.Second, refuses)
	s.sh(t, "kubectl wait --for=condition=Ready --timeout=30s node --all && kubectl get pod reviewer")
	if out := s.sh(t, "kubectl run more --image=busybox --restart=Never -- true && kubectl wait --for=jsonpath='{.status.phase}'=Succeeded --timeout=40s pod/more"); !strings.Contains(out, "condition met") {
		t.Errorf("a pod beside it: %s", out)
	}

	// Its pod is gone: nothing can be written any more, but who reads the error knows why, and
	// the configuration can be deleted.
	s.sh(t, "kubectl delete pod reviewer --grace-period=1 --wait=false")
	var err error
	eventually(t, 30*time.Second, func() error {
		if _, err = client.CoreV1().ConfigMaps("default").Create(t.Context(), &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{GenerateName: "m-"}}, metav1.CreateOptions{}); err == nil {
			return fmt.Errorf("everything is taken")
		}
		return nil
	})
	// Whether its endpoint is gone or only silent depends on who was faster: that it is gone
	// has to be written, too.
	if !apierrors.IsInternalError(err) {
		t.Errorf("refused with %v", err)
	}
	contains(t, err.Error(), `failed calling webhook "everything.k8s.io.example": failed to call webhook: Post "https://reviewer.default.svc:443/deny-maps?timeout=5s": `,
		"kubectl delete validatingwebhookconfigurations everything")
	s.sh(t, "kubectl delete validatingwebhookconfigurations everything")
	eventually(t, 10*time.Second, func() error {
		_, err := client.CoreV1().ConfigMaps("default").Create(t.Context(), &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{GenerateName: "m-"}}, metav1.CreateOptions{})
		return err
	})
}

// webhookPod runs a pod that speaks TLS for a webhook in the test, as default/reviewer, and
// returns what it is known by.
func (s *system) webhookPod(t *testing.T) (bundle []byte) {
	t.Helper()
	listener, err := net.Listen("tcp4", "0.0.0.0:0")
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: http.HandlerFunc(answerReview), ReadHeaderTimeout: stepTimeout}
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(func() { server.Close() })
	authority, err := pki.OpenAuthority(t.TempDir(), clock.Real())
	if err != nil {
		t.Fatal(err)
	}
	pair, err := authority.Pair(pki.Leaf{Name: "reviewer", CommonName: "reviewer", Server: true, Hosts: []string{"reviewer.default.svc"}})
	if err != nil {
		t.Fatal(err)
	}
	certificate, key, err := pair.PEM()
	if err != nil {
		t.Fatal(err)
	}
	config := fmt.Sprintf(`events {}
http { client_max_body_size 0; server { listen 8443 ssl; ssl_certificate /tls/tls.crt; ssl_certificate_key /tls/tls.key; location / { proxy_pass http://%s:%d; } } }
`, s.nodeIP(t), listener.Addr().(*net.TCPAddr).Port)
	client := s.client(t).CoreV1()
	_, err = client.Secrets("default").Create(t.Context(), &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: "reviewer"},
		Data: map[string][]byte{"tls.crt": certificate, "tls.key": key, "nginx.conf": []byte(config)}}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	_, err = client.Services("default").Create(t.Context(), &corev1.Service{ObjectMeta: metav1.ObjectMeta{Name: "reviewer"}, Spec: corev1.ServiceSpec{
		Selector: map[string]string{"app": "reviewer"}, Ports: []corev1.ServicePort{{Port: 443, TargetPort: intstr.FromString("webhook")}}}}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "reviewer", Labels: map[string]string{"app": "reviewer"}}, Spec: corev1.PodSpec{
		Containers: []corev1.Container{{
			Name: "nginx", Image: "nginx:alpine", Command: []string{"nginx", "-c", "/tls/nginx.conf", "-g", "daemon off;"},
			Ports: []corev1.ContainerPort{{Name: "webhook", ContainerPort: 8443}}, VolumeMounts: []corev1.VolumeMount{{Name: "tls", MountPath: "/tls"}},
			ReadinessProbe: everySecond(tcpProbe(8443)),
		}},
		Volumes: []corev1.Volume{{Name: "tls", VolumeSource: corev1.VolumeSource{Secret: &corev1.SecretVolumeSource{SecretName: "reviewer"}}}},
	}}
	if _, err := client.Pods("default").Create(t.Context(), pod, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	s.sh(t, "kubectl wait --for=condition=Ready --timeout=40s pod/reviewer")
	return authority.PEM()
}
