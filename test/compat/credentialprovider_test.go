package compat

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// pluginProgram is a credential provider: it notes what it is asked, its arguments and its
// environment, and answers with a token that it was given as the password, or with the
// password in its environment. Its arguments are the directory of its notes and the
// registry.
const pluginProgram = `#!/bin/sh
request=$(cat)
printf '%s\n' "$request" >> "$1/asked"
tr '\0' '\n' < /proc/$$/cmdline >> "$1/shown"
tr '\0' '\n' < /proc/$$/environ >> "$1/shown"
token=$(printf '%s' "$request" | sed -n 's/.*"serviceAccountToken":"\([^"]*\)".*/\1/p')
case $request in *broken*) printf 'no luck with %s\n' "$token" >&2; exit 3;; esac
[ -n "$token" ] && user=bearer || { user=ann; token=$(cat "$1/password"); }
cat <<END
{"apiVersion":"credentialprovider.kubelet.k8s.io/v1","kind":"CredentialProviderResponse",
 "cacheKeyType":"Registry","cacheDuration":"10m","auth":{"$2":{"username":"$user","password":"$token"}}}
END
`

const pluginConfig = `
apiVersion: kubelet.config.k8s.io/v1
kind: CredentialProviderConfig
providers:
- name: of-the-node
  apiVersion: credentialprovider.kubelet.k8s.io/v1
  matchImages: ["HOST/plain"]
  defaultCacheDuration: 0s
  args: [DIR, HOST]
- name: of-accounts
  apiVersion: credentialprovider.kubelet.k8s.io/v1
  matchImages: ["HOST/tokens", "HOST/broken"]
  defaultCacheDuration: 0s
  args: [DIR, HOST]
  tokenAttributes:
    serviceAccountTokenAudience: the-registry
    cacheType: ServiceAccount
    requireServiceAccount: true
    requiredServiceAccountAnnotationKeys: [example.org/pulls]
`

// withProviders is a system with credential providers for a registry.
func withProviders(t *testing.T) (s *system, r *privateRegistry, notes string) {
	s = started(t)
	r = s.newRegistry(t)
	bin := t.TempDir()
	notes = t.TempDir()
	for path, content := range map[string]string{
		bin + "/of-the-node": pluginProgram, bin + "/of-accounts": pluginProgram,
		notes + "/password":    registryPassword,
		notes + "/config.yaml": strings.NewReplacer("HOST", r.host, "DIR", notes).Replace(pluginConfig),
	} {
		if err := os.WriteFile(path, []byte(content), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Stop(); err != nil {
		t.Fatal(err)
	}
	s.Flags = append(s.Flags, "--image-credential-provider-config="+notes+"/config.yaml", "--image-credential-provider-bin-dir="+bin)
	if err := s.Start(); err != nil {
		t.Fatal(err)
	}
	return s, r, notes
}

// TestCredentialProvidersHaveLogins is KEP-2133 with the tokens of KEP-4412 and the records
// of KEP-2535: the registry lets in whose token the API takes for its audience.
func TestCredentialProvidersHaveLogins(t *testing.T) {
	t.Parallel()
	s, r, notes := withProviders(t)
	client := s.client(t)
	accepts := func(path, user, password string) bool {
		if user != "bearer" || !strings.HasPrefix(path, "/v2/tokens/") && path != "/v2/" {
			return false
		}
		review, err := client.AuthenticationV1().TokenReviews().Create(t.Context(), &authenticationv1.TokenReview{
			Spec: authenticationv1.TokenReviewSpec{Token: password, Audiences: []string{"the-registry"}},
		}, metav1.CreateOptions{})
		return err == nil && review.Status.Authenticated
	}
	r.accepts.Store(&accepts)
	plain, other := r.push(t, "plain/app:1"), r.push(t, "plain/other:1")
	tokens, broken := r.push(t, "tokens/app:1"), r.push(t, "broken/app:1")
	for _, account := range []string{"puller", "second", "third", "plain"} {
		s.sh(t, "kubectl create serviceaccount "+account)
		if account != "plain" {
			s.sh(t, "kubectl annotate serviceaccount "+account+" example.org/pulls=yes")
		}
	}
	asked := func() string {
		raw, err := os.ReadFile(filepath.Join(notes, "asked"))
		if err != nil && !os.IsNotExist(err) {
			t.Fatal(err)
		}
		return string(raw)
	}
	as := func(account string) string { return "  serviceAccountName: " + account + "\n" }

	s.apply(t, "default", pullerPod("plain", plain, ""))
	s.apply(t, "default", pullerPod("no-provider", r.push(t, "else/app:1"), ""))
	s.running(t, "default", "plain")
	s.apply(t, "default", pullerPod("other", other, "")) // the answer is for the registry
	s.apply(t, "default", pullerPod("again", plain, "")) // the node's login is every pod's
	s.running(t, "default", "other", "again")
	contains(t, s.waits(t, "default", "no-provider", 30*time.Second, "ErrImagePull", "ImagePullBackOff"), "401")
	if got := strings.TrimSpace(asked()); got != fmt.Sprintf(`{"kind":"CredentialProviderRequest","apiVersion":"credentialprovider.kubelet.k8s.io/v1","image":"%s/plain/app"}`, r.host) {
		t.Errorf("the plugin was asked:\n%s", got)
	}

	s.apply(t, "default", pullerPod("by-token", tokens, as("puller")))
	s.running(t, "default", "by-token")
	contains(t, asked(), r.host+"/tokens/app", `"serviceAccountAnnotations":{"example.org/pulls":"yes"}`)
	s.apply(t, "default", pullerPod("same-account", tokens, as("puller")))
	s.apply(t, "default", pullerPod("second-account", tokens, as("second")))
	s.apply(t, "default", pullerPod("not-opted-in", tokens, as("plain")))
	s.running(t, "default", "same-account", "second-account")
	contains(t, s.sh(t, "kubectl describe pod same-account"), "already present on machine and can be accessed by the pod")
	contains(t, s.sh(t, "kubectl describe pod second-account"), "Successfully pulled image")
	contains(t, s.waits(t, "default", "not-opted-in", 30*time.Second, "ErrImagePull", "ImagePullBackOff"), "401")

	s.apply(t, "default", pullerPod("broken", broken, as("third")))
	contains(t, s.waits(t, "default", "broken", 30*time.Second, "ErrImagePull", "ImagePullBackOff"), "401", "credential provider of-accounts: exit status 3")
	eventually(t, 5*time.Second, func() error {
		if log := s.Log(); !strings.Contains(log, "no luck with [redacted]") {
			return fmt.Errorf("the log does not say what the plugin said:\n%s", tail(log, 10))
		}
		return nil
	})
	s.tellNoTokens(t, notes, asked())
}

// tellNoTokens fails where a password or a token is told that plugins were asked with.
func (s *system) tellNoTokens(t *testing.T, notes, asked string) {
	t.Helper()
	secrets := []string{registryPassword}
	for line := range strings.Lines(asked) {
		if _, rest, ok := strings.Cut(line, `"serviceAccountToken":"`); ok {
			token, _, _ := strings.Cut(rest, `"`)
			secrets = append(secrets, token)
		}
	}
	if len(secrets) < 3 {
		t.Fatalf("plugins were not asked with tokens:\n%s", asked)
	}
	shown, err := os.ReadFile(filepath.Join(notes, "shown"))
	if err != nil {
		t.Fatal(err)
	}
	records := s.sh(t, "cat "+s.Dir+"/image_manager/pulled/*")
	for where, text := range map[string]string{
		"log": s.Log(), "arguments and environment": string(shown), "records": records, "events": s.sh(t, "kubectl get events,pods -o yaml"),
	} {
		for _, secret := range secrets {
			if strings.Contains(text, secret) {
				t.Errorf("a password or token is in the %s", where)
			}
		}
	}
}

// TestNodesAskForAudiencesOfPluginsOnly: without a plugin the audience is not a node's to
// ask for.
func TestNodesAskForAudiencesOfPluginsOnly(t *testing.T) {
	t.Parallel()
	ns := shared.namespace(t)
	shared.apply(t, ns, fmt.Sprintf(sleeper, "p"))
	shared.running(t, ns, "p")
	uid := shared.field(t, ns, "pod/p", "{.metadata.uid}")
	as := "--as=system:node:" + shared.field(t, ns, "pod/p", "{.spec.nodeName}") + " --as-group=system:nodes"
	said := shared.fails(t, fmt.Sprintf("kubectl create token -n %s default --audience=the-registry --bound-object-kind=Pod --bound-object-name=p --bound-object-uid=%s %s", ns, uid, as))
	contains(t, said, `audience "the-registry" not found in pod spec volume`)
}
