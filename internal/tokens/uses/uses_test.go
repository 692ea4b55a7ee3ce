package uses_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"

	"laterna.dev/laterna/internal/clock"
	"laterna.dev/laterna/internal/tokens/review"
	"laterna.dev/laterna/internal/tokens/uses"
)

// world is a recorder whose writes are written down.
type world struct {
	*uses.Recorder
	client *fake.Clientset
	log    bytes.Buffer

	mu      sync.Mutex
	patches []string
	events  []*corev1.Event
	refuse  error
}

func newWorld() *world {
	w := &world{client: fake.NewClientset()}
	w.client.PrependReactor("patch", "secrets", func(a clienttesting.Action) (bool, runtime.Object, error) {
		p := a.(clienttesting.PatchAction)
		w.mu.Lock()
		defer w.mu.Unlock()
		w.patches = append(w.patches, p.GetNamespace()+"/"+p.GetName()+" "+string(p.GetPatch()))
		return true, &corev1.Secret{}, w.refuse
	})
	w.client.PrependReactor("create", "events", func(a clienttesting.Action) (bool, runtime.Object, error) {
		w.mu.Lock()
		defer w.mu.Unlock()
		e := a.(clienttesting.CreateAction).GetObject().(*corev1.Event)
		w.events = append(w.events, e)
		return true, e, w.refuse
	})
	w.Recorder = uses.New(w.client, clock.Real(), slog.New(slog.NewTextHandler(&w.log, nil)))
	return w
}

// inBubble runs f with a recorder that writes.
func inBubble(t *testing.T, f func(t *testing.T, w *world)) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		go w.Run(t.Context())
		f(t, w)
	})
}

var robot = review.KeptUse{Namespace: "default", Secret: "robot-token", UID: "u1", Day: "2026-11-30"}

func TestUseOfASecretIsWrittenOnceADay(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		for range 3 {
			w.KeptTokenUsed(robot)
		}
		synctest.Wait()
		if len(w.patches) != 1 {
			t.Fatalf("written %d times: %q", len(w.patches), w.patches)
		}
		where, raw, _ := strings.Cut(w.patches[0], " ")
		var patch struct{ Metadata metav1.ObjectMeta }
		if err := json.Unmarshal([]byte(raw), &patch); err != nil {
			t.Fatal(err)
		}
		// With the UID: a Secret of the same name made since is not the one that was used.
		if where != "default/robot-token" || patch.Metadata.UID != "u1" || patch.Metadata.Labels[review.LastUsedLabel] != "2026-11-30" || len(patch.Metadata.Labels) != 1 {
			t.Errorf("written to %s: %s", where, raw)
		}
		next := robot
		next.Day = "2026-12-01"
		w.KeptTokenUsed(next)
		synctest.Wait()
		if len(w.patches) != 2 {
			t.Errorf("the next day was not written: %q", w.patches)
		}
	})
}

func TestWhatCouldNotBeWrittenIsToldAgain(t *testing.T) {
	gone := apierrors.NewNotFound(corev1.Resource("secrets"), "robot-token")
	other := apierrors.NewConflict(corev1.Resource("secrets"), "robot-token", errors.New("uid mismatch"))
	for _, tt := range []struct {
		err    error
		warned bool
	}{{errors.New("the store is down"), true}, {gone, false}, {other, false}} {
		inBubble(t, func(t *testing.T, w *world) {
			w.refuse = tt.err
			w.KeptTokenUsed(robot)
			synctest.Wait()
			if warned := strings.Contains(w.log.String(), "could not be written down"); warned != tt.warned {
				t.Errorf("%v: logged %q", tt.err, w.log.String())
			}
			w.KeptTokenUsed(robot)
			synctest.Wait()
			if len(w.patches) != 2 {
				t.Errorf("%v: written %d times, want a second attempt", tt.err, len(w.patches))
			}
		})
	}
}

func TestStaleTokenIsAnEventOfItsPodOnceAnHour(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		use := review.StaleUse{Namespace: "shop", ServiceAccount: "clerk", Pod: "till-0", PodUID: "p1", Reason: review.Superseded, For: 190*time.Second + time.Millisecond}
		w.StaleTokenUsed(use)
		time.Sleep(time.Hour - time.Second)
		w.StaleTokenUsed(use)
		synctest.Wait()
		if len(w.events) != 1 {
			t.Fatalf("%d events within the hour", len(w.events))
		}
		e := w.events[0]
		if e.Namespace != "shop" || e.InvolvedObject.Kind != "Pod" || e.InvolvedObject.Name != "till-0" || e.InvolvedObject.UID != "p1" || e.Type != "Warning" || e.Reason != "StaleToken" {
			t.Errorf("event %+v", e)
		}
		if want := "A token of service account clerk is in use although this pod has had a newer one for 3m10s: a client read its token file once and not again"; e.Message != want {
			t.Errorf("message %q", e.Message)
		}
		time.Sleep(time.Second)
		use.Reason = review.WarnAfter
		w.StaleTokenUsed(use)
		synctest.Wait()
		if len(w.events) != 2 || w.events[1].Name == e.Name {
			t.Fatalf("events %v", w.events)
		}
		if want := "A token of service account clerk is in use 3m10s after its file should have been read again; it is good only because the life of injected tokens is extended"; w.events[1].Message != want {
			t.Errorf("message %q", w.events[1].Message)
		}
	})
}

func TestStaleTokenWithoutAPodIsNoEvent(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		w.StaleTokenUsed(review.StaleUse{Namespace: "shop", ServiceAccount: "clerk", Reason: review.WarnAfter})
		synctest.Wait()
		if len(w.events) != 0 {
			t.Errorf("events %v", w.events)
		}
	})
}

func TestEventsOfAllPodsAreBounded(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		stale := func(n int) {
			for i := range n {
				pod := fmt.Sprint("p", i)
				w.StaleTokenUsed(review.StaleUse{Namespace: "shop", ServiceAccount: "clerk", Pod: pod, PodUID: pod, Reason: review.Superseded})
			}
			synctest.Wait()
		}
		stale(100)
		if len(w.events) != 20 {
			t.Errorf("%d events at once, want the burst of 20", len(w.events))
		}
		// Those that were left out are told later, once there is room.
		time.Sleep(5 * time.Second)
		stale(100)
		if len(w.events) != 25 {
			t.Errorf("%d events after five seconds, want 25", len(w.events))
		}
	})
}

func TestWhatDoesNotFitIsToldByTheNextUse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		use := func(i int) review.KeptUse {
			u := robot
			u.Secret = fmt.Sprint("s", i)
			return u
		}
		const many = 300 // nobody writes yet, and not all of them fit
		for i := range many {
			w.KeptTokenUsed(use(i))
		}
		go w.Run(t.Context())
		synctest.Wait()
		fit := len(w.patches)
		if fit == 0 || fit >= many {
			t.Fatalf("%d of %d were kept", fit, many)
		}
		for i := range many {
			w.KeptTokenUsed(use(i))
			synctest.Wait()
		}
		if len(w.patches) != many {
			t.Errorf("%d of %d are written in the end", len(w.patches), many)
		}
	})
}
