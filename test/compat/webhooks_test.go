package compat

import (
	"context"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	admissionv1 "k8s.io/api/admission/v1"
	v1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// reviewer is a webhook server in the test, and a namespace whose objects it is asked
// about.
type reviewer struct {
	*stage
	*httptest.Server
	ns string
}

// answerReview answers what a webhook is asked.
func answerReview(w http.ResponseWriter, r *http.Request) {
	var review admissionv1.AdmissionReview
	if err := json.NewDecoder(r.Body).Decode(&review); err != nil || review.Request == nil {
		http.Error(w, "no review", http.StatusBadRequest)
		return
	}
	review.Response = webhookAnswer(r.Context(), r.URL.Path, review.Request)
	review.Response.UID, review.Request = review.Request.UID, nil
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(review) // whoever asked may have gone
}

// hooks starts a webhook server for a namespace of its own.
func (s *stage) hooks(t *testing.T) *reviewer {
	t.Helper()
	h := &reviewer{stage: s, ns: s.ns[:min(len(s.ns), 40)] + "-" + s.name("hooks"), Server: httptest.NewTLSServer(http.HandlerFunc(answerReview))}
	t.Cleanup(h.Close)
	_, err := s.client.CoreV1().Namespaces().Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: h.ns}}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.client.CoreV1().Namespaces().Delete(context.Background(), h.ns, metav1.DeleteOptions{}) })
	// Pods need the account, which a controller makes.
	eventually(t, 10*time.Second, func() error {
		_, err := s.client.CoreV1().ServiceAccounts(h.ns).Get(t.Context(), "default", metav1.GetOptions{})
		return err
	})
	return h
}

// meta names a configuration, which the test removes at its end with all that have its
// label.
func (h *reviewer) meta(labelled bool) metav1.ObjectMeta {
	m := metav1.ObjectMeta{Name: h.name(h.ns)}
	if labelled {
		m.Labels = map[string]string{"list": h.ns}
	}
	return m
}

// at is how the server is reached at a path.
func (h *reviewer) at(path string) v1.WebhookClientConfig {
	return v1.WebhookClientConfig{URL: new(h.URL + path), CABundle: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: h.Certificate().Raw})}
}

func (h *reviewer) rules(resource string) []v1.RuleWithOperations {
	return []v1.RuleWithOperations{{Operations: []v1.OperationType{v1.Create, v1.Update}, Rule: v1.Rule{
		APIGroups: []string{""}, APIVersions: []string{"v1"}, Resources: []string{resource}}}}
}

// own selects the namespace.
func (h *reviewer) own() *metav1.LabelSelector {
	return &metav1.LabelSelector{MatchLabels: map[string]string{corev1.LabelMetadataName: h.ns}}
}

// hook is a webhook that may refuse objects of the namespace.
func (h *reviewer) hook(name, path, resource string) v1.ValidatingWebhook {
	return v1.ValidatingWebhook{Name: name + ".k8s.io.example", ClientConfig: h.at(path), Rules: h.rules(resource), NamespaceSelector: h.own(),
		SideEffects: new(v1.SideEffectClassNone), AdmissionReviewVersions: []string{"v1", "v1beta1"}}
}

// changing is a webhook that may change objects of the namespace.
func (h *reviewer) changing(name, path, resource string) v1.MutatingWebhook {
	return v1.MutatingWebhook{Name: name + ".k8s.io.example", ClientConfig: h.at(path), Rules: h.rules(resource), NamespaceSelector: h.own(),
		SideEffects: new(v1.SideEffectClassNone), AdmissionReviewVersions: []string{"v1", "v1beta1"}}
}

// validating makes a configuration in which /deny-maps is, and waits until that is asked.
func (h *reviewer) validating(t *testing.T, hooks ...v1.ValidatingWebhook) *v1.ValidatingWebhookConfiguration {
	t.Helper()
	c := h.validatingUnmarked(t, hooks...)
	h.refuses(t, true)
	return c
}

func (h *reviewer) validatingUnmarked(t *testing.T, hooks ...v1.ValidatingWebhook) *v1.ValidatingWebhookConfiguration {
	t.Helper()
	all := h.client.AdmissionregistrationV1().ValidatingWebhookConfigurations()
	c, err := all.Create(t.Context(), &v1.ValidatingWebhookConfiguration{ObjectMeta: h.meta(false), Webhooks: hooks}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = all.Delete(context.Background(), c.Name, metav1.DeleteOptions{}) })
	return c
}

// mutating makes a configuration in which /stage-1 is, and waits until that is asked; where
// it is about pods only, callers name a marker besides.
func (h *reviewer) mutating(t *testing.T, hooks ...v1.MutatingWebhook) *v1.MutatingWebhookConfiguration {
	t.Helper()
	c := h.mutatingUnmarked(t, hooks...)
	h.changes(t, true)
	return c
}

func (h *reviewer) mutatingUnmarked(t *testing.T, hooks ...v1.MutatingWebhook) *v1.MutatingWebhookConfiguration {
	t.Helper()
	return h.mutatingNamed(t, h.meta(false), hooks)
}

// labelled makes a configuration that lists find.
func (h *reviewer) labelled(t *testing.T, hooks ...v1.MutatingWebhook) {
	t.Helper()
	h.mutatingNamed(t, h.meta(true), hooks)
}

func (h *reviewer) mutatingNamed(t *testing.T, meta metav1.ObjectMeta, hooks []v1.MutatingWebhook) *v1.MutatingWebhookConfiguration {
	t.Helper()
	all := h.client.AdmissionregistrationV1().MutatingWebhookConfigurations()
	c, err := all.Create(t.Context(), &v1.MutatingWebhookConfiguration{ObjectMeta: meta, Webhooks: hooks}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = all.Delete(context.Background(), c.Name, metav1.DeleteOptions{}) })
	return c
}

// create creates a ConfigMap in the namespace.
func (h *reviewer) create(t *testing.T, data map[string]string) (*corev1.ConfigMap, error) {
	t.Helper()
	return h.client.CoreV1().ConfigMaps(h.ns).Create(t.Context(), &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: h.name("marker")}, Data: data}, metav1.CreateOptions{})
}

// refuses waits until /deny-maps is asked, or is no longer.
func (h *reviewer) refuses(t *testing.T, want bool) {
	t.Helper()
	eventually(t, 10*time.Second, func() error {
		if _, err := h.create(t, map[string]string{"webhook-e2e-test": "webhook-disallow"}); (err != nil) != want {
			return fmt.Errorf("a ConfigMap that is to be refused: %v", err)
		}
		return nil
	})
}

// changes waits until /stage-1 is asked, or is no longer.
func (h *reviewer) changes(t *testing.T, want bool) {
	t.Helper()
	eventually(t, 10*time.Second, func() error {
		made, err := h.create(t, map[string]string{"mutation-start": "yes"})
		if err != nil {
			return err
		}
		if (made.Data["mutation-stage-1"] != "") != want {
			return fmt.Errorf("a ConfigMap that is to be changed: %v", made.Data)
		}
		return nil
	})
}

// TestWebhooksPage makes the configuration of the page, whose webhook is not there, and
// does what the page says.
func TestWebhooksPage(t *testing.T) {
	t.Parallel()
	s := started(t, "--node=false")
	const page = "docs/webhooks.md"
	raw, err := os.ReadFile("../../" + page)
	if err != nil {
		t.Fatal(err)
	}
	_, manifest, _ := strings.Cut(string(raw), "```yaml\n")
	manifest, _, _ = strings.Cut(manifest, "```")
	s.apply(t, "default", manifest)
	eventually(t, 10*time.Second, func() error {
		if s.command(t, "kubectl", "create", "configmap", "probe", "--dry-run=server").Run() == nil {
			return fmt.Errorf("the webhook is not asked yet")
		}
		return nil
	})
	for _, step := range example(t, page) {
		var out []byte
		eventually(t, 10*time.Second, func() error {
			out, _ = s.command(t, "bash", "-c", step.command).CombinedOutput()
			if string(out) != step.output && strings.HasSuffix(step.output, " created\n") {
				return fmt.Errorf("$ %s\nprints\n%s", step.command, out) // the server is about to see the deletion
			}
			return nil
		})
		if string(out) != step.output {
			t.Errorf("$ %s\nprints\n%s\nthe page shows\n%s", step.command, out, step.output)
		}
	}
}
