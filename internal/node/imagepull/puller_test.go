package imagepull

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"laterna.dev/laterna/internal/clock"
	"laterna.dev/laterna/internal/redacted"
	"laterna.dev/laterna/internal/runtime/cri"
)

// registries stands for a runtime and the registries behind it.
type registries struct {
	mu sync.Mutex
	// password is what is asked for; "" asks for none.
	password string
	pulls    []string
	// hang has images of these hosts never come.
	hang map[string]bool
	now  map[string]int
	most int
}

func (r *registries) ImageStatus(context.Context, string) (*cri.Image, error) {
	return &cri.Image{ID: "sha256:id", Size: 7}, nil
}

func (r *registries) PullImage(ctx context.Context, ref string, _ *cri.SandboxSpec, login *cri.Login) (string, error) {
	by := "anonymous"
	if login != nil {
		by = login.Username
	}
	r.mu.Lock()
	r.pulls = append(r.pulls, by)
	hang := r.hang[registryOf(ref)]
	r.mu.Unlock()
	if hang {
		<-ctx.Done()
		return "", ctx.Err()
	}
	if r.password == "" || login != nil && login.Password.Reveal() == r.password {
		return "sha256:id", nil
	}
	if login == nil {
		return "", errors.New("no basic auth credentials")
	}
	return "", fmt.Errorf("unauthorized: %s with %s", login.Username, login.Password.Reveal())
}

func pod(secrets ...string) *corev1.Pod {
	p := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "p"}}
	for _, s := range secrets {
		p.Spec.ImagePullSecrets = append(p.Spec.ImagePullSecrets, corev1.LocalObjectReference{Name: s})
	}
	return p
}

// puller has the Secrets "<user>" with the password "<user>-pw" for r.example.
func puller(t *testing.T, r *registries, dir string, change func(*Config)) (*Puller, *[]string) {
	t.Helper()
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	records, err := OpenRecords(root)
	if err != nil {
		t.Fatal(err)
	}
	var missing []string
	cfg := Config{
		Runtime: r, Records: records, Parallel: 2, Clock: clock.Real(), Log: slog.New(slog.NewTextHandler(io.Discard, nil)),
		Missing: func(_ *corev1.Pod, names []string) { missing = append(missing, names...) },
		Secret: func(_ context.Context, namespace, name string) (*corev1.Secret, error) {
			if name == "absent" {
				return nil, errors.New("not found")
			}
			s := secret(corev1.SecretTypeDockercfg, ".dockercfg", fmt.Sprintf(`{"r.example":{"username":%q,"password":"%s-pw"}}`, name, name))
			s.Namespace, s.Name, s.UID = namespace, name, types.UID(namespace+name)
			if name == "broken" {
				s.Data[".dockercfg"] = []byte("{")
			}
			return s, nil
		},
	}
	if change != nil {
		change(&cfg)
	}
	return New(cfg), &missing
}

func TestEveryFittingCredentialIsTriedInTurn(t *testing.T) {
	r := &registries{password: "bob-pw"}
	p, missing := puller(t, r, t.TempDir(), nil)
	image, _, err := p.Pull(t.Context(), pod("absent", "ann", "bob"), "r.example/app:1", nil)
	if err != nil || image.ID != "sha256:id" || !slices.Equal(r.pulls, []string{"ann", "bob"}) || !slices.Equal(*missing, []string{"absent"}) {
		t.Errorf("%v, %v; pulls %q, missing %q", image, err, r.pulls, *missing)
	}
}

func TestFailuresOfAllCredentialsAreJoinedWithoutSecrets(t *testing.T) {
	p, _ := puller(t, &registries{password: "other"}, t.TempDir(), nil)
	_, _, err := p.Pull(t.Context(), pod("ann", "bob"), "r.example/app:1", nil)
	if err == nil || err.Error() != "[unauthorized: ann with [redacted], unauthorized: bob with [redacted]]" {
		t.Errorf("got %v", err)
	}
	if _, _, err := p.Pull(t.Context(), pod("ann"), "r.example/app:1", nil); err == nil || err.Error() != "unauthorized: ann with [redacted]" {
		t.Errorf("got %v", err)
	}
	if _, _, err := p.Pull(t.Context(), pod("ann"), "other.example/app:1", nil); err == nil || err.Error() != "no basic auth credentials" {
		t.Errorf("got %v", err)
	}
	if _, _, err := p.Pull(t.Context(), pod("broken"), "r.example/app:1", nil); err == nil || !strings.Contains(err.Error(), "image pull secret ns/broken") {
		t.Errorf("got %v", err)
	}
}

// TestPresentImageIsForThoseWhoCouldPullIt is KEP-2535.
func TestPresentImageIsForThoseWhoCouldPullIt(t *testing.T) {
	dir := t.TempDir()
	r := &registries{password: "ann-pw"}
	p, _ := puller(t, r, dir, nil)
	present := &cri.Image{ID: "sha256:id"}
	may := func(p *Puller, pod *corev1.Pod) bool {
		t.Helper()
		ok, err := p.May(t.Context(), pod, "r.example/app:1", present)
		if err != nil {
			t.Fatal(err)
		}
		return ok
	}
	if !may(p, pod()) {
		t.Error("an image that was always there is kept from pods")
	}
	if _, _, err := p.Pull(t.Context(), pod("ann"), "r.example/app:1", nil); err != nil {
		t.Fatal(err)
	}
	again, _ := puller(t, r, dir, nil) // as after a restart
	for what, tt := range map[string]struct {
		pod  *corev1.Pod
		want bool
	}{
		"the same secret": {pod("ann"), true}, "one of several": {pod("bob", "ann"), true}, "another": {pod("bob"), false}, "none": {pod(), false},
	} {
		if got := may(again, tt.pod); got != tt.want {
			t.Errorf("%s: %t", what, got)
		}
	}
	elsewhere := pod("ann")
	elsewhere.Namespace = "other"
	if !may(again, elsewhere) {
		t.Error("the same login from another namespace is refused")
	}
	for policy, want := range map[string]bool{NeverVerify: true, NeverVerifyAllowlistedImages: false, AlwaysVerify: false} {
		p, _ := puller(t, r, dir, func(c *Config) { c.Verify.Policy = policy })
		if got := may(p, pod()); got != want {
			t.Errorf("%s: %t", policy, got)
		}
	}
	r.password = ""
	if _, _, err := p.Pull(t.Context(), pod(), "r.example/app:1", nil); err != nil {
		t.Fatal(err)
	}
	if !may(again, pod()) {
		t.Error("an image that anyone can pull is kept from pods")
	}
	raw := ""
	for _, name := range files(t, dir) {
		raw += name
	}
	if strings.Contains(raw, "ann-pw") {
		t.Error("the records hold a password")
	}
}

// provided are logins of credential providers, by the pod's service account.
type provided func(account string) ([]Credential, error)

func (p provided) Credentials(_ context.Context, pod *corev1.Pod, _ string) ([]Credential, error) {
	return p(pod.Spec.ServiceAccountName)
}

// TestProvidedLoginsAreTriedAfterThoseOfSecrets is also KEP-2535 for service accounts.
func TestProvidedLoginsAreTriedAfterThoseOfSecrets(t *testing.T) {
	dir := t.TempDir()
	r := &registries{password: "sa-pw"}
	var lack error
	p, _ := puller(t, r, dir, func(c *Config) {
		c.Providers = provided(func(account string) ([]Credential, error) {
			login := cri.Login{Username: account, Password: redacted.New(account + "-pw")}
			if account == "" {
				return []Credential{{Key: "r.example", Login: login}, {Key: "elsewhere.example", Login: login}}, lack
			}
			return []Credential{{Key: "*.example", Login: login, Account: Source{UID: types.UID("uid-" + account), Namespace: "ns", Name: account}}}, lack
		})
	})
	of := func(account string, secrets ...string) *corev1.Pod {
		p := pod(secrets...)
		p.Spec.ServiceAccountName = account
		return p
	}
	if _, _, err := p.Pull(t.Context(), of("sa", "ann"), "r.example/app:1", nil); err != nil || !slices.Equal(r.pulls, []string{"ann", "sa"}) {
		t.Errorf("%v; pulls %q", err, r.pulls)
	}
	for who, tt := range map[string]struct {
		pod  *corev1.Pod
		want bool
	}{"the same account": {of("sa"), true}, "another": {of("other"), false}, "none": {of(""), false}, "a secret": {of("", "ann"), false}} {
		if ok, err := p.May(t.Context(), tt.pod, "r.example/app:1", &cri.Image{ID: "sha256:id"}); ok != tt.want || err != nil {
			t.Errorf("%s: %t, %v", who, ok, err)
		}
	}
	lack = errors.New("credential provider x: exit status 1\ncredential provider y: exit status 2")
	_, _, err := p.Pull(t.Context(), of("other"), "r.example/app:1", nil)
	if want := "unauthorized: other with [redacted] (credential provider x: exit status 1; credential provider y: exit status 2)"; err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
	r.password = "-pw"
	if _, _, err := p.Pull(t.Context(), of(""), "r.example/app:1", nil); err != nil {
		t.Fatal(err)
	}
	if ok, err := p.May(t.Context(), of("other"), "r.example/app:1", &cri.Image{ID: "sha256:id"}); !ok || err != nil {
		t.Errorf("an image that was pulled with the node's own login is kept from pods: %t, %v", ok, err)
	}
	for _, raw := range files(t, dir) {
		if strings.Contains(raw, "sa-pw") {
			t.Error("the records hold a password")
		}
	}
}

func files(t *testing.T, dir string) (contents []string) {
	t.Helper()
	entries, err := os.ReadDir(dir + "/pulled")
	if err != nil || len(entries) == 0 {
		t.Fatalf("%d records, %v", len(entries), err)
	}
	for _, e := range entries {
		raw, err := os.ReadFile(dir + "/pulled/" + e.Name())
		if err != nil {
			t.Fatal(err)
		}
		info, err := e.Info()
		if err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: mode %v, %v", e.Name(), info.Mode(), err)
		}
		contents = append(contents, string(raw))
	}
	return contents
}

// TestPullThatWasCutOffDoesNotMakeAnImagePreloaded ends the agent between a pull and its
// record.
func TestPullThatWasCutOffDoesNotMakeAnImagePreloaded(t *testing.T) {
	dir := t.TempDir()
	p, _ := puller(t, &registries{}, dir, nil)
	if _, err := p.cfg.Records.Begin("r.example/app:1"); err != nil {
		t.Fatal(err)
	}
	again, _ := puller(t, &registries{}, dir, nil)
	if ok, err := again.May(t.Context(), pod(), "r.example/app:1", &cri.Image{ID: "x"}); ok || err != nil {
		t.Errorf("%t, %v", ok, err)
	}
	if ok, err := again.May(t.Context(), pod(), "r.example/other:1", &cri.Image{ID: "y"}); !ok || err != nil {
		t.Errorf("%t, %v", ok, err)
	}
}

func TestAllowedImagesNeedNoCheck(t *testing.T) {
	v := Verification{Policy: NeverVerifyAllowlistedImages, Allow: []string{"r.example/team/*", "docker.io/library/busybox"}}
	for image, want := range map[string]bool{"r.example/team/app:1": true, "r.example/teams/app": false, "busybox:1.28": true, "nginx": false} {
		if got := v.trusts(known{preloaded: true}, image); got != want {
			t.Errorf("%s: %t", image, got)
		}
	}
}

// TestPullThatDoesNotMoveIsGivenUp, and one that moves slowly is not.
func TestPullThatDoesNotMoveIsGivenUp(t *testing.T) {
	dir := t.TempDir()
	for what, tt := range map[string]struct {
		every time.Duration // between bytes; 0: none ever comes
		err   error         // of looking
		open  bool
		after time.Duration
		want  string
	}{
		"silence":     {0, nil, false, 65 * time.Second, "nothing came from registry dead.example for 1m0s"},
		"slow":        {50 * time.Second, nil, false, time.Hour, "context deadline exceeded"},
		"slow blob":   {9 * time.Minute, nil, true, time.Hour, "context deadline exceeded"},
		"broken blob": {0, nil, true, 10*time.Minute + 5*time.Second, "nothing came from registry dead.example for 10m0s"},
		"not known":   {0, errors.New("not reached"), false, time.Hour, "context deadline exceeded"},
		"too slow":    {70 * time.Second, nil, false, 65 * time.Second, "nothing came"},
	} {
		synctest.Test(t, func(t *testing.T) {
			r := &registries{hang: map[string]bool{"dead.example": true}}
			start := time.Now()
			p, _ := puller(t, r, dir, func(c *Config) {
				c.Progress = func(_ context.Context, repository string) (string, bool, error) {
					if repository != "dead.example/app" {
						t.Errorf("%s: progress of %s", what, repository)
					}
					if tt.every == 0 {
						return "0", tt.open, tt.err
					}
					return fmt.Sprint(int(time.Since(start) / tt.every)), tt.open, tt.err
				}
			})
			ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
			defer cancel()
			_, _, err := p.Pull(ctx, pod("ann"), "dead.example/app:1", nil)
			if err == nil || !strings.Contains(err.Error(), tt.want) || time.Since(start) != tt.after {
				t.Errorf("%s: %v after %s, want %q after %s", what, err, time.Since(start), tt.want, tt.after)
			}
		})
	}
}

// TestRegistryThatNeverAnswersKeepsNobodyElseWaiting fills all places with pulls that hang.
func TestRegistryThatNeverAnswersKeepsNobodyElseWaiting(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		r := &registries{hang: map[string]bool{"dead.example": true}}
		p, _ := puller(t, r, dir, nil)
		ctx, cancel := context.WithCancel(t.Context())
		var all sync.WaitGroup
		for range 5 {
			all.Go(func() { _, _, _ = p.Pull(ctx, pod(), "dead.example/app", nil) })
		}
		synctest.Wait()
		if len(r.pulls) != 2 {
			t.Errorf("%d pulls at a time", len(r.pulls))
		}
		start := time.Now()
		_, waited, err := p.Pull(t.Context(), pod(), "r.example/app", nil)
		if err != nil || time.Since(start) > long || waited != time.Since(start) {
			t.Errorf("%v after %s, waited %s", err, time.Since(start), waited)
		}
		if len(r.pulls) != 3 {
			t.Errorf("%d pulls", len(r.pulls))
		}
		cancel()
		all.Wait()
		if len(p.places.registries) != 0 || len(p.places.all) != 0 {
			t.Error("places are kept")
		}
	})
}
