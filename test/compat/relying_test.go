package compat

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/utils/ptr"
)

const (
	relyingSimulated = 100
	relyingReal      = 5
	relyingLife      = 8 * time.Hour
	// relyingPause is between two logins of a pod at each party.
	relyingPause = 500 * time.Millisecond
)

// relyingIssuers are those that the test goes through: names of the API's Service,
// which its certificate holds, one of them with a path.
var relyingIssuers = []string{defaultIssuer, "https://kubernetes.default.svc.cluster.local", "https://kubernetes.default.svc/clusters/east"}

// relyingNodes are none but in name: three beside the real one.
var relyingNodes = []string{"simulated-a", "simulated-b", "simulated-c"}

// relyingPod is a pod that logs in.
type relyingPod struct {
	name  string
	token func() (string, error)
	// last is the token that it logged in with last.
	last atomic.Pointer[string]
}

// crowd is a number of pods that log in to all parties, again and again.
type crowd struct {
	client  kubernetes.Interface
	parties map[string]party
	pods    []*relyingPod
	clock   *offsetClock

	// moving is held, for writing, while the time of everybody is moved.
	moving sync.RWMutex

	mu       sync.Mutex
	failures []string
	logins   map[string]int // by party
}

// round logs a pod in to every party.
func (c *crowd) round(ctx context.Context, p *relyingPod) {
	c.moving.RLock()
	defer c.moving.RUnlock()
	token, err := p.token()
	if err != nil {
		c.note("token", p, err)
		return
	}
	for name, party := range c.parties {
		subject, err := party.login(ctx, token)
		if err == nil && subject != "system:serviceaccount:default:default" {
			err = fmt.Errorf("it is taken for %s", subject)
		}
		if ctx.Err() == nil {
			c.note(name, p, err)
		}
	}
	p.last.Store(&token)
}

func (c *crowd) note(what string, p *relyingPod, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.logins[what]++; err != nil {
		c.failures = append(c.failures, fmt.Sprintf("%s, %s: %v", what, p.name, err))
	}
}

// logIn has all pods log in until ctx ends.
func (c *crowd) logIn(ctx context.Context, wg *sync.WaitGroup) {
	for i, p := range c.pods {
		wg.Go(func() {
			time.Sleep(relyingPause * time.Duration(i) / time.Duration(len(c.pods)))
			for ctx.Err() == nil {
				c.round(ctx, p)
				time.Sleep(relyingPause)
			}
		})
	}
}

// reach waits until every pod logs in with tokens as wanted.
func (c *crowd) reach(t testing.TB, what string, wanted func(issuer, key string) bool) {
	t.Helper()
	eventually(t, 40*time.Second, func() error {
		for _, p := range c.pods {
			last := p.last.Load()
			if last == nil {
				return fmt.Errorf("%s has not logged in", p.name)
			}
			if issuer := decode(t, *last).Issuer; !wanted(issuer, keyOf(t, *last)) {
				return fmt.Errorf("%s logs in with a token of %s and key %s after %s", p.name, issuer, keyOf(t, *last), what)
			}
		}
		return nil
	})
}

// advance moves the time of the system and of the parties at once.
func (c *crowd) advance(t testing.TB, s *system, d time.Duration) {
	t.Helper()
	c.moving.Lock()
	defer c.moving.Unlock()
	s.advance(t, d)
	c.clock.add(d)
}

// imitate makes pods of nodes that are none, whose tokens are renewed as agents do it:
// whenever the revision of the issuer or the key has grown.
func (c *crowd) imitate(ctx context.Context, t testing.TB, wg *sync.WaitGroup) {
	t.Helper()
	renew := make([]func(context.Context) error, relyingSimulated)
	for i := range renew {
		pod, err := c.client.CoreV1().Pods("default").Create(t.Context(), &corev1.Pod{
			ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprintf("simulated-%d", i)},
			Spec:       corev1.PodSpec{NodeName: relyingNodes[i%len(relyingNodes)], Containers: []corev1.Container{{Name: "c", Image: "none"}}},
		}, metav1.CreateOptions{})
		if err != nil {
			t.Fatal(err)
		}
		var current atomic.Pointer[string]
		renew[i] = func(ctx context.Context) error {
			c.moving.RLock()
			defer c.moving.RUnlock()
			r, err := c.client.CoreV1().ServiceAccounts("default").CreateToken(ctx, "default", &authenticationv1.TokenRequest{
				Spec: authenticationv1.TokenRequestSpec{
					Audiences: []string{relyingAudience}, ExpirationSeconds: ptr.To(int64(relyingLife.Seconds())),
					BoundObjectRef: &authenticationv1.BoundObjectReference{APIVersion: "v1", Kind: "Pod", Name: pod.Name, UID: pod.UID},
				}}, metav1.CreateOptions{})
			if err == nil {
				current.Store(&r.Status.Token)
			}
			return err
		}
		if err := renew[i](t.Context()); err != nil {
			t.Fatal(err)
		}
		c.pods = append(c.pods, &relyingPod{name: pod.Name, token: func() (string, error) { return *current.Load(), nil }})
	}
	wg.Go(func() { c.followRevision(ctx, renew) })
}

// followRevision does for the nodes that are none what agents do, and renews their
// leases, by which they are known to live.
func (c *crowd) followRevision(ctx context.Context, renew []func(context.Context) error) {
	agent := &relyingPod{name: "simulated agent"}
	var beat time.Time
	for seen := 0; ctx.Err() == nil; time.Sleep(50 * time.Millisecond) {
		now, err := c.revision(ctx)
		for i := 0; err == nil && now > seen && i < len(renew); i++ {
			err = renew[i](ctx)
		}
		for _, node := range relyingNodes {
			if err == nil && now > seen {
				_, err = c.client.CoreV1().Nodes().Patch(ctx, node, types.MergePatchType,
					fmt.Appendf(nil, `{"metadata":{"annotations":{"laterna.dev/issuer-revision":"%d"}}}`, now), metav1.PatchOptions{})
			}
			if err == nil && time.Since(beat) > 5*time.Second {
				_, err = c.client.CoordinationV1().Leases(corev1.NamespaceNodeLease).Patch(ctx, node, types.MergePatchType,
					fmt.Appendf(nil, `{"spec":{"renewTime":%q}}`, time.Now().UTC().Format(metav1.RFC3339Micro)), metav1.PatchOptions{})
			}
		}
		if err != nil && ctx.Err() == nil {
			c.note("renewal", agent, err)
		}
		if time.Since(beat) > 5*time.Second {
			beat = time.Now()
		}
		seen = now
	}
}

func (c *crowd) revision(ctx context.Context) (int, error) {
	raw, err := c.client.Discovery().RESTClient().Get().AbsPath("/apis/operator.openshift.io/v1/kubeapiservers/cluster").DoRaw(ctx)
	if err != nil {
		return 0, err
	}
	var object struct {
		Status struct{ LatestAvailableRevision int }
	}
	err = json.Unmarshal(raw, &object)
	return object.Status.LatestAvailableRevision, err
}

// inhabit makes real pods that log in with what their containers see.
func (c *crowd) inhabit(t testing.TB, s *system) {
	t.Helper()
	for i := range relyingReal {
		name, command := fmt.Sprintf("real-%d", i), fmt.Sprintf("sleep %d", 864000+i)
		s.apply(t, "default", fmt.Sprintf(`
apiVersion: v1
kind: Pod
metadata: {name: %s}
spec:
  terminationGracePeriodSeconds: 0
  containers:
  - name: c
    image: busybox:1.28
    command: [%s]
    volumeMounts: [{name: v, mountPath: /v}]
  volumes:
  - name: v
    projected: {sources: [{serviceAccountToken: {path: token, audience: %s, expirationSeconds: %d}}]}
`, name, strings.ReplaceAll(command, " ", ", '")+"'", relyingAudience, int(relyingLife.Seconds())))
		s.running(t, "default", name)
		files := containerOf(t, s, command)
		c.pods = append(c.pods, &relyingPod{name: name, token: func() (string, error) {
			token := files.read("/v/token")
			if strings.Count(token, ".") != 2 {
				return "", fmt.Errorf("the file holds %.80q", token)
			}
			return token, nil
		}})
	}
}

// TestRelyingPartiesNeverRefuseAGoodToken has 105 pods log in, offline with two libraries
// and online, while issuer and signing key change.
func TestRelyingPartiesNeverRefuseAGoodToken(t *testing.T) {
	t.Parallel()
	s := started(t, "--test-clock")
	for _, n := range relyingNodes {
		s.simulate(t, n)
	}
	clock, client := &offsetClock{}, s.outside(t)
	offline := newJWTParty(client, clock, relyingIssuers...)
	listed := newJWTParty(client, clock, relyingIssuers...)
	listed.keySet = defaultIssuer + "/openid/v1/jwks"
	c := &crowd{client: s.client(t), clock: clock, logins: map[string]int{}, parties: map[string]party{
		"go-oidc": newOIDCParty(client, clock, relyingIssuers...), "golang-jwt": offline, "list and key set": listed, "TokenReview": reviewParty{s.client(t)},
	}}
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	c.imitate(ctx, t, &wg)
	c.inhabit(t, s)
	c.logIn(ctx, &wg)
	c.reach(t, "the start", func(issuer, _ string) bool { return issuer == relyingIssuers[0] })

	old := keyOf(t, *c.pods[0].last.Load())
	another := func(_, key string) bool { return key != old }
	s.setIssuer(t, relyingIssuers[1])
	c.reach(t, "the change of the issuer", func(issuer, _ string) bool { return issuer == relyingIssuers[1] })
	s.rolledOut(t, 10*time.Second, "4 nodes are at revision 2")
	s.sh(t, "laterna keys rotate --data-dir "+s.Dir)
	time.Sleep(2 * relyingPause)
	c.advance(t, s, 61*time.Minute)
	c.reach(t, "the scheduled rotation", another)
	old = keyOf(t, *c.pods[0].last.Load())
	s.sh(t, "laterna keys rotate --now --type ECDSAP256 --data-dir "+s.Dir)
	c.reach(t, "the rotation now", another)
	s.setIssuer(t, relyingIssuers[2])
	c.reach(t, "the second change of the issuer", func(issuer, _ string) bool { return issuer == relyingIssuers[2] })
	s.rolledOut(t, 10*time.Second, "4 nodes are at revision 5")
	cancel()
	wg.Wait()

	for i, f := range c.failures[:min(len(c.failures), 10)] {
		t.Errorf("failure %d of %d: %s", i+1, len(c.failures), f)
	}
	for name := range c.parties {
		if n := c.logins[name]; n < 3*len(c.pods) {
			t.Errorf("%d logins at %s: the test has seen too little", n, name)
		}
	}
	t.Logf("logins %v, key sets fetched %d times by golang-jwt", c.logins, offline.fetches)
	c.refuse(t)
}

// refuse checks that the parties look at all.
func (c *crowd) refuse(t testing.TB) {
	t.Helper()
	token := *c.pods[0].last.Load()
	other, err := c.client.CoreV1().ServiceAccounts("default").CreateToken(t.Context(), "default", &authenticationv1.TokenRequest{
		Spec: authenticationv1.TokenRequestSpec{Audiences: []string{"bank"}}}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for name, party := range c.parties {
		for what, bad := range map[string]string{"for another audience": other.Status.Token, "with a changed signature": tampered(token)} {
			if _, err := party.login(t.Context(), bad); err == nil {
				t.Errorf("%s takes a token %s", name, what)
			}
		}
		c.clock.add(relyingLife + 2*time.Minute)
		if _, err := party.login(t.Context(), token); err == nil && name != "TokenReview" {
			t.Errorf("%s takes a token that has expired", name)
		}
		c.clock.add(-relyingLife - 2*time.Minute)
	}
}

// tampered changes one bit of a token's signature.
func tampered(token string) string {
	i := strings.LastIndex(token, ".") + 10
	replacement := "A"
	if token[i] == 'A' {
		replacement = "B"
	}
	return token[:i] + replacement + token[i+1:]
}

// TestRelyingPartyThatKeepsAlgorithms is what docs/keys.md warns of: a party that takes
// the algorithms from discovery notices when there is another.
func TestRelyingPartyThatKeepsAlgorithms(t *testing.T) {
	t.Parallel()
	s := keyServer(t)
	fresh := func() *oidcParty {
		p := newOIDCParty(s.outside(t), &offsetClock{}, defaultIssuer)
		p.algorithms = nil
		return p
	}
	login := func(p party) error {
		_, err := p.login(t.Context(), strings.TrimSpace(s.sh(t, "kubectl create token default --audience "+relyingAudience)))
		return err
	}
	old := fresh()
	for _, step := range []struct {
		rotation string
		refused  bool
	}{{"--type RSA3072", false}, {"--type ECDSAP256", true}} {
		if err := login(old); err != nil {
			t.Errorf("before the rotation: %v", err)
		}
		s.sh(t, "laterna keys rotate --now "+step.rotation+" --data-dir "+s.Dir)
		if err := login(old); (err != nil) != step.refused {
			t.Errorf("after %s: %v, want a refusal: %v", step.rotation, err, step.refused)
		}
		if err := login(fresh()); err != nil {
			t.Errorf("a party that starts after %s: %v", step.rotation, err)
		}
	}
}
