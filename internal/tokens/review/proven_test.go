package review_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"laterna.dev/laterna/internal/tokens/review"
)

var (
	pod     = review.ObjectKey{Kind: review.KindPod, Namespace: "default", Name: "nginx"}
	account = review.ObjectKey{Kind: review.KindServiceAccount, Namespace: "default", Name: "build-robot"}
	secret  = review.ObjectKey{Kind: review.KindSecret, Namespace: "default", Name: "build-robot"}
	node    = review.ObjectKey{Kind: review.KindNode, Name: "node1"}
)

func mustGet(t *testing.T, o review.Objects, keys ...review.ObjectKey) []*review.Object {
	t.Helper()
	out, err := o.Get(context.Background(), keys...)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestProvenReadsOnlyWhatChanged(t *testing.T) {
	s := newStore()
	s.put(pod, nil)
	s.put(account, nil)
	o := review.NewProven(s, s.revisions)
	expect := func(step string, reads, proofs int) {
		t.Helper()
		if r, p := s.counts(); r != reads || p != proofs {
			t.Errorf("%s: %d reads and %d proofs, want %d and %d", step, r, p, reads, proofs)
		}
	}
	mustGet(t, o, account, pod)
	expect("first", 2, 1)
	mustGet(t, o, account, pod)
	expect("again", 0, 1)
	uid := s.put(pod, nil)
	if got := mustGet(t, o, account, pod); got[1].UID != uid {
		t.Errorf("pod %+v", got[1])
	}
	expect("pod changed", 1, 1)
	s.delete(pod)
	if got := mustGet(t, o, account, pod); got[1] != nil || got[0] == nil {
		t.Errorf("after the delete %v", got)
	}
	expect("pod deleted", 1, 1)
	if again := s.put(pod, nil); again == uid || mustGet(t, o, pod)[0].UID != again {
		t.Error("the new pod of the same name is not seen")
	}
	expect("pod created again", 1, 1)
	if got := mustGet(t, o, pod, pod); got[0] == nil || got[0] != got[1] {
		t.Errorf("one key twice gives %v", got)
	}
}

// A read of revisions that is under way when an object is deleted must not serve
// a check that begins after the delete.
func TestCheckDoesNotJoinAReadThatHasBegun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStore()
		s.put(pod, nil)
		o := review.NewProven(s, s.revisions)
		mustGet(t, o, pod)
		hold := make(chan struct{})
		s.after = func() { <-hold }
		first := make(chan []*review.Object)
		go func() { first <- mustGet(t, o, pod) }()
		synctest.Wait() // the first read has its answer and is held back
		s.delete(pod)
		second := make(chan []*review.Object)
		go func() { second <- mustGet(t, o, pod) }()
		synctest.Wait()
		hold <- struct{}{}
		if got := <-first; got[0] == nil {
			t.Error("the check that began before the delete refuses, so the other one proves nothing")
		}
		hold <- struct{}{}
		if got := <-second; got[0] != nil {
			t.Error("a check that began after the delete passes")
		}
	})
}

func TestConcurrentChecksShareReads(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStore()
		s.put(pod, nil)
		o := review.NewProven(s, s.revisions)
		mustGet(t, o, pod)
		s.counts()
		s.before = func() { time.Sleep(time.Millisecond) }
		var all sync.WaitGroup
		for range 500 {
			all.Go(func() { mustGet(t, o, pod) })
		}
		all.Wait()
		if _, proofs := s.counts(); proofs > 2 {
			t.Errorf("500 checks at once took %d reads of revisions", proofs)
		}
	})
}

func TestBatchesAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStore()
		o := review.NewProven(s, func(ctx context.Context, keys []review.ObjectKey) ([]int64, error) {
			if len(keys) > review.MaxBatch {
				t.Errorf("batch of %d keys", len(keys))
			}
			seen := map[review.ObjectKey]bool{}
			for _, k := range keys {
				if seen[k] {
					t.Errorf("%v twice", k)
				}
				seen[k] = true
			}
			time.Sleep(time.Millisecond)
			return s.revisions(ctx, keys)
		})
		var all sync.WaitGroup
		for i := range 1000 {
			k := review.ObjectKey{Kind: review.KindPod, Namespace: "default", Name: fmt.Sprint(i)}
			uid := s.put(k, nil)
			all.Go(func() {
				if got := mustGet(t, o, account, k); got[1] == nil || got[1].UID != uid {
					t.Errorf("%v: %v", k, got[1])
				}
			})
		}
		all.Wait()
	})
}

func TestFailingStoreIsAnErrorAndNotAnAnswer(t *testing.T) {
	s := newStore()
	s.put(pod, nil)
	o := review.NewProven(s, s.revisions)
	mustGet(t, o, pod)
	s.err = errors.New("no leader")
	if _, err := o.Get(context.Background(), pod); !errors.Is(err, s.err) {
		t.Errorf("%v", err)
	}
	short := review.NewProven(s, func(context.Context, []review.ObjectKey) ([]int64, error) { return nil, nil })
	if _, err := short.Get(context.Background(), pod); err == nil {
		t.Error("too few revisions are taken for an answer")
	}
	held := review.NewProven(s, func(ctx context.Context, _ []review.ObjectKey) ([]int64, error) {
		<-ctx.Done()
		return nil, ctx.Err()
	})
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := held.Get(ctx, pod); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
}

// Many create and delete objects of few names and check after each step, while
// reads take their time: every check sees at least what was done before it.
func TestChecksSeeWhatCameBefore(t *testing.T) {
	s := newStore()
	pause := func() { time.Sleep(time.Duration(rand.IntN(100)) * time.Microsecond) }
	s.before, s.after = pause, pause
	o := review.NewProven(s, s.revisions)
	var all sync.WaitGroup
	for i := range 8 {
		k := review.ObjectKey{Kind: review.KindPod, Namespace: "default", Name: fmt.Sprint(i)}
		all.Go(func() {
			for range 100 {
				uid := s.put(k, nil)
				if got := mustGet(t, o, account, k); got[1] == nil || got[1].UID != uid {
					t.Errorf("created %s, found %v", uid, got[1])
				}
				s.delete(k)
				if got := mustGet(t, o, account, k); got[1] != nil {
					t.Errorf("deleted %s, found %v", uid, got[1])
				}
			}
		})
	}
	all.Wait()
}
