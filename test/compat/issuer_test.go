package compat

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"k8s.io/utils/ptr"
)

const defaultIssuer = "https://kubernetes.default.svc"

// progressing is the command of OpenShift's document.
const progressing = `kubectl get kubeapiserver -o=jsonpath='{range .items[0].status.conditions[?(@.type=="NodeInstallerProgressing")]}{.reason}{"\n"}{.message}{"\n"}'`

// rolledOut waits until the document's command prints what a change ends with.
func (s *system) rolledOut(t testing.TB, within time.Duration, message string) {
	t.Helper()
	want := "AllNodesAtLatestRevision\n" + message + "\n"
	eventually(t, within, func() error {
		if got := s.sh(t, progressing); strings.TrimRight(got, "\n") != strings.TrimRight(want, "\n") {
			return fmt.Errorf("%q, want %q", got, want)
		}
		return nil
	})
}

func (s *system) setIssuer(t testing.TB, issuer string) {
	t.Helper()
	s.sh(t, fmt.Sprintf(`kubectl patch authentications cluster --type merge -p '{"spec":{"serviceAccountIssuer":%q}}'`, issuer))
}

// issuerOf waits for a token's issuer in a pod.
func (s *system) issuerOf(t testing.TB, ns, pod, file, want string, within time.Duration) (token string) {
	t.Helper()
	eventually(t, within, func() error {
		token = s.exec(t, ns, pod, "cat", file)
		if got := decode(t, token).Issuer; got != want {
			return fmt.Errorf("%s holds a token of %s, want one of %s", file, got, want)
		}
		return nil
	})
	return token
}

const apiToken = "/var/run/secrets/kubernetes.io/serviceaccount/token"

// get asks the API as the holder of a token.
func (s *system) get(t testing.TB, token, path string) (code int, body string) {
	t.Helper()
	config := rest.AnonymousClientConfig(s.config(t))
	config.BearerToken = strings.TrimSpace(token)
	return fetch(t, config, "", path)
}

// fetch gets a path; the server's certificate must be good for the host, if one is
// given.
func fetch(t testing.TB, config *rest.Config, host, path string) (code int, body string) {
	t.Helper()
	config.ServerName = host
	client, err := rest.HTTPClientFor(config)
	if err != nil {
		t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, config.Host+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	if host != "" {
		req.Host = host
	}
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(raw)
}

func TestO5IssuerIsChangedWhileEverythingRuns(t *testing.T) {
	t.Parallel()
	s := started(t, "--test-clock")
	ns := s.namespace(t)
	s.sh(t, "kubectl create sa build-robot -n "+ns)
	s.apply(t, ns, vaultPod("nginx", vaultToken))
	s.running(t, ns, "nginx")
	const file = "/var/run/secrets/tokens/vault-token"
	vault, own := s.exec(t, ns, "nginx", "cat", file), s.exec(t, ns, "nginx", "cat", apiToken)
	if got := decode(t, vault).Issuer; got != defaultIssuer {
		t.Errorf("the default issuer is %s", got)
	}
	contains(t, s.sh(t, "kubectl get authentications"), "cluster", "<default>")

	// As the document says: oc edit.
	s.sh(t, `KUBE_EDITOR='sed -i "s#^spec: {}#spec: {serviceAccountIssuer: https://test.default.svc}#"' kubectl edit authentications cluster`)
	fresh := s.issuerOf(t, ns, "nginx", file, "https://test.default.svc", 2*time.Second)
	s.issuerOf(t, ns, "nginx", apiToken, "https://test.default.svc", 2*time.Second)
	if c := decode(t, fresh); c.Expiry-c.IssuedAt != 7200 || c.Audience[0] != "vault" {
		t.Errorf("the new token: %+v", c)
	}
	if restarts := s.field(t, ns, "pod/nginx", "{.status.containerStatuses[0].restartCount}"); restarts != "0" {
		t.Errorf("the container was restarted %s times", restarts)
	}
	for what, token := range map[string]string{"the old token": vault, "the new token": fresh} {
		if r := review(t, s, token, "vault"); !r.Authenticated {
			t.Errorf("%s is refused: %s", what, r.Error)
		}
	}
	if code, body := s.get(t, own, "/api"); code != 200 {
		t.Errorf("the API refuses the token of the former issuer: %d %s", code, body)
	}
	_, doc := s.get(t, "", "/.well-known/openid-configuration")
	contains(t, doc, `"issuer":"https://test.default.svc"`)
	s.rolledOut(t, 2*time.Second, "1 node is at revision 2")
	// Relying parties find each accepted issuer's documents at its own host, with a
	// certificate that is good for it.
	for _, host := range []string{"test.default.svc", "kubernetes.default.svc"} {
		code, doc := fetch(t, rest.AnonymousClientConfig(s.config(t)), host, "/.well-known/openid-configuration")
		if code != 200 || !strings.Contains(doc, `"issuer":"https://`+host+`"`) {
			t.Errorf("%s: %d %s", host, code, doc)
		}
	}

	// kubectl apply, and back to the default.
	s.apply(t, ns, "apiVersion: config.openshift.io/v1\nkind: Authentication\nmetadata: {name: cluster}\nspec: {serviceAccountIssuer: 'https://second.example/path'}\n")
	s.issuerOf(t, ns, "nginx", file, "https://second.example/path", 2*time.Second)
	s.setIssuer(t, "")
	s.issuerOf(t, ns, "nginx", file, defaultIssuer, 2*time.Second)
	contains(t, s.sh(t, "kubectl get events -n default"), `Issuer set to "https://test.default.svc". Previous issuer "https://kubernetes.default.svc" is trusted until`)
	contains(t, s.fails(t, `kubectl patch authentications cluster --type merge -p '{"spec":{"serviceAccountIssuer":"1.2.3.4:443/x"}}'`), "spec.serviceAccountIssuer", "contains a colon and is not a URL")

	if err := s.Stop(); err != nil {
		t.Fatal(err)
	}
	if err := s.Start(); err != nil {
		t.Fatal(err)
	}
	s.setIssuer(t, "https://after-restart.example")
	s.issuerOf(t, ns, "nginx", file, "https://after-restart.example", 5*time.Second)
}

// simulate makes a node of nothing but its objects: ready, with a lease, reporting a
// revision as agents do.
func (s *system) simulate(t testing.TB, name string) {
	t.Helper()
	c := s.client(t).CoreV1().Nodes()
	ready := corev1.NodeCondition{Type: corev1.NodeReady, Status: corev1.ConditionTrue, LastHeartbeatTime: metav1.Now(), LastTransitionTime: metav1.Now()}
	n := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name}, Status: corev1.NodeStatus{Conditions: []corev1.NodeCondition{ready}}}
	if _, err := c.Create(t.Context(), n, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	lease := &coordinationv1.Lease{
		ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: corev1.NamespaceNodeLease},
		Spec:       coordinationv1.LeaseSpec{HolderIdentity: &name, LeaseDurationSeconds: ptr.To[int32](40), RenewTime: &metav1.MicroTime{Time: time.Now()}},
	}
	if _, err := s.client(t).CoordinationV1().Leases(lease.Namespace).Create(t.Context(), lease, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
}

func (s *system) report(t testing.TB, revision int, nodes ...string) {
	t.Helper()
	for _, n := range nodes {
		s.sh(t, fmt.Sprintf("kubectl annotate --overwrite node %s laterna.dev/issuer-revision=%d", n, revision))
	}
}

func TestO6RollOutOverThreeNodes(t *testing.T) {
	s := started(t, "--node=false")
	for _, n := range []string{"a", "b", "c"} {
		s.simulate(t, n)
	}
	says := func(want string) {
		t.Helper()
		eventually(t, 5*time.Second, func() error {
			if got := strings.TrimRight(s.sh(t, progressing), "\n"); got != want {
				return fmt.Errorf("%q, want %q", got, want)
			}
			return nil
		})
	}
	s.report(t, 1, "a", "b", "c")
	says("AllNodesAtLatestRevision\n3 nodes are at revision 1")
	s.setIssuer(t, "https://test.default.svc")
	says("\n3 nodes are at revision 1; 0 nodes have achieved new revision 2")
	s.report(t, 2, "b")
	says("\n2 nodes are at revision 1; 1 node is at revision 2")
	s.report(t, 2, "a", "c")
	says("AllNodesAtLatestRevision\n3 nodes are at revision 2")

	s.setIssuer(t, "https://third.example")
	s.report(t, 3, "a", "b")
	says("\n1 node is at revision 2; 2 nodes are at revision 3")
	s.sh(t, `kubectl patch node c --subresource=status --type=json -p '[{"op":"replace","path":"/status/conditions/0/status","value":"False"}]'`)
	says("AllNodesAtLatestRevision\n2 nodes are at revision 3; left out: c (not ready)")
	contains(t, s.sh(t, "kubectl get kubeapiservers"), "https://third.example", "False")
	contains(t, s.sh(t, "kubectl get kubeapiserver cluster -o jsonpath='{.status.nodeStatuses}'"), `{"currentRevision":3,"nodeName":"a"}`)
}

func TestO7FormerIssuers(t *testing.T) {
	s := started(t, "--test-clock", "--node=false")
	token := s.sh(t, "kubectl create token default --duration 48h --audience vault")
	s.setIssuer(t, "https://first.example")
	type trusted struct {
		Name           string
		ExpirationTime *time.Time
	}
	issuers := func() (all []trusted) {
		t.Helper()
		if err := json.Unmarshal([]byte(s.sh(t, "kubectl get kubeapiserver cluster -o jsonpath='{.status.serviceAccountIssuers}'")), &all); err != nil {
			t.Fatal(err)
		}
		return all
	}
	eventually(t, 2*time.Second, func() error {
		all := issuers()
		if len(all) != 2 || all[0].Name != "https://first.example" || all[0].ExpirationTime != nil || all[1].Name != defaultIssuer || all[1].ExpirationTime == nil {
			return fmt.Errorf("%+v", all)
		}
		if left := time.Until(*all[1].ExpirationTime); left < 23*time.Hour+58*time.Minute || left > 24*time.Hour {
			return fmt.Errorf("trusted for %s", left)
		}
		return nil
	})
	s.sh(t, "laterna clock advance --data-dir "+s.Dir+" 23h55m")
	if r := review(t, s, token, "vault"); !r.Authenticated {
		t.Errorf("refused while it is trusted: %s", r.Error)
	}
	s.sh(t, "laterna clock advance --data-dir "+s.Dir+" 10m")
	if r := review(t, s, token, "vault"); r.Authenticated || !strings.Contains(r.Error, `token issuer "https://kubernetes.default.svc" is invalid: it was trusted until `) {
		t.Errorf("after its end: %+v", r)
	}
	for i := range 9 {
		s.setIssuer(t, fmt.Sprintf("https://many-%d.example", i))
	}
	eventually(t, 5*time.Second, func() error {
		if got := s.sh(t, "kubectl get kubeapiserver cluster -o jsonpath='{.status.serviceAccountIssuers[*].name}'"); len(strings.Fields(got)) != 10 {
			return fmt.Errorf("%s", got)
		}
		return nil
	})
	// One more is refused where it is written, and everything stays.
	patch := `kubectl patch authentication cluster --type merge -p '{"spec":{"serviceAccountIssuer":"https://too-many.example"}}'`
	if got := s.sh(t, "("+patch+" 2>&1) || true"); !strings.Contains(got, `spec.serviceAccountIssuer: Forbidden: 10 issuers are accepted already, which is the most at a time: "https://too-many.example" can be set once "https://first.example" has ended, at `) {
		t.Errorf("%s", got)
	}
	contains(t, s.sh(t, "kubectl get authentication cluster"), "https://many-8.example")
	s.sh(t, "laterna issuer show --data-dir "+s.Dir)
	s.sh(t, "laterna clock advance --data-dir "+s.Dir+" 24h")
	s.sh(t, patch)
	eventually(t, 5*time.Second, func() error {
		if got := s.sh(t, "kubectl get kubeapiservers"); !strings.Contains(got, "https://too-many.example") {
			return fmt.Errorf("%s", got)
		}
		return nil
	})
}

func TestO7StrictChangeRefusesFormerIssuersAtOnce(t *testing.T) {
	s := started(t, "--node=false", "--service-account-issuer-overlap", "0s")
	s.setIssuer(t, "https://first.example")
	var token string
	eventually(t, 2*time.Second, func() error {
		token = s.sh(t, "kubectl create token default")
		if got := decode(t, token).Issuer; got != "https://first.example" {
			return fmt.Errorf("issued by %s", got)
		}
		return nil
	})
	if code, body := s.get(t, token, "/api"); code != 200 {
		t.Errorf("%d %s", code, body)
	}
	s.setIssuer(t, "https://second.example")
	eventually(t, 2*time.Second, func() error {
		if code, body := s.get(t, token, "/api"); code != 401 {
			return fmt.Errorf("%d %s", code, body)
		}
		return nil
	})
	if r := review(t, s, token); r.Authenticated || !strings.Contains(r.Error, `token issuer "https://first.example" is invalid: it was trusted until `) {
		t.Errorf("%+v", r)
	}
}

// The loop of the document, as printed but for its pause.
func TestO8AllPodsAreDeletedForNewTokens(t *testing.T) {
	t.Parallel()
	s := started(t)
	ns := s.namespace(t)
	s.sh(t, "kubectl create sa build-robot -n "+ns)
	s.apply(t, ns, vaultPod("nginx", vaultToken))
	s.running(t, ns, "nginx")
	_, spec, _ := strings.Cut(vaultPod("nginx", vaultToken), "spec:\n")
	s.apply(t, ns, "apiVersion: apps/v1\nkind: ReplicaSet\nmetadata: {name: kept}\nspec:\n  selector: {matchLabels: {app: kept}}\n  template:\n    metadata: {labels: {app: kept}}\n    spec:\n"+indented(spec, "    "))
	before := s.ready(t, ns, "kept", "")
	s.setIssuer(t, "https://test.default.svc")
	s.sh(t, `for I in $(kubectl get ns -o jsonpath='{range .items[*]} {.metadata.name}{"\n"} {end}'); do kubectl delete pods --all -n $I; done`)
	if left := s.sh(t, "kubectl get pods -A -l app!=kept --no-headers 2>/dev/null"); left != "" {
		t.Errorf("pods are left:\n%s", left)
	}
	if got := decode(t, s.exec(t, ns, s.ready(t, ns, "kept", before), "cat", "/var/run/secrets/tokens/vault-token")).Issuer; got != "https://test.default.svc" {
		t.Errorf("the token of the pod that came back is issued by %s", got)
	}
	s.apply(t, ns, vaultPod("nginx", vaultToken))
	s.running(t, ns, "nginx")
	if got := decode(t, s.exec(t, ns, "nginx", "cat", "/var/run/secrets/tokens/vault-token")).Issuer; got != "https://test.default.svc" {
		t.Errorf("issued by %s", got)
	}
}

// indented is a text with something before each of its lines.
func indented(text, with string) (out string) {
	for line := range strings.Lines(text) {
		out += with + line
	}
	return out
}

// ready waits until an app has one pod, another one than before, and returns its name when
// it is ready.
func (s *system) ready(t testing.TB, ns, app, before string) (name string) {
	t.Helper()
	eventually(t, stepTimeout, func() error {
		name = strings.TrimSpace(s.sh(t, "kubectl get pods -n "+ns+" -l app="+app+" -o name"))
		if name = strings.TrimPrefix(name, "pod/"); name == "" || name == before || strings.Contains(name, "\n") {
			return fmt.Errorf("the pods are %q", name)
		}
		return nil
	})
	s.running(t, ns, name)
	return name
}

// kidOf reads which key a token says to be signed with.
func kidOf(t testing.TB, token string) string {
	t.Helper()
	head, _, _ := strings.Cut(token, ".")
	raw, err := base64.RawURLEncoding.DecodeString(head)
	if err != nil {
		t.Fatal(err)
	}
	var header struct{ Kid string }
	if err := json.Unmarshal(raw, &header); err != nil {
		t.Fatal(err)
	}
	return header.Kid
}

func TestTokensInPodsFollowTheSigningKey(t *testing.T) {
	t.Parallel()
	s := started(t, "--test-clock")
	ns := s.namespace(t)
	s.sh(t, "kubectl create sa build-robot -n "+ns)
	s.apply(t, ns, vaultPod("nginx", vaultToken))
	s.running(t, ns, "nginx")
	const file = "/var/run/secrets/tokens/vault-token"
	replaced := func(old string, within time.Duration) (now string) {
		t.Helper()
		eventually(t, within, func() error {
			if now = s.exec(t, ns, "nginx", "cat", file); kidOf(t, now) == kidOf(t, old) {
				return fmt.Errorf("still signed with %s", kidOf(t, old))
			}
			return nil
		})
		return now
	}
	first := s.exec(t, ns, "nginx", "cat", file)
	s.sh(t, "laterna keys rotate --data-dir "+s.Dir+" --type ECDSAP256 --now")
	second := replaced(first, 2*time.Second)
	s.rolledOut(t, 2*time.Second, "1 node is at revision 2")

	s.sh(t, "laterna keys rotate --data-dir "+s.Dir)
	if now := s.exec(t, ns, "nginx", "cat", file); kidOf(t, now) != kidOf(t, second) {
		t.Errorf("a key signs before it has been published for an hour")
	}
	s.sh(t, "laterna clock advance --data-dir "+s.Dir+" 61m")
	third := replaced(second, 5*time.Second)
	s.rolledOut(t, 2*time.Second, "1 node is at revision 3")
	for what, token := range map[string]string{"second": second, "third": third} {
		if r := review(t, s, token, "vault"); !r.Authenticated {
			t.Errorf("the %s token is refused: %s", what, r.Error)
		}
	}
	s.sh(t, `kubectl patch kubeapiserver cluster --type merge -p '{"spec":{"forceRedeploymentReason":"because"}}'`)
	eventually(t, 2*time.Second, func() error {
		if now := s.exec(t, ns, "nginx", "cat", file); now == third {
			return errors.New("the token was not replaced")
		}
		return nil
	})
	s.rolledOut(t, 2*time.Second, "1 node is at revision 4")
}
