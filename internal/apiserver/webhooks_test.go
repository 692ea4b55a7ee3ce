package apiserver_test

import (
	"context"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	admissionv1 "k8s.io/api/admission/v1"
	v1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
)

// asked is what a webhook was asked, as far as tests look at it.
type asked = admissionv1.AdmissionRequest

// hookServer is a webhook that answers as a test likes.
type hookServer struct {
	*httptest.Server
	calls atomic.Int32
}

// newHook serves answers of webhooks until the test ends.
func newHook(t *testing.T, answer func(*asked) *admissionv1.AdmissionResponse) *hookServer {
	t.Helper()
	return newRawHook(t, func(w http.ResponseWriter, r *http.Request) {
		var review admissionv1.AdmissionReview
		if err := json.NewDecoder(r.Body).Decode(&review); err != nil || review.Request == nil {
			t.Errorf("asked %v, %v", review, err)
			return
		}
		if r.Header.Get("Authorization") != "" || len(r.TLS.PeerCertificates) > 0 {
			t.Error("the webhook is given credentials")
		}
		review.Response = answer(review.Request)
		review.Response.UID = review.Request.UID
		review.Request = nil
		w.Header().Set("Content-Type", "application/json")
		if err := json.NewEncoder(w).Encode(review); err != nil {
			t.Log(err)
		}
	})
}

func newRawHook(t *testing.T, serve http.HandlerFunc) *hookServer {
	t.Helper()
	h := &hookServer{}
	h.Server = httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h.calls.Add(1)
		serve(w, r)
	}))
	t.Cleanup(h.Close)
	return h
}

// certificate is the bundle by which a webhook is known.
func (h *hookServer) certificate() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: h.Certificate().Raw})
}

// about is a rule for writes of resources of the core group, subresources among them.
func about(resources ...string) []v1.RuleWithOperations {
	return []v1.RuleWithOperations{{Operations: []v1.OperationType{v1.OperationAll}, Rule: v1.Rule{
		APIGroups: []string{""}, APIVersions: []string{"v1"}, Resources: resources}}}
}

// validatingHook asks a webhook to validate, and waits until it is asked.
func (s *system) validatingHook(h *hookServer, change func(*v1.ValidatingWebhook), resources ...string) {
	s.t.Helper()
	w := v1.ValidatingWebhook{
		Name: "validate.example.com", ClientConfig: v1.WebhookClientConfig{URL: &h.URL, CABundle: h.certificate()},
		Rules: about(resources...), SideEffects: ptr.To(v1.SideEffectClassNone), AdmissionReviewVersions: []string{"v1"},
		TimeoutSeconds: ptr.To[int32](2),
	}
	if change != nil {
		change(&w)
	}
	_, err := s.admin().AdmissionregistrationV1().ValidatingWebhookConfigurations().Create(s.t.Context(), &v1.ValidatingWebhookConfiguration{
		ObjectMeta: metav1.ObjectMeta{Name: "validating"}, Webhooks: []v1.ValidatingWebhook{w}}, metav1.CreateOptions{})
	must(s.t, err)
}

// mutatingHook asks a webhook to change objects.
func (s *system) mutatingHook(name string, h *hookServer, change func(*v1.MutatingWebhook), resources ...string) {
	s.t.Helper()
	w := v1.MutatingWebhook{
		Name: name + ".example.com", ClientConfig: v1.WebhookClientConfig{URL: &h.URL, CABundle: h.certificate()},
		Rules: about(resources...), SideEffects: ptr.To(v1.SideEffectClassNone), AdmissionReviewVersions: []string{"v1"},
		TimeoutSeconds: ptr.To[int32](2),
	}
	if change != nil {
		change(&w)
	}
	_, err := s.admin().AdmissionregistrationV1().MutatingWebhookConfigurations().Create(s.t.Context(), &v1.MutatingWebhookConfiguration{
		ObjectMeta: metav1.ObjectMeta{Name: name}, Webhooks: []v1.MutatingWebhook{w}}, metav1.CreateOptions{})
	must(s.t, err)
}

// create tries to create a ConfigMap.
func (s *system) create(name string, data map[string]string) (*corev1.ConfigMap, error) {
	s.t.Helper()
	return s.admin().CoreV1().ConfigMaps("default").Create(s.t.Context(),
		&corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{GenerateName: name + "-"}, Data: data}, metav1.CreateOptions{})
}

// refusal creates ConfigMaps until one is refused.
func (s *system) refusal(data map[string]string) (refused error) {
	s.t.Helper()
	eventually(s.t, func() error {
		if _, refused = s.create("marker", data); refused == nil {
			return fmt.Errorf("everything is taken")
		}
		return nil
	})
	return refused
}

func patch(p string) *admissionv1.AdmissionResponse {
	return &admissionv1.AdmissionResponse{Allowed: true, Patch: []byte(p), PatchType: ptr.To(admissionv1.PatchTypeJSONPatch)}
}

func TestWebhookRefuses(t *testing.T) {
	s := boot(t, t.TempDir())
	h := newHook(t, func(r *asked) *admissionv1.AdmissionResponse {
		if strings.Contains(string(r.Object.Raw), "fine") {
			return &admissionv1.AdmissionResponse{Allowed: true, Warnings: []string{"take care"}}
		}
		return &admissionv1.AdmissionResponse{Result: &metav1.Status{Message: "because", Code: http.StatusTeapot}}
	})
	s.validatingHook(h, func(w *v1.ValidatingWebhook) {
		w.MatchConditions = []v1.MatchCondition{{Name: "not-spared", Expression: "!('spared' in object.data)"}}
	}, "configmaps")
	err := s.refusal(map[string]string{"a": "b"})
	if want := `admission webhook "validate.example.com" denied the request: because`; err.Error() != want || err.(apierrors.APIStatus).Status().Code != http.StatusTeapot {
		t.Errorf("got  %v\nwant %s", err, want)
	}
	if _, err := s.create("a", map[string]string{"a": "fine"}); err != nil {
		t.Error(err)
	}
	calls := h.calls.Load()
	if _, err := s.create("a", map[string]string{"spared": "x"}); err != nil || h.calls.Load() != calls {
		t.Errorf("what no condition matches: %v, asked %d times", err, h.calls.Load()-calls)
	}
}

func TestWebhookChangesObjectsBeforeTheyAreChecked(t *testing.T) {
	s := boot(t, t.TempDir())
	must(t, makeAccount(t, s))
	h := newHook(t, func(r *asked) *admissionv1.AdmissionResponse {
		if r.Kind.Kind != "Pod" || r.Namespace != "default" || r.UserInfo.Username != "admin" {
			t.Errorf("asked about %+v", r)
		}
		return patch(`[{"op": "add", "path": "/spec/initContainers", "value": [{"name": "added", "image": "b"}]}]`)
	})
	s.mutatingHook("change", h, nil, "pods")
	pods := s.admin().CoreV1().Pods("default")
	eventually(t, func() error {
		pod, err := pods.Create(t.Context(), &corev1.Pod{ObjectMeta: metav1.ObjectMeta{GenerateName: "p-"}, Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "c", Image: "b"}}}}, metav1.CreateOptions{})
		must(t, err)
		if len(pod.Spec.InitContainers) != 1 {
			return fmt.Errorf("nothing is added yet")
		}
		// Defaults, and what the plugin of service accounts adds on the second round.
		added := pod.Spec.InitContainers[0]
		if added.TerminationMessagePolicy != corev1.TerminationMessageReadFile || len(added.VolumeMounts) != 1 || len(pod.Spec.Volumes) != 1 {
			t.Errorf("added %+v", added)
		}
		return nil
	})
}

// makeAccount makes what pods of the namespace default need to be admitted.
func makeAccount(t *testing.T, s *system) error {
	_, err := s.admin().CoreV1().ServiceAccounts("default").Create(t.Context(), &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: "default"}}, metav1.CreateOptions{})
	return err
}

func TestWebhooksAreAskedAgainWhenTheyWantTo(t *testing.T) {
	s := boot(t, t.TempDir())
	add := func(key string) func(*asked) *admissionv1.AdmissionResponse {
		return func(r *asked) *admissionv1.AdmissionResponse {
			var m corev1.ConfigMap
			must(t, json.Unmarshal(r.Object.Raw, &m))
			return patch(fmt.Sprintf(`[{"op": "add", "path": "/data/%s%d", "value": "x"}]`, key, len(m.Data)))
		}
	}
	first, second := newHook(t, add("first")), newHook(t, add("second"))
	s.mutatingHook("a", first, func(w *v1.MutatingWebhook) { w.ReinvocationPolicy = ptr.To(v1.IfNeededReinvocationPolicy) }, "configmaps")
	s.mutatingHook("b", second, nil, "configmaps")
	eventually(t, func() error {
		m, err := s.create("m", map[string]string{"own": "x"})
		must(t, err)
		if len(m.Data) < 3 {
			return fmt.Errorf("not all are asked yet: %v", m.Data)
		}
		if got := fmt.Sprint(m.Data); got != "map[first1:x first3:x own:x second2:x]" {
			t.Errorf("data %s", got)
		}
		return nil
	})
}

func TestFailingWebhookSaysWhatToDo(t *testing.T) {
	s := boot(t, t.TempDir())
	h := newHook(t, func(*asked) *admissionv1.AdmissionResponse { return &admissionv1.AdmissionResponse{} })
	h.Close()
	s.validatingHook(h, nil, "configmaps")
	err := s.refusal(nil)
	for _, part := range []string{
		`Internal error occurred: failed calling webhook "validate.example.com": failed to call webhook: Post "` + h.URL + `/?timeout=2s": dial tcp`,
		`(ValidatingWebhookConfiguration "validating" has this webhook with failurePolicy Fail; if it cannot be brought back: kubectl delete validatingwebhookconfigurations validating)`,
	} {
		if !apierrors.IsInternalError(err) || !strings.Contains(err.Error(), part) {
			t.Errorf("got   %v\nlacks %s", err, part)
		}
	}
	metrics, err := s.admin().CoreV1().RESTClient().Get().AbsPath("/metrics").DoRaw(t.Context())
	must(t, err)
	if want := `apiserver_admission_webhook_rejection_count{error_type="calling_webhook_error",name="validate.example.com",operation="CREATE",`; !strings.Contains(string(metrics), want) {
		t.Errorf("metrics lack %s", want)
	}
	// The way out is always open.
	must(t, s.admin().AdmissionregistrationV1().ValidatingWebhookConfigurations().Delete(t.Context(), "validating", metav1.DeleteOptions{}))
	eventually(t, func() error {
		_, err := s.create("m", nil)
		return err
	})
}

// TestHostileWebhooks tries answers that no webhook should give.
func TestHostileWebhooks(t *testing.T) {
	s := boot(t, t.TempDir())
	must(t, makeAccount(t, s))
	target := newRawHook(t, func(http.ResponseWriter, *http.Request) { t.Error("a redirect is followed") })
	var serve atomic.Pointer[http.HandlerFunc]
	h := newRawHook(t, func(w http.ResponseWriter, r *http.Request) {
		if f := serve.Load(); f != nil {
			(*f)(w, r)
		}
	})
	s.mutatingHook("hostile", h, nil, "configmaps", "pods")
	s.refusal(nil)
	uid := func(r *http.Request) string {
		var review admissionv1.AdmissionReview
		must(t, json.NewDecoder(r.Body).Decode(&review))
		return string(review.Request.UID)
	}
	answer := func(w io.Writer, uid, rest string) {
		fmt.Fprintf(w, `{"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "response": {"uid": %q, "allowed": true%s}}`, uid, rest)
	}
	patched := func(p string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			encoded, err := json.Marshal([]byte(p))
			must(t, err)
			answer(w, uid(r), `, "patchType": "JSONPatch", "patch": `+string(encoded))
		}
	}
	// Each copy doubles what is there.
	doubling := `[{"op": "add", "path": "/data", "value": {"a": "` + strings.Repeat("x", 1000) + `"}}`
	for i := range 30 {
		doubling += fmt.Sprintf(`, {"op": "copy", "from": "/data", "path": "/metadata/annotations"}, {"op": "copy", "from": "/metadata", "path": "/data/k%d"}`, i)
	}
	for name, tc := range map[string]struct {
		serve http.HandlerFunc
		want  string
	}{
		"redirects": {func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, target.URL, http.StatusTemporaryRedirect)
		}, "redirects are not followed"},
		"never answers":   {func(_ http.ResponseWriter, r *http.Request) { _, _ = io.Copy(io.Discard, r.Body); <-r.Context().Done() }, "context deadline exceeded"},
		"never ends":      {pieces(0), "context deadline exceeded"},
		"sends for ever":  {pieces(1 << 16), "reading the webhook's answer: too large: more than 4194304 bytes"},
		"answers another": {func(w http.ResponseWriter, _ *http.Request) { answer(w, "other", "") }, `expected response.uid="`},
		"answers in YAML": {func(w http.ResponseWriter, r *http.Request) {
			fmt.Fprintf(w, "kind: AdmissionReview\nresponse: {allowed: true, uid: %s}", uid(r))
		}, "the webhook's answer is not an AdmissionReview in JSON"},
		"nonsense":            {func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, `{"response": 5}`) }, "the webhook's answer is not an AdmissionReview"},
		"error":               {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadGateway) }, "failed to call webhook: an error on the server"},
		"patch without type":  {func(w http.ResponseWriter, r *http.Request) { answer(w, uid(r), `, "patch": "W10="`) }, "webhook returned response.patch but not response.patchType"},
		"patch of no sense":   {patched(`[{"op": "remove", "path": "/no/such"}]`), "Internal error occurred: "},
		"patch that doubles":  {patched(doubling + "]"), "copy"},
		"patch of many":       {patched("[" + strings.Repeat(`{"op":"test","path":"/a","value":1},`, 20000) + `{"op":"test","path":"/a","value":1}]`), "the webhook's patch: "},
		"patch with exponent": {patched(`[{"op": "add", "path": "/spec", "value": {"containers": [{"resources": {"limits": {"cpu": "1e999999999"}}}]}}]`), "the webhook's patch: "},
		"patch of the name":   {patched(`[{"op": "replace", "path": "/metadata/namespace", "value": "kube-system"}]`), "namespace"},
	} {
		t.Run(name, func(t *testing.T) {
			serve.Store(&tc.serve)
			began := time.Now()
			var err error
			if strings.Contains(name, "exponent") {
				_, err = s.admin().CoreV1().Pods("default").Create(t.Context(), &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "p"}}, metav1.CreateOptions{})
			} else {
				_, err = s.create("m", map[string]string{"a": "b"})
			}
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got  %v\nwant %s", err, tc.want)
			}
			if took := time.Since(began); took > 4*time.Second {
				t.Errorf("it took %v", took)
			}
		})
	}
}

// pieces sends pieces of an answer for ever, as fast as they are taken when they are
// large.
func pieces(piece int) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		for r.Context().Err() == nil {
			if _, err := io.WriteString(w, strings.Repeat(" ", max(piece, 1))); err != nil {
				return
			}
			if piece == 0 {
				w.(http.Flusher).Flush()
				select {
				case <-r.Context().Done():
				case <-time.After(10 * time.Millisecond):
				}
			}
		}
	}
}

// TestFailClosedForEverythingLocksNobodyOut has a webhook that is down asked about all there
// is: configurations, and who may do what, are beyond it, also after a restart.
func TestFailClosedForEverythingLocksNobodyOut(t *testing.T) {
	dir := t.TempDir()
	s := boot(t, dir)
	h := newHook(t, func(*asked) *admissionv1.AdmissionResponse { return &admissionv1.AdmissionResponse{} })
	h.Close()
	s.validatingHook(h, func(w *v1.ValidatingWebhook) {
		w.Rules[0].Rule = v1.Rule{APIGroups: []string{"*"}, APIVersions: []string{"*"}, Resources: []string{"*/*"}}
	})
	s.refusal(nil)
	must(t, s.group.Stop(t.Context()))

	s = boot(t, dir) // waits until the server is ready
	if _, err := s.create("m", nil); !apierrors.IsInternalError(err) {
		t.Errorf("after a restart: %v", err)
	}
	if _, err := s.admin().CoreV1().ConfigMaps("default").List(t.Context(), metav1.ListOptions{}); err != nil {
		t.Error(err)
	}
	must(t, s.admin().AdmissionregistrationV1().ValidatingWebhookConfigurations().Delete(t.Context(), "validating", metav1.DeleteOptions{}))
	eventually(t, func() error {
		_, err := s.create("m", nil)
		return err
	})
}

func TestAttachIsReviewed(t *testing.T) {
	s := boot(t, t.TempDir())
	h := newHook(t, func(r *asked) *admissionv1.AdmissionResponse {
		var options corev1.PodAttachOptions
		if err := json.Unmarshal(r.Object.Raw, &options); err != nil || r.Operation != admissionv1.Connect || options.Kind != "PodAttachOptions" || options.Container != "c" {
			t.Errorf("asked about %s %s, %v", r.Operation, r.Object.Raw, err)
		}
		return &admissionv1.AdmissionResponse{Result: &metav1.Status{Message: "attaching to pod 'p' is not allowed"}}
	})
	s.validatingHook(h, nil, "pods/attach")
	eventually(t, func() error {
		err := s.admin().CoreV1().RESTClient().Post().Namespace("default").Resource("pods").Name("p").SubResource("attach").Param("container", "c").Do(t.Context()).Error()
		if err == nil || !strings.Contains(err.Error(), `admission webhook "validate.example.com" denied the request: attaching to pod 'p' is not allowed`) {
			return fmt.Errorf("got %v", err)
		}
		return nil
	})
}

func TestDryRunAsksOnlyWhomItMay(t *testing.T) {
	s := boot(t, t.TempDir())
	h := newHook(t, func(r *asked) *admissionv1.AdmissionResponse {
		if r.DryRun == nil {
			t.Error("nothing is said of a dry run")
		}
		return &admissionv1.AdmissionResponse{Result: &metav1.Status{Reason: "NoWay"}}
	})
	s.validatingHook(h, nil, "configmaps")
	eventually(t, func() error {
		_, err := s.admin().CoreV1().ConfigMaps("default").Create(context.WithoutCancel(t.Context()), &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "m"}}, metav1.CreateOptions{DryRun: []string{"All"}})
		if err == nil || err.Error() != `admission webhook "validate.example.com" denied the request: NoWay` {
			return fmt.Errorf("got %v", err)
		}
		return nil
	})
}

// TestWebhookThatIsTheServerItself has the server call itself: as nobody.
func TestWebhookThatIsTheServerItself(t *testing.T) {
	s := boot(t, t.TempDir())
	h := newHook(t, func(*asked) *admissionv1.AdmissionResponse { return &admissionv1.AdmissionResponse{} })
	s.validatingHook(h, func(w *v1.ValidatingWebhook) {
		w.ClientConfig = v1.WebhookClientConfig{URL: ptr.To("https://" + s.addr + "/api/v1/namespaces/kube-system/secrets"), CABundle: s.authority.PEM()}
	}, "configmaps", "secrets")
	if err := s.refusal(nil); !strings.Contains(err.Error(), `secrets is forbidden: User "system:anonymous" cannot create resource "secrets"`) {
		t.Errorf("got %v", err)
	}
}
