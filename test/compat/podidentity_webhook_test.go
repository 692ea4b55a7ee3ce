package compat

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"net/http"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"laterna.dev/laterna/internal/clock"
	"laterna.dev/laterna/internal/pki"
)

// standAlone runs `laterna webhook` beside a system, with the rights that it needs and no
// more, and has the system ask it about pods. It returns where its metrics are and what ends
// it.
func (d desk) standAlone(t *testing.T, flags ...string) (reviews, metrics string, end func() error) {
	t.Helper()
	dir := t.TempDir()
	authority, err := pki.OpenAuthority(dir, clock.Real())
	if err != nil {
		t.Fatal(err)
	}
	pair, err := authority.Pair(pki.Leaf{Name: "webhook", CommonName: "webhook", Server: true, IPs: []net.IP{net.IPv4(127, 0, 0, 1)}})
	if err != nil {
		t.Fatal(err)
	}
	d.sh(t, "kubectl create clusterrole pod-identity --verb=get,list,watch --resource=serviceaccounts && kubectl create clusterrolebinding pod-identity --clusterrole=pod-identity --user=pod-identity")
	config := filepath.Join(dir, "kubeconfig")
	d.sh(t, "laterna kubeconfig --data-dir "+d.Dir+" --user pod-identity > "+config)
	port, metricsPort := freePort(t), freePort(t)
	var log bytes.Buffer
	cmd := exec.CommandContext(context.Background(), programs.Path("laterna"), append([]string{"webhook", "--kubeconfig=" + config, "--tls-cert=" + pair.CertFile(), "--tls-key=" + pair.KeyFile(),
		"--port=" + port, "--metrics-port=" + metricsPort}, flags...)...)
	cmd.Env, cmd.Stdout, cmd.Stderr = d.Environ(), &log, &log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	end = func() error {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		select {
		case err := <-ended:
			ended <- err
			return err
		case <-time.After(12 * time.Second):
			return fmt.Errorf("it has not ended 12 s after SIGTERM")
		}
	}
	t.Cleanup(func() {
		if err := end(); err != nil {
			t.Errorf("the webhook ended with %v:\n%s", err, log.String())
		}
	})
	reviews, metrics = "https://127.0.0.1:"+port, "http://127.0.0.1:"+metricsPort
	eventually(t, 20*time.Second, func() error { _, err := fetched(t.Context(), http.DefaultClient, metrics+"/healthz"); return err })
	d.sh(t, "laterna webhook --print-manifests --failure-policy=Fail --url "+reviews+"/mutate --ca-file "+filepath.Join(dir, "ca.crt")+" | kubectl apply -f -")
	return reviews, metrics, end
}

// fetched is the body of an answer with status 200.
func fetched(ctx context.Context, client *http.Client, url string) (string, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return "", err
	}
	w, err := client.Do(r)
	if err != nil {
		return "", err
	}
	defer w.Body.Close()
	raw, err := io.ReadAll(w.Body)
	if err == nil && w.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s", w.Status, raw)
	}
	return string(raw), err
}

// TestStandAloneWebhookInjectsAsTheServerDoes has a system ask the webhook for other
// clusters about pods, by TLS. Its annotations have another prefix, so that one system shows
// both.
func TestStandAloneWebhookInjectsAsTheServerDoes(t *testing.T) {
	d := newDesk(t)
	const other = "irsa.example.com"
	reviews, metrics, end := d.standAlone(t, "--annotation-prefix="+other)
	eventually(t, 20*time.Second, func() error { // the API server learns of the configuration
		d.accountOf(t, "probe", other, myRole)
		if pod := d.ofAccount(t, d.ns, "probe", nil); len(pod.Spec.Containers[0].Env) == 0 {
			return fmt.Errorf("nobody is asked")
		}
		return nil
	})
	always := corev1.ContainerRestartPolicyAlways
	for name, change := range map[string]func(*corev1.Pod){
		"plain": nil,
		"init": func(p *corev1.Pod) {
			p.Spec.InitContainers = []corev1.Container{{Name: "first", Image: "busybox:1.28"}, {Name: "sidecar", Image: "busybox:1.28", RestartPolicy: &always}}
		},
		"skipped": func(p *corev1.Pod) { p.Labels = map[string]string{"eks.amazonaws.com/skip-pod-identity-webhook": ""} },
		"windows": func(p *corev1.Pod) { p.Spec.NodeSelector = map[string]string{"kubernetes.io/os": "windows"} },
		"half":    func(p *corev1.Pod) { p.Spec.Containers[0].Env = []corev1.EnvVar{{Name: "AWS_ROLE_ARN", Value: "x"}} },
	} {
		d.accountOf(t, "own-"+name, "eks.amazonaws.com", myRole)
		d.accountOf(t, "other-"+name, other, myRole)
		own, reviewed := d.ofAccount(t, d.ns, "own-"+name, change), d.ofAccount(t, d.ns, "other-"+name, change)
		if got, want := given(reviewed, &reviewed.Spec.Containers[0]), given(own, &own.Spec.Containers[0]); got != want {
			t.Errorf("%s: the webhook gives %s\nthe server %s", name, got, want)
		}
		for i := range own.Spec.InitContainers {
			if got, want := given(reviewed, &reviewed.Spec.InitContainers[i]), given(own, &own.Spec.InitContainers[i]); got != want || !strings.Contains(got, "AWS_ROLE_ARN=") {
				t.Errorf("%s: the webhook gives an init container %s\nthe server %s", name, got, want)
			}
		}
	}
	for i := range 50 { // it has no cache to wait for
		account := fmt.Sprintf("late-%d", i)
		d.accountOf(t, account, other, myRole)
		if pod := d.ofAccount(t, d.ns, account, nil); !strings.Contains(given(pod, &pod.Spec.Containers[0]), "AWS_ROLE_ARN="+myRole) {
			t.Errorf("the pod of %s has no role", account)
		}
	}
	d.checkServed(t, reviews, metrics)
	if err := end(); err != nil {
		t.Error(err)
	}
	if _, err := d.client.CoreV1().Pods(d.ns).Create(t.Context(), &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "alone"},
		Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "main", Image: "busybox:1.28"}}}}, metav1.CreateOptions{}); err == nil {
		t.Error("with the failure policy Fail a pod comes though the webhook has ended")
	}
}

// accountOf makes a service account, or sees that there is one, with a role by a prefix.
func (d desk) accountOf(t *testing.T, name, prefix, role string) {
	t.Helper()
	_, err := d.client.CoreV1().ServiceAccounts(d.ns).Create(t.Context(), &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: name}}, metav1.CreateOptions{})
	if err != nil && !apierrors.IsAlreadyExists(err) {
		t.Fatal(err)
	}
	patch := fmt.Appendf(nil, `{"metadata":{"annotations":{%q:%q}}}`, prefix+"/role-arn", role)
	if _, err := d.client.CoreV1().ServiceAccounts(d.ns).Patch(t.Context(), name, types.MergePatchType, patch, metav1.PatchOptions{}); err != nil {
		t.Fatal(err)
	}
}

// checkServed asks for what there is beside reviews.
func (d desk) checkServed(t *testing.T, reviews, metrics string) {
	t.Helper()
	text, err := fetched(t.Context(), http.DefaultClient, metrics+"/metrics")
	if err != nil {
		t.Fatal(err)
	}
	contains(t, text, `http_request_count{code="200",path="/mutate",verb="POST"}`, `pod_identity_webhook_pod_count{method="sts_web_identity"}`, "pod_identity_webhook_used 1")
	configured, err := d.client.AdmissionregistrationV1().MutatingWebhookConfigurations().Get(t.Context(), "pod-identity-webhook", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(configured.Webhooks[0].ClientConfig.CABundle)
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}}}
	defer client.CloseIdleConnections()
	if text, err := fetched(t.Context(), client, reviews+"/healthz"); text != "ok" || err != nil {
		t.Errorf("its health: %q, %v", text, err)
	}
	if _, err := fetched(t.Context(), client, reviews+"/mutate"); err == nil || !strings.Contains(err.Error(), "415 Unsupported Media Type: Invalid Content-Type, expected `application/json`") {
		t.Errorf("asked without a review: %v", err)
	}
}
