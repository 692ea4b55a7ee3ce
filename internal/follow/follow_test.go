package follow_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"

	"laterna.dev/laterna/internal/clock"
	"laterna.dev/laterna/internal/follow"
)

func configMap(name, value string) *corev1.ConfigMap {
	return &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: name}, Data: map[string]string{"a": value}}
}

// api answers lists with what there is and watches with what is put into its events. It
// writes down what it is asked and what a handler is told.
type api struct {
	objects []corev1.ConfigMap
	watch   *watch.FakeWatcher
	refuse  error
	log     []string
	goOn    bool
}

func (a *api) object() follow.Object[*corev1.ConfigMap] {
	return follow.Object[*corev1.ConfigMap]{
		Name: "one",
		List: func(_ context.Context, o metav1.ListOptions) (runtime.Object, error) {
			a.log = append(a.log, "list "+o.FieldSelector)
			return &corev1.ConfigMapList{ListMeta: metav1.ListMeta{ResourceVersion: "7"}, Items: a.objects}, a.refuse
		},
		Watch: func(_ context.Context, o metav1.ListOptions) (watch.Interface, error) {
			a.log = append(a.log, "watch "+o.FieldSelector+" from "+o.ResourceVersion)
			a.watch = watch.NewFakeWithChanSize(10, false)
			return a.watch, nil
		},
	}
}

func (a *api) handler() follow.Handler[*corev1.ConfigMap] {
	return follow.Handler[*corev1.ConfigMap]{
		Seen: func(_ context.Context, c *corev1.ConfigMap) error {
			a.log = append(a.log, "seen "+c.Data["a"])
			if c.Data["a"] == "bad" {
				return errors.New("it is bad")
			}
			return nil
		},
		Missing: func(context.Context) error { a.log = append(a.log, "missing"); return nil },
		Failed:  func(err error) bool { a.log = append(a.log, "failed: "+err.Error()); return a.goOn },
	}
}

// told returns what was written down since the last call.
func (a *api) told() string {
	synctest.Wait()
	text := strings.Join(a.log, ", ")
	a.log = nil
	return text
}

// following runs f while a is followed.
func following(t *testing.T, a *api, f func(expect func(string))) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() { defer close(ended); a.object().Run(ctx, clock.Real(), a.handler()) }()
		f(func(want string) {
			t.Helper()
			if got := a.told(); got != want {
				t.Errorf("got  %s\nwant %s", got, want)
			}
		})
		cancel()
		<-ended
	})
}

const begun = "list metadata.name=one, watch metadata.name=one from 7"

func TestEveryChangeIsSeenAndOthersAreNot(t *testing.T) {
	a := &api{objects: []corev1.ConfigMap{*configMap("other", "x"), *configMap("one", "1")}}
	following(t, a, func(expect func(string)) {
		expect(begun + ", seen 1")
		a.watch.Modify(configMap("other", "y"))
		a.watch.Action(watch.Bookmark, configMap("one", "bookmark"))
		a.watch.Modify(configMap("one", "2"))
		expect("seen 2")
		a.watch.Delete(configMap("one", "2"))
		a.watch.Add(configMap("one", "3"))
		expect("missing, seen 3")
	})
}

// shared is an object in the form in which a watch cache sends it.
type shared struct{ runtime.Object }

func (s shared) GetObject() runtime.Object { return s.Object }

func (s shared) CacheEncode(runtime.Identifier, func(runtime.Object, io.Writer) error, io.Writer) error {
	return errors.New("nobody encodes it")
}

func TestObjectsOfAWatchCacheAreSeen(t *testing.T) {
	a := &api{}
	following(t, a, func(expect func(string)) {
		expect(begun + ", missing")
		a.watch.Add(shared{configMap("one", "1")})
		expect("seen 1")
	})
}

func TestAWatchThatEndsIsBegunAgainAfterAPause(t *testing.T) {
	a := &api{}
	following(t, a, func(expect func(string)) {
		expect(begun + ", missing")
		a.watch.Stop()
		time.Sleep(follow.Pause - 1)
		expect("")
		time.Sleep(1)
		expect(begun + ", missing")
	})
}

func TestFailuresAreToldAndTriedAgain(t *testing.T) {
	a := &api{goOn: true, refuse: errors.New("no list")}
	following(t, a, func(expect func(string)) {
		expect("list metadata.name=one, failed: no list")
		a.refuse, a.objects = nil, []corev1.ConfigMap{*configMap("one", "bad")}
		time.Sleep(follow.Pause)
		expect(begun + ", seen bad, failed: it is bad")
		a.objects = nil
		time.Sleep(follow.Pause)
		expect(begun + ", missing")
		status := apierrors.NewResourceExpired("too old").Status()
		a.watch.Error(&status)
		expect("failed: too old")
	})
}

func TestFollowingEndsWhereNobodyWantsToGoOn(t *testing.T) {
	a := &api{refuse: errors.New("no such kind")}
	following(t, a, func(expect func(string)) {
		expect("list metadata.name=one, failed: no such kind")
		time.Sleep(10 * follow.Pause)
		expect("")
	})
}

func TestNextSaysWhyThereIsNothingMore(t *testing.T) {
	a := &api{}
	w, err := a.object().From(t.Context(), "9")
	if err != nil {
		t.Fatal(err)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if _, _, err := w.Next(ended); !errors.Is(err, context.Canceled) {
		t.Errorf("after the context: %v", err)
	}
	a.watch.Modify(configMap("one", "1"))
	if object, deleted, err := w.Next(t.Context()); err != nil || deleted || object.Data["a"] != "1" {
		t.Errorf("%v, %t, %v", object, deleted, err)
	}
	w.Stop()
	if _, _, err := w.Next(t.Context()); !errors.Is(err, follow.ErrEnded) {
		t.Errorf("after the watch: %v", err)
	}
	if want := "[watch metadata.name=one from 9]"; fmt.Sprint(a.log) != want {
		t.Errorf("%s, want %s", a.log, want)
	}
}
