package status_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/internalversion"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"

	operatorv1 "laterna.dev/laterna/api/operator/v1"
	"laterna.dev/laterna/boundtoken"
	"laterna.dev/laterna/boundtoken/jwks"
	"laterna.dev/laterna/internal/clock"
	"laterna.dev/laterna/internal/tokens/issuer"
	"laterna.dev/laterna/internal/tokens/issuer/status"
)

// storage has one object, or none.
type storage struct {
	object   *operatorv1.KubeAPIServer
	err      error
	selector string
	watch    *watch.FakeWatcher
}

func (s *storage) Get(_ context.Context, name string, _ *metav1.GetOptions) (runtime.Object, error) {
	switch {
	case s.err != nil:
		return nil, s.err
	case s.object == nil || s.object.Name != name:
		return nil, apierrors.NewNotFound(status.Resource, name)
	}
	return s.object.DeepCopyObject(), nil
}

func (s *storage) List(_ context.Context, o *internalversion.ListOptions) (runtime.Object, error) {
	s.selector = o.FieldSelector.String()
	list := &operatorv1.KubeAPIServerList{ListMeta: metav1.ListMeta{ResourceVersion: "1"}}
	if s.object != nil {
		list.Items = append(list.Items, *s.object)
	}
	return list, s.err
}

func (s *storage) Watch(context.Context, *internalversion.ListOptions) (watch.Interface, error) {
	s.watch = watch.NewFakeWithChanSize(10, false)
	return s.watch, nil
}

// noKeys are of a server that has not read its keys.
type noKeys struct{}

func (noKeys) Signer(context.Context, time.Time) (boundtoken.Signer, error) {
	return nil, errors.New("no keys")
}
func (noKeys) Keys(context.Context) (*jwks.Set, error) { return nil, errors.New("no keys") }
func (noKeys) NextChange() (time.Time, bool)           { return time.Time{}, false }

const fromFlags, first, second = "https://flags.example", "https://one.example", "https://two.example"

// world is a follower of a storage, and the issuers that it tells.
type world struct {
	*status.Follower
	storage storage
	issuers *issuer.Set
	log     bytes.Buffer
}

func newWorld(t *testing.T) *world {
	t.Helper()
	set, err := issuer.New(issuer.Config{Issuers: []string{fromFlags}, ExternalAddress: "10.0.0.1:6443", Keys: noKeys{}, Clock: clock.APIOf(clock.Real())})
	if err != nil {
		t.Fatal(err)
	}
	w := &world{issuers: set}
	w.Follower = status.New(set, &w.storage, clock.Real(), slog.New(slog.NewTextHandler(&w.log, nil)))
	return w
}

func (w *world) accepted() (all []string) {
	for _, i := range w.issuers.Accepted() {
		all = append(all, i.String())
	}
	return all
}

func said(version string, issuers ...operatorv1.ServiceAccountIssuerStatus) *operatorv1.KubeAPIServer {
	k := &operatorv1.KubeAPIServer{ObjectMeta: metav1.ObjectMeta{Name: operatorv1.Name, ResourceVersion: version}}
	k.Status.ServiceAccountIssuers = issuers
	return k
}

func named(name string) operatorv1.ServiceAccountIssuerStatus {
	return operatorv1.ServiceAccountIssuerStatus{Name: name}
}

func until(name string, end time.Time) operatorv1.ServiceAccountIssuerStatus {
	s := named(name)
	s.ExpirationTime = &metav1.Time{Time: end}
	return s
}

func (w *world) load(t *testing.T, k *operatorv1.KubeAPIServer) {
	t.Helper()
	w.storage.object = k
	if err := w.Load(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func TestFlagsHoldUntilTheStatusSaysSomething(t *testing.T) {
	w := newWorld(t)
	w.load(t, nil)
	w.load(t, said("5")) // made, and not filled in yet
	if got := w.accepted(); !slices.Equal(got, []string{fromFlags}) {
		t.Errorf("accepted %q", got)
	}
	w.load(t, said("6", named(first)))
	if w.issuers.Active() != first {
		t.Errorf("%s signs", w.issuers.Active())
	}
	w.load(t, said("7"))
	if w.issuers.Active() != first {
		t.Errorf("an empty status made %s sign", w.issuers.Active())
	}
}

func TestFormerIssuersAreTrustedUntilTheirEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		// The order is not that of time: what has an end does not sign, wherever it stands.
		w.load(t, said("5", until(first, time.Now().Add(time.Hour)), named(second), named("https://hand.example")))
		if w.issuers.Active() != second {
			t.Errorf("%s signs, want the first without an end", w.issuers.Active())
		}
		if got := w.accepted(); !slices.Contains(got, first) || !slices.Contains(got, "https://hand.example") {
			t.Errorf("accepted %q", got)
		}
		time.Sleep(time.Hour + time.Second)
		if got := w.accepted(); slices.Contains(got, first) || !slices.Contains(got, "https://hand.example") {
			t.Errorf("an hour later accepted %q", got)
		}
	})
}

func TestOlderStatusDoesNotUndoANewerOne(t *testing.T) {
	w := newWorld(t)
	w.load(t, said("10", named(second)))
	w.load(t, said("9", named(first))) // as a number, not as text
	if w.issuers.Active() != second {
		t.Errorf("%s signs after an old answer", w.issuers.Active())
	}
	w.load(t, said("11", named(first)))
	if w.issuers.Active() != first {
		t.Errorf("%s signs after a new answer", w.issuers.Active())
	}
}

func TestIssuerThatCannotBeOneChangesNothing(t *testing.T) {
	w := newWorld(t)
	w.load(t, said("5", named(first)))
	w.load(t, said("6", named("https://bad example")))
	if w.issuers.Active() != first || !strings.Contains(w.log.String(), "the former ones stay") {
		t.Errorf("%s signs, logged %s", w.issuers.Active(), w.log.String())
	}
}

func TestLoadTellsWhatItCouldNotRead(t *testing.T) {
	w := newWorld(t)
	w.storage.err = errors.New("the store is down")
	if err := w.Load(t.Context()); err == nil || err.Error() != "reading the issuers of tokens: the store is down" {
		t.Errorf("got %v", err)
	}
}

func TestConfirmReadsTheStoreAndGoesOnWithoutIt(t *testing.T) {
	w := newWorld(t)
	w.storage.object = said("5", named(first))
	w.Confirm(t.Context())
	if w.issuers.Active() != first {
		t.Errorf("%s signs", w.issuers.Active())
	}
	w.storage.err = errors.New("the store is down")
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	w.Confirm(ended)
	if w.log.Len() > 0 {
		t.Errorf("who asked has gone, and yet: %s", w.log.String())
	}
	w.Confirm(t.Context())
	if !strings.Contains(w.log.String(), "the store is down") || w.issuers.Active() != first {
		t.Errorf("logged %s", w.log.String())
	}
}

func TestRunFollowsTheStatus(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.storage.object = said("1", named(first))
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			w.Run(ctx)
		}()
		synctest.Wait()
		if w.issuers.Active() != first || w.storage.selector != "metadata.name=cluster" {
			t.Errorf("%s signs, asked for %q", w.issuers.Active(), w.storage.selector)
		}
		w.storage.watch.Modify(said("2", named(second)))
		synctest.Wait()
		if w.issuers.Active() != second {
			t.Errorf("%s signs after the change", w.issuers.Active())
		}
		// A watch that breaks, and a store that does not answer for a while.
		w.storage.err, w.storage.object = errors.New("the store is down"), said("3", named(first))
		w.storage.watch.Stop()
		time.Sleep(time.Minute)
		synctest.Wait()
		if w.issuers.Active() != second || !strings.Contains(w.log.String(), "trying again") {
			t.Errorf("%s signs, logged %s", w.issuers.Active(), w.log.String())
		}
		w.storage.err = nil
		time.Sleep(time.Minute)
		synctest.Wait()
		if w.issuers.Active() != first {
			t.Errorf("%s signs after the store is back", w.issuers.Active())
		}
		cancel()
		<-ended
	})
}
