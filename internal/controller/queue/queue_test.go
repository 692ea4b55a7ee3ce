package queue_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/cache"
	"k8s.io/utils/clock"

	"laterna.dev/laterna/internal/controller/queue"
)

var quiet = slog.New(slog.DiscardHandler)

func TestFailuresAreRetriedAndOthersAreNot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		q := queue.New(clock.RealClock{})
		var mu sync.Mutex
		calls := map[string]int{}
		q.Add("good")
		q.Add("good")
		q.Add("twice")
		q.AddAfter("late", time.Hour)
		done := make(chan struct{})
		go func() {
			defer close(done)
			q.Run(ctx, 2, quiet, func(_ context.Context, key string) error {
				mu.Lock()
				defer mu.Unlock()
				if calls[key]++; key == "twice" && calls[key] < 3 {
					return errors.New("not yet")
				}
				return nil
			})
		}()
		time.Sleep(time.Minute)
		check(t, &mu, calls, map[string]int{"good": 1, "twice": 3, "late": 0})
		time.Sleep(time.Hour)
		check(t, &mu, calls, map[string]int{"good": 1, "twice": 3, "late": 1})
		cancel()
		<-done
	})
}

func check(t *testing.T, mu *sync.Mutex, got, want map[string]int) {
	t.Helper()
	mu.Lock()
	defer mu.Unlock()
	for key, n := range want {
		if got[key] != n {
			t.Errorf("%s was worked on %d times, want %d", key, got[key], n)
		}
	}
}

func TestAKeyIsGivenUpAfterItsRetries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		q := queue.NewRetrying(clock.RealClock{}, queue.Retries{First: time.Second, Last: 8 * time.Second, Most: 5})
		began := time.Now()
		var at []time.Duration
		done := make(chan struct{})
		go func() {
			defer close(done)
			q.Run(ctx, 1, quiet, func(context.Context, string) error {
				at = append(at, time.Since(began))
				return errors.New("no")
			})
		}()
		q.Add("a")
		time.Sleep(24 * time.Hour)
		q.Add("a") // something changed: it begins anew
		time.Sleep(24 * time.Hour)
		cancel()
		<-done
		want := []time.Duration{0, 1, 3, 7, 15, 23}
		if len(at) != 2*len(want) {
			t.Fatalf("%d calls: %v", len(at), at)
		}
		for i, w := range want {
			if at[i] != w*time.Second || at[len(want)+i] != 24*time.Hour+w*time.Second {
				t.Errorf("call %d after %v and %v, want %ds", i, at[i], at[len(want)+i], w)
			}
		}
	})
}

func TestRunWaitsForTheLastCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		q := queue.New(clock.RealClock{})
		var finished atomic.Bool
		q.Add("slow")
		time.AfterFunc(time.Second, cancel)
		q.Run(ctx, 1, quiet, func(context.Context, string) error {
			time.Sleep(time.Minute)
			finished.Store(true)
			return nil
		})
		if !finished.Load() {
			t.Error("Run returned while a call was under way")
		}
	})
}

func TestAsManyWorkAtOnceAsThereAreWorkers(t *testing.T) {
	for _, workers := range []int{1, 3} {
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			q := queue.New(clock.RealClock{})
			for _, key := range []string{"a", "b", "c", "d", "e", "f", "g"} {
				q.Add(key)
			}
			var now, most, calls atomic.Int32
			time.AfterFunc(time.Hour, cancel)
			q.Run(ctx, workers, quiet, func(_ context.Context, key string) error {
				if n := now.Add(1); n > most.Load() {
					most.Store(n)
				}
				defer now.Add(-1)
				time.Sleep(time.Second)
				if calls.Add(1) == 1 {
					q.Add(key) // while it is worked on: again afterwards, by nobody else meanwhile
				}
				return nil
			})
			if int(most.Load()) != workers || calls.Load() != 8 {
				t.Errorf("%d workers: %d calls, %d of them at once", workers, calls.Load(), most.Load())
			}
		})
	}
}

func TestAddObjectTakesTombstones(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	q := queue.New(clock.RealClock{})
	q.AddObject(cache.DeletedFinalStateUnknown{Key: "ns/gone"})
	q.AddObject("not an object")
	q.AddObject(&corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "here"}})
	got := map[string]bool{}
	q.Run(ctx, 1, quiet, func(_ context.Context, key string) error {
		if got[key] = true; len(got) == 2 {
			cancel()
		}
		return nil
	})
	if !got["ns/gone"] || !got["ns/here"] {
		t.Errorf("worked on %v", got)
	}
}

func TestARaceWithAnotherWriterIsNoWarning(t *testing.T) {
	maps := corev1.Resource("configmaps")
	for name, tc := range map[string]struct {
		err      error
		failures int
		warnings int
	}{
		"conflict":       {apierrors.NewConflict(maps, "a", errors.New("changed")), 5, 0},
		"made already":   {fmt.Errorf("making it: %w", apierrors.NewAlreadyExists(maps, "a")), 1, 0},
		"conflicts only": {apierrors.NewConflict(maps, "a", errors.New("changed")), 8, 3},
		"other":          {errors.New("no"), 2, 2},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithCancel(t.Context())
				var lines bytes.Buffer
				q := queue.New(clock.RealClock{})
				q.Add("a")
				calls := 0
				done := make(chan struct{})
				go func() {
					defer close(done)
					q.Run(ctx, 1, slog.New(slog.NewTextHandler(&lines, nil)), func(context.Context, string) error {
						if calls++; calls <= tc.failures {
							return tc.err
						}
						return nil
					})
				}()
				time.Sleep(time.Hour)
				cancel()
				<-done
				if n := strings.Count(lines.String(), "level=WARN"); n != tc.warnings || calls != tc.failures+1 {
					t.Errorf("%d warnings in %d calls, want %d in %d:\n%s", n, calls, tc.warnings, tc.failures+1, lines.String())
				}
			})
		})
	}
}
