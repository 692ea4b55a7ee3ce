package webhook

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"errors"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	admissionv1 "k8s.io/api/admission/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"

	"laterna.dev/laterna/internal/aws/podidentity"
	"laterna.dev/laterna/internal/aws/podidentity/podidentitytest"
	"laterna.dev/laterna/internal/clock"
)

const role = "arn:aws:iam::111122223333:role/reader"

// pair writes a certificate for this machine that has a serial number, and its key.
func pair(t *testing.T, dir string, serial int64) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(serial), Subject: pkix.Name{CommonName: "webhook"}, NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	for name, block := range map[string]*pem.Block{"tls.crt": {Type: "CERTIFICATE", Bytes: der}, "tls.key": {Type: "PRIVATE KEY", Bytes: raw}} {
		if err := os.WriteFile(filepath.Join(dir, name), pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// server is a Server of a cluster that is a fake.
func server(t *testing.T, change func(*Config), objects ...runtime.Object) (*Server, *fake.Clientset) {
	t.Helper()
	dir := t.TempDir()
	pair(t, dir, 1)
	client := fake.NewClientset(objects...)
	c := Config{
		Settings: podidentity.Defaults(), Client: client, Clock: clock.Real(), Log: slog.New(slog.DiscardHandler),
		Address: "127.0.0.1:0", MetricsAddress: "127.0.0.1:0", TLS: &tls.Config{MinVersion: tls.VersionTLS12},
		CertFile: filepath.Join(dir, "tls.crt"), KeyFile: filepath.Join(dir, "tls.key"), Debug: true,
	}
	if change != nil {
		change(&c)
	}
	s, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	return s, client
}

func account(annotations map[string]string) *corev1.ServiceAccount {
	return &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "builder", Annotations: annotations}}
}

func annotated() *corev1.ServiceAccount {
	return account(map[string]string{"eks.amazonaws.com/role-arn": role})
}

func reviewOf(t testing.TB, version string, pod *corev1.Pod) []byte {
	t.Helper()
	object, err := json.Marshal(pod)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := json.Marshal(map[string]any{"kind": "AdmissionReview", "apiVersion": "admission.k8s.io/" + version, "request": map[string]any{
		"uid": "u-1", "namespace": "shop", "object": json.RawMessage(object),
	}})
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func builderPod() *corev1.Pod {
	return &corev1.Pod{Spec: corev1.PodSpec{ServiceAccountName: "builder", Containers: []corev1.Container{{Name: "c"}}}}
}

func ask(s *Server, path, contentType string, body []byte) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	r := httptest.NewRequest(http.MethodPost, path, bytes.NewReader(body))
	r.Header.Set("Content-Type", contentType)
	s.reviews().ServeHTTP(w, r)
	return w
}

func answerOf(t *testing.T, w *httptest.ResponseRecorder) *admissionv1.AdmissionReview {
	t.Helper()
	var out admissionv1.AdmissionReview
	if err := json.Unmarshal(w.Body.Bytes(), &out); w.Code != http.StatusOK || err != nil || out.Response == nil {
		t.Fatalf("%d %s: %v", w.Code, w.Body, err)
	}
	return &out
}

// TestReviewsAreAnsweredWithThePatch has every behaviour asked for over HTTP.
func TestReviewsAreAnsweredWithThePatch(t *testing.T) {
	for _, c := range podidentitytest.Read(t, "../testdata/cases") {
		t.Run(c.Name, func(t *testing.T) {
			settings := c.Of(t)
			var objects []runtime.Object
			if c.Account != nil {
				objects = append(objects, account(*c.Account))
			}
			if c.ConfigMap != "" {
				objects = append(objects, &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "eks", Name: "pod-identity-webhook"}, Data: map[string]string{"config": c.ConfigMap}})
			}
			s, _ := server(t, func(config *Config) {
				config.Settings, config.ConfigMapNamespace = *settings, "eks"
				if len(c.Identities) > 0 {
					config.IdentitiesFile = filepath.Join(t.TempDir(), "identities.json")
					if err := os.WriteFile(config.IdentitiesFile, []byte(`{"identities": [{"namespace": "shop", "serviceAccount": "builder"}]}`), 0o600); err != nil {
						t.Fatal(err)
					}
				}
			}, objects...)
			s.handler.random = func(int64) int64 { return c.Random }
			body := reviewOf(t, "v1", c.Pod)
			if c.Pod.Spec.Volumes != nil && len(c.Pod.Spec.Volumes) == 0 { // Go leaves it out
				body = bytes.Replace(body, []byte(`"spec":{`), []byte(`"spec":{"volumes":[],`), 1)
			}
			a := answerOf(t, ask(s, "/mutate", "application/json", body))
			var got any
			if a.Response.Patch != nil {
				if err := json.Unmarshal(a.Response.Patch, &got); err != nil {
					t.Fatal(err)
				}
			}
			var want any
			raw, _ := json.Marshal(c.Patch)
			_ = json.Unmarshal(raw, &want)
			if !a.Response.Allowed || a.Response.UID != "u-1" || !reflect.DeepEqual(got, want) {
				t.Errorf("answered %+v\n%s\nwant\n%s", a.Response, a.Response.Patch, raw)
			}
			if (a.Response.PatchType != nil) != (want != nil) {
				t.Errorf("type of the patch: %v", a.Response.PatchType)
			}
		})
	}
}

func TestBothVersionsAreAnsweredAsTheyAsk(t *testing.T) {
	s, _ := server(t, nil, annotated())
	for _, version := range []string{"v1", "v1beta1"} {
		a := answerOf(t, ask(s, "/mutate", "application/json", reviewOf(t, version, builderPod())))
		if a.APIVersion != "admission.k8s.io/"+version || a.Kind != "AdmissionReview" || a.Response.Patch == nil || *a.Response.PatchType != "JSONPatch" {
			t.Errorf("of %s: %+v", version, a)
		}
	}
}

func TestWhatCannotBeReadIsRefused(t *testing.T) {
	s, _ := server(t, nil, annotated())
	if w := ask(s, "/mutate", "application/json; charset=utf-8", []byte("{}")); w.Code != http.StatusUnsupportedMediaType || w.Body.String() != "Invalid Content-Type, expected `application/json`\n" {
		t.Errorf("of another type: %d %s", w.Code, w.Body)
	}
	if w := ask(s, "/mutate", "application/json", bytes.Repeat([]byte(" "), mostReview+1)); w.Code != http.StatusRequestEntityTooLarge {
		t.Errorf("too large: %d", w.Code)
	}
	for body, want := range map[string]string{
		"":   "unexpected end of JSON input",
		"no": "invalid character 'o' in literal null (expecting 'u')",
		"{}": "bad content",
		`{"request": {"uid": "u", "object": {"spec": []}}}`: "json: cannot unmarshal array into Go struct field Pod.spec of type v1.PodSpec",
		`{"request": {"uid": "u"}}`:                         "unexpected end of JSON input",
	} {
		a := answerOf(t, ask(s, "/mutate", "application/json", []byte(body)))
		if a.Response.Allowed || a.Response.Result.Message != want || strings.Contains(body, "uid") != (a.Response.UID == "u") {
			t.Errorf("%s: %+v, message %q", body, a.Response, a.Response.Result.Message)
		}
	}
	if w := ask(s, "/other", "application/json", nil); w.Code != http.StatusNotFound {
		t.Errorf("elsewhere: %d", w.Code)
	}
}

// TestAPIThatDoesNotAnswerIsNotNo has a cluster that cannot be asked, before and after its
// service account was seen.
func TestAPIThatDoesNotAnswerIsNotNo(t *testing.T) {
	s, client := server(t, func(c *Config) { c.ConfigMapNamespace = "eks" })
	client.PrependReactor("get", "*", func(clienttesting.Action) (bool, runtime.Object, error) { return true, nil, errors.New("down") })
	pod := reviewOf(t, "v1", builderPod())
	if w := ask(s, "/mutate", "application/json", pod); w.Code != http.StatusInternalServerError || !strings.Contains(w.Body.String(), "reading service account shop/builder: down") {
		t.Errorf("unseen: %d %s", w.Code, w.Body)
	}
	s.handler.accounts.see(account(nil))
	if w := ask(s, "/mutate", "application/json", pod); w.Code != http.StatusInternalServerError || !strings.Contains(w.Body.String(), "reading ConfigMap eks/pod-identity-webhook: down") {
		t.Errorf("without the ConfigMap: %d %s", w.Code, w.Body)
	}
	s.handler.accounts.see(annotated())
	if a := answerOf(t, ask(s, "/mutate", "application/json", pod)); a.Response.Patch == nil {
		t.Error("what was seen does not count")
	}
	s.handler.accounts.clear()
	if w := ask(s, "/mutate", "application/json", pod); w.Code != http.StatusInternalServerError {
		t.Errorf("after it was forgotten: %d", w.Code)
	}
}

func TestAccountMayTakeItsTime(t *testing.T) {
	s, client := server(t, func(c *Config) { c.Grace = 20 * time.Second })
	done := make(chan *httptest.ResponseRecorder, 1)
	pod := reviewOf(t, "v1", builderPod())
	go func() { done <- ask(s, "/mutate", "application/json", pod) }()
	for len(client.Actions()) < 2 { // the read and the watch
		time.Sleep(time.Millisecond)
	}
	time.Sleep(20 * time.Millisecond) // the fake forgets events before its watch
	if _, err := client.CoreV1().ServiceAccounts("shop").Create(t.Context(), annotated(), metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	if a := answerOf(t, <-done); a.Response.Patch == nil {
		t.Error("the pod has no role")
	}
}

// run runs a server and returns where it is reached, and what ends it.
func run(t *testing.T, s *Server) (reviews, metrics string, end func() error) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	listening, ended := make(chan [2]string, 1), make(chan error, 1)
	go func() {
		ended <- s.Run(ctx, func(r, m net.Addr) { listening <- [2]string{"https://" + r.String(), "http://" + m.String()} })
	}()
	t.Cleanup(cancel)
	select {
	case at := <-listening:
		return at[0], at[1], func() error { cancel(); return <-ended }
	case err := <-ended:
		t.Fatal(err)
	}
	return "", "", nil
}

func get(t *testing.T, client *http.Client, url string) (int, string) {
	t.Helper()
	w, err := client.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Body.Close()
	raw, err := io.ReadAll(w.Body)
	if err != nil {
		t.Fatal(err)
	}
	return w.StatusCode, string(raw)
}

// TestServedIsWhatTheOriginalServes asks for every path over the network.
func TestServedIsWhatTheOriginalServes(t *testing.T) {
	s, _ := server(t, nil, annotated())
	reviews, metrics, end := run(t, s)
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}} // its certificate is looked at below
	defer client.CloseIdleConnections()
	w, err := client.Post(reviews+"/mutate", "application/json", bytes.NewReader(reviewOf(t, "v1", builderPod())))
	if err != nil || w.StatusCode != http.StatusOK {
		t.Fatal(w, err)
	}
	_ = w.Body.Close()
	for _, tc := range []struct {
		url, want string
		code      int
	}{
		{reviews + "/healthz", "ok", 200},
		{metrics + "/healthz", "ok", 200},
		{reviews + "/metrics", "404 page not found\n", 404},
		{reviews + "/debug/alpha/500", "failed by the debug handler\n", 500},
		{reviews + "/debug/alpha/deny", `"allowed":false`, 200},
		{metrics + "/mutate", "404 page not found\n", 404},
	} {
		if code, text := get(t, client, tc.url); code != tc.code || !strings.Contains(text, tc.want) {
			t.Errorf("%s: %d %s", tc.url, code, text)
		}
	}
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(time.Millisecond) {
		if _, text := get(t, client, metrics+"/debug/alpha/cache"); strings.Contains(text, `"RoleARN": "`+role+`"`) && strings.Contains(text, `"shop/builder"`) {
			break
		} else if time.Now().After(deadline) {
			t.Fatalf("the cache has %s", text)
		}
	}
	if _, text := get(t, client, metrics+"/debug/alpha/cache/clear"); !strings.Contains(text, "cleared") {
		t.Error(text)
	}
	if _, text := get(t, client, metrics+"/debug/alpha/cache"); text != "{}" {
		t.Errorf("the cache has %s after it was cleared", text)
	}
	_, text := get(t, client, metrics+"/metrics")
	for _, want := range []string{
		`http_request_count{code="200",path="/mutate",verb="POST"} 1`, `http_request_latencies_count{path="/mutate",verb="POST"} 1`,
		`http_request_duration_microseconds_count{path="/mutate",verb="POST"} 1`, `pod_identity_webhook_pod_count{method="sts_web_identity"} 1`,
		"pod_identity_webhook_missing_sa_count 0", "pod_identity_webhook_used 1", "certificate_manager_server_rotation_seconds_count 0", "go_goroutines", "process_open_fds",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("the metrics lack %s", want)
		}
	}
	client.CloseIdleConnections()
	if err := end(); err != nil {
		t.Errorf("ended with %v", err)
	}
}

func TestDebugHandlersAreNotServedUnasked(t *testing.T) {
	s, _ := server(t, func(c *Config) { c.Debug = false })
	for _, path := range []string{"/debug/alpha/deny", "/debug/alpha/500"} {
		if w := ask(s, path, "", nil); w.Code != http.StatusNotFound {
			t.Errorf("%s: %d", path, w.Code)
		}
	}
	w := httptest.NewRecorder()
	s.metrics().ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/debug/alpha/cache", nil))
	if w.Code != http.StatusNotFound {
		t.Errorf("the cache: %d", w.Code)
	}
}

// TestReplacedCertificateIsServed replaces the files while the server runs, and breaks them.
func TestReplacedCertificateIsServed(t *testing.T) {
	s, _ := server(t, nil)
	reviews, _, end := run(t, s)
	serial := func() int64 {
		c, err := tls.Dial("tcp", strings.TrimPrefix(reviews, "https://"), &tls.Config{InsecureSkipVerify: true}) // it is looked at
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		return c.ConnectionState().PeerCertificates[0].SerialNumber.Int64()
	}
	if got := serial(); got != 1 {
		t.Errorf("serves %d", got)
	}
	dir := filepath.Dir(s.config.CertFile)
	pair(t, dir, 2)
	if got := serial(); got != 2 {
		t.Errorf("serves %d after it was replaced", got)
	}
	if err := os.WriteFile(s.config.CertFile, []byte("no certificate"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := serial(); got != 2 {
		t.Errorf("serves %d while the file is broken", got)
	}
	if err := os.Remove(s.config.KeyFile); err != nil {
		t.Fatal(err)
	}
	if got := serial(); got != 2 {
		t.Errorf("serves %d without the key's file", got)
	}
	if err := end(); err != nil {
		t.Error(err)
	}
	if _, err := New(s.config); err == nil || !strings.HasPrefix(err.Error(), "reading key of the certificate: ") {
		t.Errorf("a start without certificate: %v", err)
	}
}

// TestWhatWasAskedIsAnsweredAtTheEnd ends the server while a review waits for its service
// account.
func TestWhatWasAskedIsAnsweredAtTheEnd(t *testing.T) {
	s, fakeClient := server(t, nil, annotated())
	asked, goOn := make(chan struct{}), make(chan struct{})
	fakeClient.PrependReactor("get", "serviceaccounts", func(clienttesting.Action) (bool, runtime.Object, error) {
		close(asked)
		<-goOn
		return false, nil, nil
	})
	reviews, _, end := run(t, s)
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}
	answered, ended := make(chan error, 1), make(chan error, 1)
	go func() {
		w, err := client.Post(reviews+"/mutate", "application/json", bytes.NewReader(reviewOf(t, "v1", builderPod())))
		if err == nil && w.StatusCode != http.StatusOK {
			err = errors.New(w.Status)
		}
		if err == nil {
			_ = w.Body.Close()
		}
		answered <- err
	}()
	<-asked
	go func() { ended <- end() }()
	time.Sleep(20 * time.Millisecond)
	close(goOn)
	if err := <-answered; err != nil {
		t.Errorf("the review: %v", err)
	}
	client.CloseIdleConnections()
	if err := <-ended; err != nil {
		t.Errorf("the server: %v", err)
	}
}
