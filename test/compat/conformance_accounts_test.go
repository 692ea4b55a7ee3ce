package compat

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
)

// accountFiles is where pods find the credentials of their service account.
const accountFiles = "/var/run/secrets/kubernetes.io/serviceaccount"

// account creates a service account.
func (s *stage) account(t testing.TB, name string, automount *bool) *corev1.ServiceAccount {
	t.Helper()
	made, err := s.client.CoreV1().ServiceAccounts(s.ns).Create(t.Context(), &corev1.ServiceAccount{
		ObjectMeta: metav1.ObjectMeta{Name: name}, AutomountServiceAccountToken: automount}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return made
}

func TestConformanceAPIAccess(t *testing.T) {
	s := newStage(t)
	s.conforms(t, "[sig-auth] ServiceAccounts should mount an API token into pods", func(t *testing.T) {
		pod := shell(s.name("pod"), "cd "+accountFiles+" && cat namespace && echo && cat token && echo && cat ca.crt")
		pod.Spec.ServiceAccountName = s.account(t, "mount-test", nil).Name
		namespace, rest, _ := strings.Cut(s.output(t, pod), "\n")
		token, authority, _ := strings.Cut(rest, "\n")
		root, err := s.client.CoreV1().ConfigMaps(s.ns).Get(t.Context(), "kube-root-ca.crt", metav1.GetOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if namespace != s.ns || authority != root.Data["ca.crt"] || authority == "" {
			t.Errorf("namespace %q, authority\n%s\nwant %q and\n%s", namespace, authority, s.ns, root.Data["ca.crt"])
		}
		r := review(t, s.system, token)
		if !r.Authenticated || r.Error != "" || r.User.Username != "system:serviceaccount:"+s.ns+":mount-test" {
			t.Errorf("the review of the token: %+v", r)
		}
		for _, group := range []string{"system:authenticated", "system:serviceaccounts", "system:serviceaccounts:" + s.ns} {
			if !slices.Contains(r.User.Groups, group) {
				t.Errorf("groups %q lack %s", r.User.Groups, group)
			}
		}
	})

	s.conforms(t, "[sig-auth] ServiceAccounts should allow opting out of API token automount", func(t *testing.T) {
		s.account(t, "mount", new(true))
		s.account(t, "nomount", new(false))
		for _, tc := range []struct {
			account string
			pod     *bool
			mounted bool
		}{
			{"default", nil, true}, {"mount", nil, true}, {"nomount", nil, false},
			{"default", new(true), true}, {"mount", new(true), true}, {"nomount", new(true), true},
			{"default", new(false), false}, {"mount", new(false), false}, {"nomount", new(false), false},
		} {
			pod := shell(s.name("pod"), forever)
			pod.Spec.ServiceAccountName, pod.Spec.AutomountServiceAccountToken = tc.account, tc.pod
			made := s.create(t, pod)
			mounted := slices.ContainsFunc(made.Spec.Containers[0].VolumeMounts, func(m corev1.VolumeMount) bool { return m.MountPath == accountFiles })
			if mounted != tc.mounted || len(made.Spec.Volumes) == 1 != tc.mounted {
				t.Errorf("account %s, pod says %v: mounted %v with %d volumes, want %v", tc.account, tc.pod, mounted, len(made.Spec.Volumes), tc.mounted)
			}
		}
	})

	s.conforms(t, "[sig-auth] ServiceAccounts should mount projected service account token", func(t *testing.T) {
		pod := shell(s.name("pod"), "cat /test-volume/token")
		mount(pod, "/test-volume", tokenVolume("", 3600))
		c := decode(t, s.output(t, pod))
		if c.Subject != "system:serviceaccount:"+s.ns+":default" || c.Expiry-c.IssuedAt != 3600 {
			t.Errorf("subject %q, life %d", c.Subject, c.Expiry-c.IssuedAt)
		}
	})

	s.conforms(t, "[sig-auth] ServiceAccounts should create a serviceAccountToken and ensure a successful TokenReview", func(t *testing.T) {
		made, err := s.client.CoreV1().ServiceAccounts(s.ns).CreateToken(t.Context(), s.account(t, "requests", nil).Name, &authenticationv1.TokenRequest{}, metav1.CreateOptions{})
		if err != nil || made.Status.Token == "" {
			t.Fatalf("a token of %d bytes, %v", len(made.Status.Token), err)
		}
		if r := review(t, s.system, made.Status.Token); !r.Authenticated || r.Error != "" {
			t.Errorf("the review of the token: %+v", r)
		}
	})

	s.conforms(t, "[sig-auth] ServiceAccounts ServiceAccountIssuerDiscovery should support OIDC discovery of service account issuer", s.discovers)
}

// tokenVolume projects a token as the file "token".
func tokenVolume(audience string, seconds int64) corev1.VolumeSource {
	return corev1.VolumeSource{Projected: &corev1.ProjectedVolumeSource{Sources: []corev1.VolumeProjection{{
		ServiceAccountToken: &corev1.ServiceAccountTokenProjection{Path: "token", Audience: audience, ExpirationSeconds: &seconds},
	}}}}
}

// discovers has a pod fetch what it takes to verify a token, with the credentials that
// every pod has, and verifies the pod's token with nothing but that.
func (s *stage) discovers(t *testing.T) {
	pod := shell(s.name("pod"), `cat /var/run/secrets/tokens/token; echo
		get() { curl -sSf --cacert `+accountFiles+`/ca.crt -H "Authorization: Bearer $(cat `+accountFiles+`/token)" "https://$KUBERNETES_SERVICE_HOST:$KUBERNETES_SERVICE_PORT$1"; }
		get /.well-known/openid-configuration | tr -d '\n' && echo && get /openid/v1/jwks | tr -d '\n'`)
	pod.Spec.Containers[0].Image = "tutum/curl"
	mount(pod, "/var/run/secrets/tokens", tokenVolume("oidc-discovery-test", 600))
	lines := strings.Split(s.output(t, pod), "\n")
	if len(lines) != 3 {
		t.Fatalf("the pod prints %q", lines)
	}
	var document struct {
		Issuer     string   `json:"issuer"`
		JWKS       string   `json:"jwks_uri"`
		Responses  []string `json:"response_types_supported"`
		Subjects   []string `json:"subject_types_supported"`
		Algorithms []string `json:"id_token_signing_alg_values_supported"`
	}
	if err := json.Unmarshal([]byte(lines[1]), &document); err != nil {
		t.Fatalf("discovery document: %v in %s", err, lines[1])
	}
	c := decode(t, lines[0])
	if c.Issuer != document.Issuer || !slices.Equal(c.Audience, []string{"oidc-discovery-test"}) || c.Expiry-c.IssuedAt != 600 ||
		c.Subject != "system:serviceaccount:"+s.ns+":default" {
		t.Errorf("claims %+v, issuer of the document %q", c, document.Issuer)
	}
	if !strings.HasSuffix(document.JWKS, "/openid/v1/jwks") || !slices.Equal(document.Responses, []string{"id_token"}) ||
		!slices.Equal(document.Subjects, []string{"public"}) || !slices.Equal(document.Algorithms, []string{"RS256"}) {
		t.Errorf("discovery document %+v", document)
	}
	if err := verifyRS256(lines[0], []byte(lines[2])); err != nil {
		t.Errorf("the signature of the token: %v", err)
	}
	if tampered := strings.Replace(lines[0], ".", "A.", 2); verifyRS256(tampered, []byte(lines[2])) == nil {
		t.Error("a tampered token passes, too")
	}
}

func TestConformanceServiceAccountObjects(t *testing.T) {
	s := newStage(t)
	accounts := s.client.CoreV1().ServiceAccounts(s.ns)
	s.conforms(t, "[sig-auth] ServiceAccounts should update a ServiceAccount", func(t *testing.T) {
		made := s.account(t, "updated", new(false))
		if on := made.AutomountServiceAccountToken; on == nil || *on {
			t.Errorf("after creating: automount %v, want false", on)
		}
		made.AutomountServiceAccountToken = new(true)
		now, err := accounts.Update(t.Context(), made, metav1.UpdateOptions{})
		if err != nil || now.AutomountServiceAccountToken == nil || !*now.AutomountServiceAccountToken {
			t.Errorf("after the update: %+v, %v", now, err)
		}
	})

	s.conforms(t, "[sig-auth] ServiceAccounts should run through the lifecycle of a ServiceAccount", func(t *testing.T) {
		const label = "test-serviceaccount-static=true"
		made, err := accounts.Create(t.Context(), &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{
			Name: "lifecycle", Labels: map[string]string{"test-serviceaccount-static": "true"}}}, metav1.CreateOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if got, err := accounts.Get(t.Context(), made.Name, metav1.GetOptions{}); err != nil || got.UID != made.UID {
			t.Errorf("reading it: %+v, %v", got, err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), stepTimeout)
		defer cancel()
		events, err := accounts.Watch(ctx, metav1.ListOptions{LabelSelector: label})
		if err != nil {
			t.Fatal(err)
		}
		defer events.Stop()
		expect := func(want watch.EventType) {
			t.Helper()
			if e, open := <-events.ResultChan(); !open || e.Type != want {
				t.Fatalf("watching: %+v (open %v), want %s", e, open, want)
			}
		}
		expect(watch.Added)
		if _, err := accounts.Patch(t.Context(), made.Name, types.StrategicMergePatchType, []byte(`{"automountServiceAccountToken":false}`), metav1.PatchOptions{}); err != nil {
			t.Fatal(err)
		}
		expect(watch.Modified)
		everywhere, err := s.client.CoreV1().ServiceAccounts("").List(t.Context(), metav1.ListOptions{LabelSelector: label})
		if err != nil || len(everywhere.Items) != 1 || everywhere.Items[0].UID != made.UID || *everywhere.Items[0].AutomountServiceAccountToken {
			t.Errorf("by its label in all namespaces: %+v, %v", everywhere.Items, err)
		}
		if err := accounts.DeleteCollection(t.Context(), metav1.DeleteOptions{}, metav1.ListOptions{LabelSelector: label}); err != nil {
			t.Fatal(err)
		}
		expect(watch.Deleted)
	})

	s.conforms(t, "[sig-auth] ServiceAccounts should guarantee kube-root-ca.crt exist in any namespace", func(t *testing.T) {
		maps := s.client.CoreV1().ConfigMaps(s.ns)
		holds := func() (authority string, err error) {
			object, err := maps.Get(t.Context(), "kube-root-ca.crt", metav1.GetOptions{})
			if err == nil && !strings.HasPrefix(object.Data["ca.crt"], "-----BEGIN CERTIFICATE-----") {
				err = fmt.Errorf("ca.crt holds %q", object.Data["ca.crt"])
			}
			if err != nil {
				return "", err
			}
			return object.Data["ca.crt"], nil
		}
		var before string
		again := func() (err error) { before, err = holds(); return err }
		eventually(t, 10*time.Second, again)
		want := before
		if err := maps.Delete(t.Context(), "kube-root-ca.crt", *metav1.NewDeleteOptions(0)); err != nil {
			t.Fatal(err)
		}
		eventually(t, 10*time.Second, again)
		empty := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "kube-root-ca.crt"}, Data: map[string]string{"ca.crt": ""}}
		if _, err := maps.Update(t.Context(), empty, metav1.UpdateOptions{}); err != nil {
			t.Fatal(err)
		}
		eventually(t, 10*time.Second, again)
		if before != want {
			t.Errorf("it holds\n%s\nit held\n%s", before, want)
		}
	})
}
