package laternatest_test

import (
	"bytes"
	"errors"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"

	"laterna.dev/laterna/boundtoken"
	"laterna.dev/laterna/internal/datadir"
	"laterna.dev/laterna/laternatest"
)

// issue returns a token of the default service account.
func issue(t testing.TB, s *laternatest.System, seconds int64) string {
	t.Helper()
	r, err := s.Client().CoreV1().ServiceAccounts("default").CreateToken(t.Context(), "default",
		&authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{ExpirationSeconds: &seconds}}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return r.Status.Token
}

// issueForPod returns a token of a pod's default service account, of extended life.
func issueForPod(t testing.TB, s *laternatest.System) string {
	t.Helper()
	pod, err := s.Client().CoreV1().Pods("default").Create(t.Context(), &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: "nowhere"},
		Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "main", Image: "example/any:1"}}},
	}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	seconds := int64(3607) // as pods ask for, which makes it extended
	r, err := s.Client().CoreV1().ServiceAccounts("default").CreateToken(t.Context(), "default", &authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{
		ExpirationSeconds: &seconds,
		BoundObjectRef:    &authenticationv1.BoundObjectReference{APIVersion: "v1", Kind: "Pod", Name: pod.Name, UID: pod.UID},
	}}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return r.Status.Token
}

// accepts tells whether a system accepts a token.
func accepts(t testing.TB, s *laternatest.System, token string) bool {
	t.Helper()
	r, err := s.Client().AuthenticationV1().TokenReviews().Create(t.Context(),
		&authenticationv1.TokenReview{Spec: authenticationv1.TokenReviewSpec{Token: token}}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return r.Status.Authenticated
}

func TestTokensLiveByTheTestClock(t *testing.T) {
	t.Parallel()
	s := laternatest.Start(t, laternatest.Config{})
	token := issue(t, s, 3600)
	if !accepts(t, s, token) {
		t.Error("a fresh token is refused")
	}
	before := s.Now()
	s.Advance(2 * time.Hour)
	if passed := s.Now().Sub(before); passed < 2*time.Hour || passed > 2*time.Hour+time.Minute {
		t.Errorf("%s passed, want 2h", passed)
	}
	if accepts(t, s, token) {
		t.Error("a token is accepted an hour after its end")
	}
	s.Advance(-2 * time.Hour)
	if !accepts(t, s, token) {
		t.Error("the token is refused at a time when it is good")
	}
}

func TestSystemsInOneProcessStayApart(t *testing.T) {
	t.Parallel()
	issuers := []string{"https://one.example", "https://two.example"}
	var systems [2]*laternatest.System
	for i := range systems {
		issuer, err := boundtoken.ParseIssuer(issuers[i])
		if err != nil {
			t.Fatal(err)
		}
		systems[i] = laternatest.Start(t, laternatest.Config{Issuers: []boundtoken.Issuer{issuer}})
	}
	one, two := systems[0], systems[1]
	if one.Config().Host == two.Config().Host || one.Kubeconfig() == two.Kubeconfig() {
		t.Fatal("both systems are the same")
	}
	one.Advance(24 * time.Hour)
	if apart := one.Now().Sub(two.Now()); apart < 23*time.Hour {
		t.Errorf("the clocks are %s apart, want a day", apart)
	}
	for i, s := range systems {
		token := issue(t, s, 600)
		parsed, err := boundtoken.Parse(token)
		if err != nil || parsed.UnverifiedClaims().Issuer != issuers[i] {
			t.Errorf("system %d issues as %q: %v", i, parsed.UnverifiedClaims().Issuer, err)
		}
		if !accepts(t, s, token) || accepts(t, systems[1-i], token) {
			t.Errorf("a token of system %d is accepted elsewhere, or not at home", i)
		}
	}
	cm := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "mine"}}
	for i, s := range systems { // the same name, twice
		if _, err := s.Client().CoreV1().ConfigMaps("default").Create(t.Context(), cm.DeepCopy(), metav1.CreateOptions{}); err != nil {
			t.Errorf("system %d: %v", i, err)
		}
	}
}

// TestEachSystemCountsForItself: the libraries' metrics are the process's, those of the
// checks of tokens are not.
func TestEachSystemCountsForItself(t *testing.T) {
	t.Parallel()
	const counter = "serviceaccount_valid_tokens_total"
	used, idle := laternatest.Start(t, laternatest.Config{}), laternatest.Start(t, laternatest.Config{})
	account := func(s *laternatest.System) string {
		raw, err := s.Client().Discovery().RESTClient().Get().AbsPath("/metrics").DoRaw(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Contains(raw, []byte("apiserver_request_total")) {
			t.Error("the metrics of libraries are missing")
		}
		for line := range strings.Lines(string(raw)) {
			if value, ok := strings.CutPrefix(line, counter+" "); ok {
				return strings.TrimSpace(value)
			}
		}
		return ""
	}
	token := issueForPod(t, used)
	for range 3 {
		if !accepts(t, used, token) {
			t.Fatal("the token is refused")
		}
	}
	if got, other := account(used), account(idle); got != "3" || other != "0" {
		t.Errorf("%s is %q and, on the other system, %q; want 3 and 0", counter, got, other)
	}
}

func TestNothingIsLeftOfASystem(t *testing.T) {
	var dir datadir.Dir
	var host string
	t.Run("system", func(t *testing.T) {
		s := laternatest.Start(t, laternatest.Config{})
		var err error
		if dir, err = datadir.Locate(filepath.Dir(s.Kubeconfig())); err != nil {
			t.Fatal(err)
		}
		host = strings.TrimPrefix(s.Config().Host, "https://")
		conn, err := net.Dial("tcp", host)
		if err != nil {
			t.Fatal(err)
		}
		conn.Close()
		for _, path := range []string{dir.Path, dir.RunDir} {
			if _, err := os.Stat(path); err != nil {
				t.Error(err)
			}
		}
	})
	if conn, err := net.Dial("tcp", host); err == nil {
		conn.Close()
		t.Errorf("somebody still listens on %s", host)
	}
	for _, path := range []string{filepath.Dir(dir.Path), dir.RunDir} {
		if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s is left: %v", path, err)
		}
	}
}

func TestKubeconfigServesPrograms(t *testing.T) {
	t.Parallel()
	s := laternatest.Start(t, laternatest.Config{})
	config, err := clientcmd.BuildConfigFromFlags("", s.Kubeconfig())
	if err != nil {
		t.Fatal(err)
	}
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	if v, err := client.Discovery().ServerVersion(); err != nil || !strings.Contains(v.GitVersion, "laterna") {
		t.Errorf("%v, %v", v, err)
	}
	changed := s.Config()
	changed.Host = "https://elsewhere.example"
	if s.Config().Host == changed.Host {
		t.Error("a caller's change of its configuration reaches others")
	}
}

func TestFaultsEndTheTest(t *testing.T) {
	for what, tc := range map[string]struct {
		config laternatest.Config
		do     func(*laternatest.System)
		want   string
	}{
		"a life too short": {laternatest.Config{MaxTokenLife: time.Minute}, nil, "--service-account-max-token-expiration"},
		"a clock too far":  {laternatest.Config{}, func(s *laternatest.System) { s.Advance(200 * 365 * 24 * time.Hour) }, "advancing the clock"},
		"no node":          {laternatest.Config{}, func(s *laternatest.System) { s.IdleImage() }, "Config.Node"},
	} {
		r := &recorder{TB: t}
		done := make(chan struct{})
		go func() {
			defer close(done)
			s := laternatest.Start(r, tc.config)
			tc.do(s)
		}()
		<-done
		r.cleanUp()
		if !r.Failed() || !strings.Contains(r.said.String(), tc.want) {
			t.Errorf("%s: the test said %q, want a failure that says %q", what, r.said.String(), tc.want)
		}
	}
}
