package credentialprovider

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"laterna.dev/laterna/internal/clock"
	"laterna.dev/laterna/internal/node/imagepull"
)

const secretToken = "token-of-an-account-that-is-not-short"

// node has one plugin, a script that notes what it is asked.
type node struct {
	*Providers
	dir string
	log bytes.Buffer
	// accounts have annotations; fail has tokens be refused.
	accounts map[string]map[string]string
	fail     bool
	tokens   atomic.Int64 // that were asked for
}

func newNode(t *testing.T, settings, script string) *node {
	t.Helper()
	n := &node{dir: t.TempDir(), accounts: map[string]map[string]string{"sa": nil}}
	script = "#!/bin/sh\ncd " + n.dir + "\n" + script
	file(t, n.dir, "ecr", script)
	if err := os.Chmod(filepath.Join(n.dir, "ecr"), 0o700); err != nil {
		t.Fatal(err)
	}
	s, err := Load(file(t, n.dir, "c.yaml", head+strings.Replace(minimal, "defaultCacheDuration: 1h", settings, 1)), n.dir)
	if err != nil {
		t.Fatal(err)
	}
	n.Providers = New(Config{
		Settings: s, Clock: clock.Real(), Log: slog.New(slog.NewTextHandler(&n.log, nil)),
		Account: func(_ context.Context, namespace, name string) (metav1.Object, error) {
			annotations, ok := n.accounts[name]
			if !ok {
				return nil, errors.New("not found")
			}
			return &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name, UID: types.UID("uid-" + name), Annotations: annotations}}, nil
		},
		Token: func(_ context.Context, namespace, account string, r *authenticationv1.TokenRequest) (*authenticationv1.TokenRequest, error) {
			n.tokens.Add(1)
			ref := r.Spec.BoundObjectRef
			if namespace != "ns" || ref.Kind != "Pod" || ref.APIVersion != "v1" || "uid-"+ref.Name != string(ref.UID) || *r.Spec.ExpirationSeconds != 3600 {
				t.Errorf("asked for a token of %s/%s with %+v", namespace, account, r.Spec)
			}
			if n.fail {
				return nil, errors.New("forbidden")
			}
			r.Status.Token = fmt.Sprint(secretToken, r.Spec.Audiences[0], ref.UID)
			return r, nil
		},
	})
	return n
}

// pass has what a cache keeps end as if d had passed.
func pass(c *cache, d time.Duration) {
	for s, k := range c.all {
		k.expires = k.expires.Add(-d)
		c.all[s] = k
	}
}

// runs is how often the plugin ran, and the last thing it was told.
func (n *node) runs(t *testing.T) (count int, last string) {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(n.dir, "asked"))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(string(raw)), "\n")
	if lines[0] == "" {
		return 0, ""
	}
	return len(lines), lines[len(lines)-1]
}

func podOf(name, account string) *corev1.Pod {
	return &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: name, UID: types.UID("uid-" + name)}, Spec: corev1.PodSpec{ServiceAccountName: account}}
}

// answering is a script that answers; more are fields of the answer.
func answering(more string) string {
	return "cat >> asked; echo >> asked\n" + `echo '{"apiVersion":"credentialprovider.kubelet.k8s.io/v1","kind":"CredentialProviderResponse",` + more +
		`"auth":{"*.example":{"username":"ann","password":"correct-horse"}}}'` + "\n"
}

func (n *node) ask(t *testing.T, pod *corev1.Pod, image string) []imagepull.Credential {
	t.Helper()
	found, err := n.Credentials(t.Context(), pod, image)
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func TestPluginIsToldTheImageAndAnswersForIt(t *testing.T) {
	n := newNode(t, "defaultCacheDuration: 1h, args: [one], env: [{name: EXTRA, value: two}]", `echo "$1 $EXTRA" > args; env > env;`+answering(`"cacheKeyType":"Image",`))
	t.Setenv("OF_THE_NODE", "three")
	found := n.ask(t, podOf("p", "sa"), "r.example/team/app")
	if len(found) != 1 || found[0].Key != "*.example" || found[0].Login.Username != "ann" || found[0].Login.Password.Reveal() != "correct-horse" || found[0].Account != (imagepull.Source{}) {
		t.Errorf("got %+v", found)
	}
	_, asked := n.runs(t)
	if want := `{"kind":"CredentialProviderRequest","apiVersion":"credentialprovider.kubelet.k8s.io/v1","image":"r.example/team/app"}`; asked != want {
		t.Errorf("asked %s, want %s", asked, want)
	}
	args, _ := os.ReadFile(filepath.Join(n.dir, "args"))
	env, _ := os.ReadFile(filepath.Join(n.dir, "env"))
	if string(args) != "one two\n" || !strings.Contains(string(env), "OF_THE_NODE=three") {
		t.Errorf("arguments %q, environment %q", args, env)
	}
	if found := n.ask(t, podOf("p", "sa"), "r.elsewhere/app"); len(found) != 0 {
		t.Errorf("asked for an image that is not its own: %v", found)
	}
}

func TestAnswersAreKeptAsThePluginSays(t *testing.T) {
	ask := []string{"a.example/x", "a.example/x", "a.example/y", "b.example/x"}
	for key, want := range map[string]int{"Image": 3, "Registry": 2, "Global": 1} {
		n := newNode(t, "defaultCacheDuration: 1h", answering(`"cacheKeyType":"`+key+`",`))
		for _, image := range ask {
			n.ask(t, podOf("p", "sa"), image)
		}
		if runs, _ := n.runs(t); runs != want {
			t.Errorf("%s: ran %d times, want %d", key, runs, want)
		}
	}
	for what, tt := range map[string]struct {
		settings, answer string
		pass             time.Duration
		want             int
	}{
		"default":        {"defaultCacheDuration: 1h", "", 59 * time.Minute, 1},
		"default over":   {"defaultCacheDuration: 1h", "", time.Hour, 2},
		"none":           {"defaultCacheDuration: 0s", "", 0, 2},
		"its own":        {"defaultCacheDuration: 0s", `"cacheDuration":"5m",`, 4 * time.Minute, 1},
		"its own is nil": {"defaultCacheDuration: 1h", `"cacheDuration":"0s",`, 0, 2},
	} {
		n := newNode(t, tt.settings, answering(`"cacheKeyType":"Global",`+tt.answer))
		n.ask(t, podOf("p", "sa"), "a.example/x")
		pass(&n.all[0].cache, tt.pass)
		n.ask(t, podOf("p", "sa"), "a.example/x")
		if runs, _ := n.runs(t); runs != tt.want {
			t.Errorf("%s: ran %d times, want %d", what, runs, tt.want)
		}
	}
}

func TestTokensOfServiceAccounts(t *testing.T) {
	attributes := func(kind string) string {
		return "defaultCacheDuration: 1h, tokenAttributes: {serviceAccountTokenAudience: vault, requireServiceAccount: true, cacheType: " + kind +
			", requiredServiceAccountAnnotationKeys: [example/opt-in], optionalServiceAccountAnnotationKeys: [example/more]}"
	}
	for kind, want := range map[string]int{"ServiceAccount": 1, "Token": 2} {
		n := newNode(t, attributes(kind), answering(`"cacheKeyType":"Registry",`))
		if found := n.ask(t, podOf("p", "sa"), "r.example/app"); len(found) != 0 {
			t.Errorf("an account that has not opted in: %v", found)
		}
		n.accounts["sa"] = map[string]string{"example/opt-in": "yes", "other": "secret"}
		n.accounts["other"] = n.accounts["sa"]
		found := n.ask(t, podOf("p", "sa"), "r.example/app")
		if len(found) != 1 || found[0].Account != (imagepull.Source{UID: "uid-sa", Namespace: "ns", Name: "sa"}) {
			t.Fatalf("got %+v", found)
		}
		_, asked := n.runs(t)
		if wanted := `"serviceAccountToken":"` + secretToken + `vaultuid-p","serviceAccountAnnotations":{"example/opt-in":"yes"}}`; !strings.HasSuffix(asked, wanted) {
			t.Errorf("asked %s", asked)
		}
		n.ask(t, podOf("q", "sa"), "r.example/app") // another pod, so another token
		if runs, _ := n.runs(t); runs != want {
			t.Errorf("%s: ran %d times, want %d", kind, runs, want)
		}
		n.ask(t, podOf("p", "other"), "r.example/app")
		n.accounts["sa"] = map[string]string{"example/opt-in": "yes", "example/more": "x"}
		n.ask(t, podOf("p", "sa"), "r.example/app")
		if runs, _ := n.runs(t); runs != want+2 {
			t.Errorf("%s: ran %d times, want %d: for another account, and for other annotations", kind, runs, want+2)
		}
		if found := n.ask(t, podOf("p", ""), "r.example/app"); len(found) != 0 {
			t.Errorf("a pod without an account: %v", found)
		}
		if n := n.tokens.Load(); n != 3 {
			t.Errorf("asked for %d tokens, for two pods of one account and one of another", n)
		}
		n.fail = true
		if _, err := n.Credentials(t.Context(), podOf("new", "sa"), "r.example/app"); err == nil || err.Error() != "credential provider ecr: token of service account ns/sa for it: forbidden" {
			t.Errorf("got %v", err)
		}
	}
	n := newNode(t, "defaultCacheDuration: 1h, tokenAttributes: {serviceAccountTokenAudience: vault, requireServiceAccount: false, cacheType: Token}", answering(`"cacheKeyType":"Registry",`))
	if found := n.ask(t, podOf("p", ""), "r.example/app"); len(found) != 1 || found[0].Account != (imagepull.Source{}) {
		t.Errorf("a pod without an account where none is required: %v", found)
	}
}

func TestPluginsThatFailAreToldOfWithoutSecrets(t *testing.T) {
	token := "defaultCacheDuration: 1h, tokenAttributes: {serviceAccountTokenAudience: vault, requireServiceAccount: true, cacheType: Token}"
	right := `"apiVersion":"credentialprovider.kubelet.k8s.io/v1","kind":"CredentialProviderResponse"`
	for what, tt := range map[string]struct{ script, want string }{
		"exit code":     {"cat >&2; exit 3", "exit status 3"},
		"cut token":     {"head -c 65520 /dev/zero >&2; cat >&2; exit 3", "exit status 3"},
		"many tokens":   {`read -r q; i=0; while [ $i -lt 900 ]; do echo "$q" >&2; i=$((i+1)); done; exit 3`, "exit status 3"},
		"signal":        {"kill -9 $$", "signal: killed"},
		"no JSON":       {"echo correct-horse", "did not print a CredentialProviderResponse as JSON"},
		"other kind":    {`echo '{"apiVersion":"v1","kind":"Secret","correct-horse":1}'`, "did not answer with apiVersion"},
		"unknown field": {`echo '{` + right + `,"cacheKeyType":"Image","correct-horse":1}'`, "unknown, repeated or ill-typed fields"},
		"type":          {`echo '{` + right + `,"cacheKeyType":"Image","auth":"correct-horse"}'`, "unknown, repeated or ill-typed fields"},
		"no key type":   {`echo '{` + right + `}'`, "cacheKeyType of its answer is not one of"},
		"negative":      {`echo '{` + right + `,"cacheKeyType":"Image","cacheDuration":"-1s"}'`, "is negative"},
		"endless":       {"cat /dev/zero", "printed more than 1048576 bytes"},
		"endless error": {"head -c 10000000 /dev/zero >&2; exit 4", "exit status 4"},
	} {
		n := newNode(t, token, tt.script)
		start := time.Now()
		found, err := n.Credentials(t.Context(), podOf("p", "sa"), "r.example/app")
		if err == nil || !strings.Contains(err.Error(), tt.want) || len(found) > 0 {
			t.Errorf("%s: %v, %v; want %q", what, found, err, tt.want)
			continue
		}
		if took := time.Since(start); took > 20*time.Second {
			t.Errorf("%s: took %s", what, took)
		}
		for where, text := range map[string]string{"error": err.Error(), "log": n.log.String()} {
			if strings.Contains(text, secretToken) || strings.Contains(text, "correct-horse") || len(text) > 4*maxComplaint+1000 {
				t.Errorf("%s, %s: %d bytes, %.300s", what, where, len(text), text)
			}
		}
		if what == "exit code" && !strings.Contains(n.log.String(), "[redacted]") {
			t.Errorf("the log does not say what the plugin has said: %s", n.log.String())
		}
	}
}

// TestPluginThatLeavesAProcessBehindIsNotWaitedFor has it hold the output open.
func TestPluginThatLeavesAProcessBehindIsNotWaitedFor(t *testing.T) {
	n := newNode(t, "defaultCacheDuration: 1h", "sleep 20 &\n"+answering(`"cacheKeyType":"Image",`))
	start := time.Now()
	if found := n.ask(t, podOf("p", "sa"), "r.example/app"); len(found) != 1 || time.Since(start) > 15*time.Second {
		t.Errorf("%v after %s", found, time.Since(start))
	}
}

func TestPodsThatAskTogetherGetOneAnswer(t *testing.T) {
	n := newNode(t, "defaultCacheDuration: 0s", "sleep 1\n"+answering(`"cacheKeyType":"Image",`))
	ctx, leave := context.WithCancel(t.Context())
	var all sync.WaitGroup
	all.Go(func() {
		if _, err := n.Credentials(ctx, podOf("p", "sa"), "r.example/app"); !errors.Is(err, context.Canceled) {
			t.Errorf("who left got %v", err)
		}
	})
	time.Sleep(300 * time.Millisecond)
	for range 20 {
		all.Go(func() {
			if found := n.ask(t, podOf("p", "sa"), "r.example/app"); len(found) != 1 {
				t.Errorf("got %v", found)
			}
		})
	}
	time.Sleep(100 * time.Millisecond)
	leave()
	all.Wait()
	if runs, _ := n.runs(t); runs != 1 {
		t.Errorf("ran %d times", runs)
	}
}

func TestAnswersThatAreKeptAreBounded(t *testing.T) {
	c := cache{clock: clock.Real(), all: map[scope]kept{}}
	for i := range 2 * maxAnswers {
		c.keep(scope{image: fmt.Sprint(i)}, nil, time.Hour+time.Duration(i)*time.Second)
	}
	if _, ok := c.find(scope{image: fmt.Sprint(2*maxAnswers - 1)}); !ok || len(c.all) != maxAnswers {
		t.Errorf("%d kept, the last one: %t", len(c.all), ok)
	}
	pass(&c, 24*time.Hour)
	c.keep(scope{image: "new"}, nil, time.Hour)
	if len(c.all) != 1 {
		t.Errorf("%d kept after their end", len(c.all))
	}
}
