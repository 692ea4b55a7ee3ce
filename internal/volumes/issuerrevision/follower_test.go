package issuerrevision

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/client-go/kubernetes/fake"
	"k8s.io/client-go/rest"
	clienttesting "k8s.io/client-go/testing"

	"laterna.dev/laterna/api"
	operatorv1 "laterna.dev/laterna/api/operator/v1"
	"laterna.dev/laterna/boundtoken"
	"laterna.dev/laterna/internal/clock"
	"laterna.dev/laterna/internal/volumes/tokencache"
)

// bench is a follower between a server that says who issues tokens and one that issues
// them.
type bench struct {
	t         *testing.T
	client    *fake.Clientset
	cache     *tokencache.Cache
	states    chan *operatorv1.KubeAPIServer
	*Follower // once it runs

	mu     sync.Mutex
	issuer string // of the tokens that are issued
	issued int
	behind int
	refuse error
	key    boundtoken.Signer
	sent   func() // called, unless nil, before a token that was issued arrives
}

func newBench(t *testing.T) *bench {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	b := &bench{t: t, issuer: "https://one", states: make(chan *operatorv1.KubeAPIServer, 10)}
	if b.key, err = boundtoken.NewSigner(private); err != nil {
		t.Fatal(err)
	}
	b.client = fake.NewClientset(&corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "n"}})
	b.client.PrependReactor("create", "serviceaccounts", b.issue)
	b.cache = tokencache.New(t.Context(), tokencache.Config{Client: b.client, Clock: clock.APIOf(clock.Real()), Wall: clock.Real(), Log: slog.New(slog.DiscardHandler)})
	return b
}

// issue answers TokenRequests.
func (b *bench) issue(action clienttesting.Action) (bool, runtime.Object, error) {
	handled, answer, err := b.answer(action)
	b.mu.Lock()
	sent := b.sent
	b.mu.Unlock()
	if sent != nil {
		sent()
	}
	return handled, answer, err
}

func (b *bench) answer(action clienttesting.Action) (bool, runtime.Object, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.refuse != nil {
		return true, nil, b.refuse
	}
	b.issued++
	req := action.(clienttesting.CreateAction).GetObject().(*authenticationv1.TokenRequest).DeepCopy()
	claims := boundtoken.NewClaims(boundtoken.Grant{
		Namespace: "ns", ServiceAccount: boundtoken.Ref{Name: "sa", UID: "u"}, Audience: []string{"a"}, Lifetime: time.Hour,
	}, time.Now())
	claims.Issuer = b.issuer
	token, err := boundtoken.Mint(context.Background(), b.key, claims)
	if err != nil {
		return true, nil, err
	}
	req.Status.Token, req.Status.ExpirationTimestamp = token.Reveal(), metav1.NewTime(time.Now().Add(time.Hour))
	return true, req, nil
}

// serve answers list and watch of kubeapiservers with what is put into b.states.
func (b *bench) serve(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	if r.URL.Query().Get("watch") == "" {
		fmt.Fprintln(w, `{"apiVersion":"operator.openshift.io/v1","kind":"KubeAPIServerList","metadata":{"resourceVersion":"1"},"items":[]}`)
		return
	}
	w.(http.Flusher).Flush()
	for {
		select {
		case k := <-b.states:
			k.TypeMeta = metav1.TypeMeta{APIVersion: "operator.openshift.io/v1", Kind: "KubeAPIServer"}
			k.Name = "cluster"
			_ = json.NewEncoder(w).Encode(map[string]any{"type": "MODIFIED", "object": k})
			w.(http.Flusher).Flush()
		case <-r.Context().Done():
			return
		}
	}
}

func (b *bench) run(h http.HandlerFunc) (done chan error) {
	b.t.Helper()
	server := httptest.NewServer(h)
	b.t.Cleanup(server.Close)
	s := runtime.NewScheme()
	if err := operatorv1.AddToScheme(s); err != nil {
		b.t.Fatal(err)
	}
	config := &rest.Config{Host: server.URL, APIPath: "/apis", ContentConfig: rest.ContentConfig{
		GroupVersion: &operatorv1.SchemeGroupVersion, NegotiatedSerializer: serializer.NewCodecFactory(s).WithoutConversion()}}
	client, err := rest.RESTClientFor(config)
	if err != nil {
		b.t.Fatal(err)
	}
	f := New(Config{
		Operators: client, Client: b.client, NodeName: "n", Tokens: b.cache, Wall: clock.Real(), Log: slog.New(slog.DiscardHandler),
		Behind: func() int { b.mu.Lock(); defer b.mu.Unlock(); return b.behind },
	})
	b.Follower = f
	ctx, cancel := context.WithCancel(b.t.Context())
	done = make(chan error, 1)
	go func() { done <- f.Run(ctx) }()
	b.t.Cleanup(func() { cancel(); <-done })
	return done
}

func (b *bench) say(revision int32, issuer string) {
	b.states <- &operatorv1.KubeAPIServer{Status: operatorv1.KubeAPIServerStatus{
		LatestAvailableRevision: revision, ServiceAccountIssuers: []operatorv1.ServiceAccountIssuerStatus{{Name: issuer}}, SigningKeyID: b.key.Key().ID}}
}

func (b *bench) set(f func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	f()
}

func (b *bench) reported() string {
	n, err := b.client.CoreV1().Nodes().Get(b.t.Context(), "n", metav1.GetOptions{})
	if err != nil {
		b.t.Fatal(err)
	}
	return n.Annotations[api.IssuerRevision]
}

func (b *bench) eventually(what string, f func() bool) {
	b.t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !f(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			b.t.Fatalf("not within ten seconds: %s", what)
		}
	}
}

func (b *bench) issuers() (all []string) {
	b.cache.Renew(func(_ tokencache.Request, t tokencache.Token) bool {
		parsed, err := boundtoken.Parse(string(t.Bytes()))
		if err != nil {
			b.t.Error(err)
			return false
		}
		all = append(all, parsed.UnverifiedClaims().Issuer)
		return false
	})
	return all
}

var notFound = apierrors.NewNotFound(corev1.Resource("serviceaccounts"), "sa")

func request(pod string) tokencache.Request {
	return tokencache.Request{Namespace: "ns", ServiceAccount: "sa", ExpirationSeconds: 3600, PodName: pod, PodUID: "uid"}
}

func TestTokensFollowTheIssuer(t *testing.T) {
	b := newBench(t)
	for i := range 20 {
		if _, err := b.cache.Token(t.Context(), request(fmt.Sprint(i))); err != nil {
			t.Fatal(err)
		}
	}
	b.run(b.serve)
	b.say(1, "https://one")
	b.eventually("revision 1", func() bool { return b.reported() == "1" })
	if b.issued != 20 {
		t.Errorf("%d tokens were issued: the first revision replaces none that fits", b.issued)
	}

	b.set(func() { b.behind = 1 })
	b.say(2, "https://two") // the server that issues hears of it later
	b.eventually("tokens asked for", func() bool { b.mu.Lock(); defer b.mu.Unlock(); return b.issued >= 40 })
	if got := b.reported(); got != "1" {
		t.Errorf("revision %s reported with tokens of the former issuer", got)
	}
	b.set(func() { b.issuer = "https://two" })
	b.eventually("tokens of the new issuer", func() bool {
		for _, i := range b.issuers() {
			if i != "https://two" {
				return false
			}
		}
		return true
	})
	if got := b.reported(); got != "1" {
		t.Errorf("revision %s reported while a file shows an older token", got)
	}
	b.set(func() { b.behind = 0 })
	b.eventually("revision 2", func() bool { return b.reported() == "2" })

	before := b.issued
	b.say(3, "https://two") // the same issuer and key: a reason was given
	b.eventually("revision 3", func() bool { return b.reported() == "3" })
	if b.issued != before+20 {
		t.Errorf("%d tokens were issued for a forced revision, want 20", b.issued-before)
	}
}

func TestTokensThatCannotBeReplacedDoNotHoldUpTheOthers(t *testing.T) {
	b := newBench(t)
	if _, err := b.cache.Token(t.Context(), request("p")); err != nil {
		t.Fatal(err)
	}
	b.run(b.serve)
	b.say(1, "https://one")
	b.eventually("revision 1", func() bool { return b.reported() == "1" })
	b.set(func() { b.refuse = errors.New("the server is down") })
	b.say(2, "https://one")
	time.Sleep(50 * time.Millisecond)
	if got := b.reported(); got != "1" {
		t.Errorf("revision %s reported", got)
	}
	b.set(func() { b.refuse = notFound })
	b.eventually("revision 2", func() bool { return b.reported() == "2" })
}

func TestThePodThatAnotherOneFollowedDoesNotHoldUpTheOthers(t *testing.T) {
	b := newBench(t)
	if _, err := b.cache.Token(t.Context(), request("p")); err != nil {
		t.Fatal(err)
	}
	b.run(b.serve)
	b.say(1, "https://one")
	b.eventually("revision 1", func() bool { return b.reported() == "1" })
	b.set(func() {
		b.refuse = apierrors.NewConflict(corev1.Resource("pods"), "p", errors.New("the UID does not match"))
	})
	b.say(2, "https://one")
	b.eventually("revision 2", func() bool { return b.reported() == "2" })
}

// A pod starts while the issuer changes: its first token was issued before, and arrives
// after the agent has heard of it.
func TestFirstTokensUnderWayAreOfTheNewIssuerToo(t *testing.T) {
	b := newBench(t)
	b.run(b.serve)
	b.say(1, "https://one")
	b.eventually("revision 1", func() bool { return b.reported() == "1" })
	issued, arrive := make(chan struct{}), make(chan struct{})
	b.set(func() { b.sent = sync.OnceFunc(func() { close(issued); <-arrive }) })
	go func() { _, _ = b.cache.Token(t.Context(), request("p")) }()
	<-issued
	b.set(func() { b.issuer = "https://two" })
	b.say(2, "https://two")
	time.Sleep(50 * time.Millisecond) // the agent hears of it
	close(arrive)
	b.eventually("revision 2", func() bool { return b.reported() == "2" })
	if got := b.issuers(); len(got) != 1 || got[0] != "https://two" {
		t.Errorf("reported with tokens of %v", got)
	}
}

func TestANodeThatIsThereAgainIsToldTheRevisionAgain(t *testing.T) {
	b := newBench(t)
	b.run(b.serve)
	b.Seen(&corev1.Node{}) // before there is any revision
	b.say(1, "https://one")
	b.eventually("revision 1", func() bool { return b.reported() == "1" })
	nodes := b.client.CoreV1().Nodes()
	if err := nodes.Delete(t.Context(), "n", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	n, err := nodes.Create(t.Context(), &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "n"}}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	b.Seen(n)
	b.eventually("revision 1 again", func() bool { return b.reported() == "1" })
}

func TestServersWithoutTheKindAreLeftAlone(t *testing.T) {
	b := newBench(t)
	asked := 0
	done := b.run(func(w http.ResponseWriter, r *http.Request) { asked++; http.NotFound(w, r) })
	select {
	case err := <-done:
		done <- err // for the cleanup
		if err != nil || asked != 1 {
			t.Errorf("%v, asked %d times", err, asked)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("still asking")
	}
}
