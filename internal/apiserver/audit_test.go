package apiserver_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	auditv1 "k8s.io/apiserver/pkg/apis/audit/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"laterna.dev/laterna/internal/apiserver"
	"laterna.dev/laterna/internal/apiserver/auditlog"
)

const everything = `apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
- level: RequestResponse
`

// audited boots a system that logs by a policy, and returns where to.
func audited(t *testing.T, policy string, change ...func(*apiserver.Config)) (*system, string) {
	t.Helper()
	dir := t.TempDir()
	file, log := filepath.Join(dir, "policy.yaml"), filepath.Join(dir, "logs", "audit.log")
	must(t, os.WriteFile(file, []byte(policy), 0o600))
	change = append(change, func(c *apiserver.Config) {
		c.Audit = auditlog.Config{PolicyFile: file, LogPath: log, MaxSize: 1}
	})
	return boot(t, t.TempDir(), change...), log
}

func events(t *testing.T, log string) []auditv1.Event {
	t.Helper()
	raw, err := os.ReadFile(log)
	must(t, err)
	var all []auditv1.Event
	for line := range strings.Lines(string(raw)) {
		var e auditv1.Event
		must(t, json.Unmarshal([]byte(line), &e))
		all = append(all, e)
	}
	return all
}

// find returns the last event about a resource by a verb.
func find(t *testing.T, log, verb, resource, subresource string) *auditv1.Event {
	t.Helper()
	var found *auditv1.Event
	for _, e := range events(t, log) {
		if e.Verb == verb && e.ObjectRef != nil && e.ObjectRef.Resource == resource && e.ObjectRef.Subresource == subresource {
			found = &e
		}
	}
	if found == nil {
		t.Fatalf("no event about %s of %s/%s", verb, resource, subresource)
	}
	return found
}

// bearer returns a client with a token.
func (s *system) bearer(token string) kubernetes.Interface {
	s.t.Helper()
	c, err := kubernetes.NewForConfig(&rest.Config{Host: "https://" + s.addr, BearerToken: token, QPS: -1, TLSClientConfig: rest.TLSClientConfig{CAData: s.authority.PEM()}})
	must(s.t, err)
	return c
}

func TestAuditLogHoldsNoSecrets(t *testing.T) {
	s, log := audited(t, everything)
	admin := s.admin()
	ctx := t.Context()
	const password = "correct horse battery staple"
	secrets := admin.CoreV1().Secrets("default")
	_, err := secrets.Create(ctx, &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: "s"}, StringData: map[string]string{"a": password}}, metav1.CreateOptions{})
	must(t, err)
	encoded := base64.StdEncoding.EncodeToString([]byte(password))
	for patch, body := range map[types.PatchType]string{
		types.JSONPatchType:           `[{"op":"add","path":"/data/b","value":"` + encoded + `"}]`,
		types.MergePatchType:          `{"stringData":{"c":"` + password + `"}}`,
		types.StrategicMergePatchType: `{"data":{"d":"` + encoded + `"}}`,
	} {
		_, err := secrets.Patch(ctx, "s", patch, []byte(body), metav1.PatchOptions{})
		must(t, err)
	}
	force := true
	_, err = secrets.Patch(ctx, "s", types.ApplyPatchType, []byte("apiVersion: v1\nkind: Secret\nstringData: {e: "+password+"}\n"), metav1.PatchOptions{FieldManager: "me", Force: &force})
	must(t, err)
	_, err = secrets.List(ctx, metav1.ListOptions{})
	must(t, err)
	_, err = admin.CoreV1().RESTClient().Get().Namespace("default").Resource("secrets").SetHeader("Accept", "application/json;as=Table;v=v1;g=meta.k8s.io").
		Param("includeObject", "Object").Do(ctx).Raw()
	must(t, err)

	_, err = admin.CoreV1().ServiceAccounts("default").Create(ctx, &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: "robot"}}, metav1.CreateOptions{})
	must(t, err)
	issued, err := admin.CoreV1().ServiceAccounts("default").CreateToken(ctx, "robot", &authenticationv1.TokenRequest{}, metav1.CreateOptions{})
	must(t, err)
	token := issued.Status.Token
	reviewed, err := admin.AuthenticationV1().TokenReviews().Create(ctx, &authenticationv1.TokenReview{Spec: authenticationv1.TokenReviewSpec{Token: token}}, metav1.CreateOptions{})
	must(t, err)
	if !reviewed.Status.Authenticated {
		t.Fatal(reviewed.Status.Error)
	}
	_, err = s.bearer(token).AuthenticationV1().SelfSubjectReviews().Create(ctx, &authenticationv1.SelfSubjectReview{}, metav1.CreateOptions{})
	must(t, err)
	must(t, secrets.DeleteCollection(ctx, metav1.DeleteOptions{}, metav1.ListOptions{}))

	raw, err := os.ReadFile(log)
	must(t, err)
	for what, secret := range map[string]string{"password": password, "encoded password": encoded, "token": token, "signature": token[strings.LastIndex(token, "."):]} {
		if bytes.Contains(raw, []byte(secret)) {
			t.Errorf("the %s is in the audit log", what)
		}
	}
	for _, e := range events(t, log) {
		if r := e.ObjectRef; r != nil && (r.Resource == "secrets" || r.Subresource == "token" || r.Resource == "tokenreviews") && (e.Level != auditv1.LevelMetadata || e.RequestObject != nil || e.ResponseObject != nil) {
			t.Errorf("%s %s/%s is logged with level %s", e.Verb, r.Resource, r.Subresource, e.Level)
		}
	}
	jti := find(t, log, "create", "serviceaccounts", "token").Annotations["authentication.kubernetes.io/issued-credential-id"]
	if !strings.HasPrefix(jti, "JTI=") {
		t.Errorf("issued %q", jti)
	}
	if got := find(t, log, "create", "tokenreviews", "").Annotations["authentication.laterna.dev/reviewed-credential-id"]; got != jti {
		t.Errorf("reviewed %q, issued %q", got, jti)
	}
	used := find(t, log, "create", "selfsubjectreviews", "")
	if got := used.User.Extra["authentication.kubernetes.io/credential-id"]; len(got) != 1 || got[0] != jti {
		t.Errorf("used %q, issued %q", got, jti)
	}
	if used.Level != auditv1.LevelRequestResponse || used.ResponseObject == nil {
		t.Errorf("other requests are logged with %s only", used.Level)
	}
	if info, err := os.Stat(log); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the log is %v, %v", info.Mode(), err)
	}
}

func TestAuditPolicyIsFollowed(t *testing.T) {
	s, log := audited(t, `apiVersion: audit.k8s.io/v1
kind: Policy
rules:
- level: None
  users: ["system:apiserver"]
- level: Metadata
  verbs: ["create"]
  resources: [{group: "", resources: ["serviceaccounts/token"]}]
- level: None
`)
	accounts := s.admin().CoreV1().ServiceAccounts("default")
	_, err := accounts.Create(t.Context(), &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: "robot"}}, metav1.CreateOptions{})
	must(t, err)
	_, err = accounts.CreateToken(t.Context(), "robot", &authenticationv1.TokenRequest{}, metav1.CreateOptions{})
	must(t, err)
	_, err = s.admin().CoreV1().Pods("default").List(t.Context(), metav1.ListOptions{})
	must(t, err)
	for _, e := range events(t, log) {
		if e.ObjectRef.Subresource != "token" {
			t.Errorf("logged %s of %s", e.Verb, e.ObjectRef.Resource)
		}
	}
	if e := find(t, log, "create", "serviceaccounts", "token"); e.User.Username != "admin" || time.Since(e.RequestReceivedTimestamp.Time) > time.Minute {
		t.Errorf("%+v", e)
	}
}
