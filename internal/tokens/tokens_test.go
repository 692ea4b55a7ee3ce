package tokens_test

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/internalversion"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/apiserver/pkg/authentication/authenticator"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/endpoints/request"
	"k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"

	operatorv1 "laterna.dev/laterna/api/operator/v1"
	"laterna.dev/laterna/boundtoken"
	"laterna.dev/laterna/internal/clock"
	"laterna.dev/laterna/internal/tokens"
	"laterna.dev/laterna/internal/tokens/issuer"
	"laterna.dev/laterna/internal/tokens/issuer/status"
	"laterna.dev/laterna/internal/tokens/keys"
	"laterna.dev/laterna/internal/tokens/review"
)

// object is the storage of one object.
type object struct {
	runtime.Object
	name string
}

func (o object) Get(_ context.Context, name string, _ *metav1.GetOptions) (runtime.Object, error) {
	if o.Object == nil || name != o.name {
		return nil, apierrors.NewNotFound(corev1.Resource("things"), name)
	}
	return o.Object, nil
}

// operator is the storage of kubeapiservers.
type operator struct {
	mu      sync.Mutex
	issuers []operatorv1.ServiceAccountIssuerStatus
	version int
}

func (o *operator) now() *operatorv1.KubeAPIServer {
	o.mu.Lock()
	defer o.mu.Unlock()
	k := &operatorv1.KubeAPIServer{ObjectMeta: metav1.ObjectMeta{Name: operatorv1.Name, ResourceVersion: fmt.Sprint(o.version + 1)}}
	k.Status.ServiceAccountIssuers = o.issuers
	return k
}

// say changes the status, the issuer that signs first.
func (o *operator) say(issuers ...string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.issuers, o.version = nil, o.version+1
	for _, i := range issuers {
		o.issuers = append(o.issuers, operatorv1.ServiceAccountIssuerStatus{Name: i})
	}
}

func (o *operator) Get(context.Context, string, *metav1.GetOptions) (runtime.Object, error) {
	return o.now(), nil
}

func (o *operator) List(context.Context, *internalversion.ListOptions) (runtime.Object, error) {
	return &operatorv1.KubeAPIServerList{ListMeta: metav1.ListMeta{ResourceVersion: "1"}, Items: []operatorv1.KubeAPIServer{*o.now()}}, nil
}

func (*operator) Watch(context.Context, *internalversion.ListOptions) (watch.Interface, error) {
	return watch.NewFake(), nil
}

// memory keeps the bytes of a ring.
type memory struct {
	data []byte
	rev  int64
}

func (m *memory) Load(context.Context) ([]byte, int64, error) { return m.data, m.rev, nil }
func (m *memory) Store(_ context.Context, data []byte, rev int64) (int64, error) {
	if rev != m.rev {
		return 0, keys.ErrConflict
	}
	m.data, m.rev = data, m.rev+1
	return m.rev, nil
}
func (*memory) Watch(ctx context.Context, changed func()) error {
	changed()
	<-ctx.Done()
	return ctx.Err()
}

var _ status.Storage = &operator{}

// world is what one server has of tokens. The pod till-0 of the service account clerk is
// all there is.
type world struct {
	*tokens.Tokens
	t        *testing.T
	operator operator
	client   *fake.Clientset
	cancel   context.CancelFunc
	ended    chan struct{}
}

const first, second = "https://one.example", "https://two.example"

// inBubble runs f with tokens that run, whose issuer by the flags is first.
func inBubble(t *testing.T, f func(t *testing.T, w *world)) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		log, system := slog.New(slog.DiscardHandler), clock.APIOf(clock.Real())
		ring, err := keys.New(keys.Config{Algorithm: boundtoken.ES256, Clock: system, Log: log})
		must(t, err)
		w := &world{t: t, client: fake.NewClientset(), cancel: cancel, ended: make(chan struct{})}
		meta := func(name, uid string) metav1.ObjectMeta {
			return metav1.ObjectMeta{Namespace: "shop", Name: name, UID: types.UID(uid), ResourceVersion: "1"}
		}
		pod := &corev1.Pod{ObjectMeta: meta("till-0", "p1"), Spec: corev1.PodSpec{ServiceAccountName: "clerk"}}
		w.Tokens, err = tokens.New(tokens.Config{
			Issuers: []string{first}, ExternalAddress: "10.0.0.1:6443", Keys: ring, Status: &w.operator,
			Objects: review.Getters{
				ServiceAccounts: object{&corev1.ServiceAccount{ObjectMeta: meta("clerk", "a1")}, "clerk"},
				Pods:            object{pod, "till-0"},
				Secrets:         object{}, Nodes: object{},
			},
			Revisions: func(_ context.Context, all []review.ObjectKey) ([]int64, error) {
				out := make([]int64, len(all))
				for i := range out {
					out[i] = 1
				}
				return out, nil
			},
			Client: w.client, IsNode: func(u user.Info) bool { return u.GetName() == "system:node:n" },
			Clock: system, Wall: clock.Real(), Log: log,
		})
		must(t, err)
		var rings sync.WaitGroup
		rings.Go(func() {
			if err := ring.Run(ctx, &memory{}); err != nil {
				t.Error(err)
			}
		})
		must(t, w.Load(t.Context()))
		go func() {
			defer close(w.ended)
			w.Run(ctx)
		}()
		f(t, w)
		cancel()
		<-w.ended
		rings.Wait()
	})
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// mint issues a token for the pod, which was given to somebody.
func (w *world) mint(to string) boundtoken.Token {
	w.t.Helper()
	claims := boundtoken.NewClaims(boundtoken.Grant{
		Namespace: "shop", ServiceAccount: boundtoken.Ref{Name: "clerk", UID: "a1"}, Pod: &boundtoken.Ref{Name: "till-0", UID: "p1"},
		Audience: []string{"https://audience.example"}, Lifetime: time.Hour,
	}, time.Now())
	token, err := w.Issuers.Mint(w.t.Context(), claims)
	must(w.t, err)
	w.Issued(request.WithUser(w.t.Context(), &user.DefaultInfo{Name: to}), &claims)
	return token
}

func (w *world) check(token boundtoken.Token) error {
	ctx := authenticator.WithAudiences(w.t.Context(), authenticator.Audiences{"https://audience.example"})
	_, ok, err := w.Check.AuthenticateToken(ctx, token.Reveal())
	if err == nil && !ok {
		err = fmt.Errorf("it was left to others")
	}
	return err
}

// events are those about stale tokens.
func (w *world) events() (n int) {
	synctest.Wait()
	for _, a := range w.client.Actions() {
		if a.Matches("create", "events") {
			n++
		}
	}
	return n
}

func TestTokenIsStaleOnceItsNodeWasGivenANewerOne(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		old := w.mint("system:node:n")
		time.Sleep(10 * time.Minute)
		w.mint("jane") // nothing in the pod's volume is replaced by hers
		time.Sleep(10 * time.Minute)
		must(t, w.check(old))
		if n := w.events(); n != 0 {
			t.Fatalf("%d events, though the file still shows the token", n)
		}
		w.mint("system:node:n")
		time.Sleep(10 * time.Minute)
		must(t, w.check(old))
		if n := w.events(); n != 1 {
			t.Errorf("%d events about the token that the client should not use any more", n)
		}
	})
}

func TestIssuersOfTheStatusHoldFromTheLoad(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		former := w.mint("jane")
		w.operator.say(second)
		must(t, w.Load(t.Context()))
		if w.Issuers.Active() != second {
			t.Errorf("%s signs", w.Issuers.Active())
		}
		must(t, w.check(w.mint("jane")))
		if err := w.check(former); err == nil || !strings.Contains(err.Error(), "issuer") {
			t.Errorf("the token of an issuer that the status does not name: %v", err)
		}
	})
}

// TestTokenOfAnotherServersIssuerIsConfirmed: another server issues with an issuer that
// this one has not heard of yet.
func TestTokenOfAnotherServersIssuerIsConfirmed(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		must(t, w.Issuers.Apply(issuer.State{Active: second}))
		others := w.mint("jane")
		must(t, w.Issuers.Apply(issuer.State{Active: first}))
		if err := w.check(others); err == nil {
			t.Fatal("the store does not know the issuer, and its token is accepted")
		}
		w.operator.say(second, first)
		time.Sleep(time.Second) // asking the store has a limit
		if err := w.check(others); err != nil {
			t.Errorf("the store knows the issuer: %v", err)
		}
	})
}

// TestRunEndsAfterWhatItWrites: who waits for it may close what it writes to.
func TestRunEndsAfterWhatItWrites(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		release := make(chan struct{})
		w.client.PrependReactor("create", "events", func(clienttesting.Action) (bool, runtime.Object, error) {
			<-release
			return true, &corev1.Event{}, nil
		})
		old := w.mint("system:node:n")
		time.Sleep(10 * time.Minute)
		w.mint("system:node:n")
		time.Sleep(10 * time.Minute)
		must(t, w.check(old))
		w.cancel()
		synctest.Wait()
		select {
		case <-w.ended:
			t.Error("it has ended while an event was being written")
		default:
		}
		close(release)
		<-w.ended
	})
}

func TestWrongFlagsAreRefused(t *testing.T) {
	_, err := tokens.New(tokens.Config{Issuers: []string{first, first}, Keys: &keys.Ring{}, Clock: clock.APIOf(clock.Real()), Wall: clock.Real(), Client: fake.NewClientset()})
	if err == nil || !strings.Contains(err.Error(), "is given twice") {
		t.Errorf("got %v", err)
	}
}
