package podprojection

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"

	"laterna.dev/laterna/api/projection/v1alpha1"
	"laterna.dev/laterna/internal/volumes/publish"
)

func TestFirstWriteHasAllVolumes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, newServer())
		f.set("uid-p", publish.Status{Name: "v"})
		f.Add(pod("p"))
		time.Sleep(100 * time.Millisecond)
		if n := f.server.count(); n != 0 {
			t.Fatalf("%d requests before the volumes are published", n)
		}
		f.set("uid-p", at("1", "1"))
		f.Changed("uid-p")
		time.Sleep(2 * settle)
		p := f.server.object("p")
		if version(p) != "1" || f.server.count("POST") != 1 || f.server.count() != 2 {
			t.Fatalf("object %+v after %v", p, f.server.requests)
		}
		owner := p.OwnerReferences[0]
		if owner.UID != "uid-p" || owner.Kind != "Pod" || owner.Name != "p" || *owner.BlockOwnerDeletion || p.Spec.NodeName != "n" || p.Namespace != "ns" {
			t.Errorf("object %+v", p)
		}
	})
}

func TestVolumesThatWaitAreReported(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, newServer())
		f.set("uid-p", publish.Status{Name: "v", Problem: `configmap "c" not found`})
		f.Add(pod("p"))
		time.Sleep(time.Second)
		p := f.server.object("p")
		if p == nil || p.Status.Volumes[0].Problem != `configmap "c" not found` || p.Status.Conditions[0].Reason != v1alpha1.ReasonProblem {
			t.Errorf("object %+v", p)
		}
	})
}

func TestAtMostOneWriteASecondAndTheLastStateWins(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, newServer())
		f.set("uid-p", at("0", "0"))
		f.Add(pod("p"))
		last := ""
		for i := range 2000 { // for ten seconds
			last = strconv.Itoa(i)
			f.set("uid-p", at(last, last))
			f.Changed("uid-p")
			time.Sleep(5 * time.Millisecond)
		}
		time.Sleep(2 * time.Second)
		if got := version(f.server.object("p")); got != last {
			t.Errorf("the API says %s, the files show %s", got, last)
		}
		var before time.Time
		writes := 0
		f.server.mu.Lock()
		defer f.server.mu.Unlock()
		for _, r := range f.server.requests {
			if r.verb != "POST" && r.verb != "PUT" {
				continue
			}
			if writes++; r.at.Sub(before) < between {
				t.Errorf("write %d comes %s after the one before", writes, r.at.Sub(before))
			}
			before = r.at
		}
		if writes < 10 || writes > 12 {
			t.Errorf("%d writes in ten seconds", writes)
		}
	})
}

func TestIdlePodsCauseNoRequests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, newServer())
		for i := range 100 {
			name := fmt.Sprint("p", i)
			f.set(pod(name).UID, at("1", "1"))
			f.Add(pod(name))
			f.Add(pod(name))
		}
		time.Sleep(time.Minute)
		before := f.server.count()
		if before != 101 {
			t.Errorf("%d requests for 100 pods, want one look at the group and 100 creations", before)
		}
		for i := range 100 {
			f.Changed(pod(fmt.Sprint("p", i)).UID) // what is shown is the same
		}
		time.Sleep(24 * time.Hour)
		if n := f.server.count(); n != before {
			t.Errorf("%d requests in an idle day", n-before)
		}
	})
}

func TestRestartAdoptsWithoutWriting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer()
		first := newFixture(t, s)
		first.set("uid-p", at("1", "1"))
		first.Add(pod("p"))
		time.Sleep(time.Second)

		running := pod("p")
		running.Status.Phase = corev1.PodRunning
		second := newFixture(t, s)
		// At first an agent knows less than it will in a moment.
		second.set("uid-p", publish.Status{Name: "v", Generation: "..1"})
		second.Add(running)
		time.Sleep(time.Second)
		unknownTime := at("1", "1")
		unknownTime.Published = time.Time{}
		second.set("uid-p", unknownTime)
		second.Changed("uid-p")
		time.Sleep(time.Minute)
		if n := s.count("PUT"); n != 0 || s.count("GET") != 1 {
			t.Errorf("%d updates of what is the same: %v", n, s.requests)
		}
		second.set("uid-p", at("2", "2"))
		second.Changed("uid-p")
		time.Sleep(time.Second)
		if s.count("PUT") != 1 || version(s.object("p")) != "2" {
			t.Errorf("after a change: %v", s.requests)
		}
	})
}

func TestObjectOfAnEarlierPodIsReplaced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer()
		first := newFixture(t, s)
		first.set("uid-p", at("1", "1"))
		first.Add(pod("p"))
		time.Sleep(time.Second)
		next := pod("p")
		next.UID = "uid-next"
		second := newFixture(t, s)
		second.set("uid-next", at("2", "2"))
		second.Add(next)
		time.Sleep(time.Second)
		if p := s.object("p"); version(p) != "2" || p.OwnerReferences[0].UID != "uid-next" {
			t.Errorf("object %+v", p)
		}
		// The earlier pod's end must not take away what is the next one's.
		first.Remove(t.Context(), "uid-p")
		if s.object("p") == nil {
			t.Error("the object is gone")
		}
	})
}

func TestOthersMayWriteAndDelete(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, newServer())
		f.set("uid-p", at("1", "1"))
		f.Add(pod("p"))
		time.Sleep(time.Second)
		theirs := f.server.object("p")
		theirs.Labels = map[string]string{"team": "x"}
		f.server.put(theirs)
		f.set("uid-p", at("2", "2"))
		f.Changed("uid-p")
		time.Sleep(2 * time.Second)
		if p := f.server.object("p"); version(p) != "2" || p.Labels["team"] != "x" {
			t.Errorf("after a conflict: %+v", p)
		}
		f.server.mu.Lock()
		delete(f.server.objects, "p")
		f.server.mu.Unlock()
		f.set("uid-p", at("3", "3"))
		f.Changed("uid-p")
		time.Sleep(2 * time.Second)
		if p := f.server.object("p"); version(p) != "3" {
			t.Errorf("after a deletion: %+v", p)
		}
		if f.lines.String() != "" {
			t.Errorf("log: %s", f.lines)
		}
	})
}

func TestServerWithoutTheKind(t *testing.T) {
	for name, refusal := range map[string]error{
		"not found": apierrors.NewGenericServerResponse(404, "get", schema.GroupResource{}, "", "404 page not found", 0, true),
		"forbidden": apierrors.NewForbidden(schema.GroupResource{}, "", nil),
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newServer()
				s.refuse(refusal)
				f := newFixture(t, s)
				for i := range 100 {
					name := fmt.Sprint("p", i)
					f.set(pod(name).UID, at("1", "1"))
					f.Add(pod(name))
				}
				for range 3500 {
					f.Changed("uid-p7")
					time.Sleep(time.Second)
				}
				if n := s.count(); n != 6 {
					t.Errorf("%d requests in an hour, want 6", n)
				}
				if n := strings.Count(f.lines.String(), "\n"); n != 1 || !strings.Contains(f.lines.String(), "does not serve pod projections") {
					t.Errorf("%d lines: %s", n, f.lines)
				}
				s.refuse(nil)
				time.Sleep(recheck + time.Minute)
				if n := s.count("POST"); n != 100 {
					t.Errorf("%d objects after the server learnt the kind", n)
				}
			})
		})
	}
}

func TestFailuresAreTriedAgainSeldomAndToldSeldom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer()
		f := newFixture(t, s)
		f.set("uid-p", at("1", "1"))
		f.Add(pod("p"))
		time.Sleep(time.Second)
		s.refuse(apierrors.NewInternalError(fmt.Errorf("no")))
		before := s.count()
		for i := range 600 { // ten minutes
			f.set("uid-p", at(strconv.Itoa(i), "599"))
			f.Changed("uid-p")
			time.Sleep(time.Second)
		}
		if n := s.count() - before; n < 10 || n > 18 {
			t.Errorf("%d requests in ten bad minutes", n)
		}
		if n := strings.Count(f.lines.String(), "\n"); n < 5 || n > 20 {
			t.Errorf("%d lines: %s", n, f.lines)
		}
		s.refuse(nil)
		time.Sleep(lastRetry + time.Second)
		if got := version(s.object("p")); got != "599" {
			t.Errorf("afterwards the API says %s", got)
		}
	})
}

func TestRemoveDeletesAndEndsTheWriting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer()
		s.latency = 50 * time.Millisecond
		f := newFixture(t, s)
		f.set("uid-p", at("1", "1"))
		f.Add(pod("p"))
		time.Sleep(settle + 75*time.Millisecond) // the creation is under way
		f.Remove(t.Context(), "uid-p")
		if s.object("p") != nil || s.count("POST") != 1 || s.count("DELETE") != 1 {
			t.Errorf("requests %v", s.requests)
		}
		f.set("uid-p", at("2", "2"))
		f.Changed("uid-p")
		time.Sleep(time.Minute)
		if s.object("p") != nil {
			t.Error("written after its end")
		}
		f.Remove(t.Context(), "uid-p")
		f.Remove(t.Context(), "never seen")
		if n := s.count("DELETE"); n != 1 {
			t.Errorf("%d deletions", n)
		}
	})
}

// TestManyPodsAtOnceLeaveTheMachineToOthers changes 100 pods at once: between writes
// the writer rests as long as a write takes.
func TestManyPodsAtOnceLeaveTheMachineToOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer()
		s.latency = 4 * time.Millisecond
		f := newFixture(t, s)
		for i := range 100 {
			f.set(pod(fmt.Sprint(i)).UID, at("1", "1"))
			f.Add(pod(fmt.Sprint(i)))
		}
		time.Sleep(time.Minute)
		before, began := s.count(), time.Now()
		for i := range 100 {
			f.set(pod(fmt.Sprint(i)).UID, at("2", "2"))
			f.Changed(pod(fmt.Sprint(i)).UID)
		}
		time.Sleep(100 * time.Millisecond)
		if n := s.count() - before; n < 5 || n > 11 {
			t.Errorf("%d writes in the first 100 ms", n)
		}
		for s.count()-before < 100 {
			time.Sleep(time.Millisecond)
		}
		if took := time.Since(began); took < 750*time.Millisecond || took > 900*time.Millisecond {
			t.Errorf("100 writes took %s", took)
		}
	})
}

func TestOutcomesAreWritten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer()
		var mu sync.Mutex
		var outcomes []Outcome
		f := newFixture(t, s, func(c *Config) {
			c.Outcomes = func(types.UID) []Outcome {
				mu.Lock()
				defer mu.Unlock()
				return outcomes
			}
		})
		f.set("uid-p", at("1", "1"))
		f.Add(pod("p"))
		time.Sleep(2 * time.Second)
		mu.Lock()
		outcomes = []Outcome{{Volume: "v", Container: "main", Action: "signal SIGHUP", Result: v1alpha1.Succeeded, Time: time.Now()}}
		mu.Unlock()
		f.Changed("uid-p")
		time.Sleep(2 * time.Second)
		if p := s.object("p"); len(p.Status.Volumes[0].Actions) != 1 || s.count("PUT") != 1 {
			t.Errorf("object %+v", p)
		}
	})
}

func TestNilWriterWritesNothing(t *testing.T) {
	var w *Writer
	w.Add(pod("p"))
	w.Changed("uid-p")
	w.Remove(context.Background(), "uid-p")
	w.Wait()
}

func TestWriterEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		s := newServer()
		s.latency = time.Second
		f := newFixture(t, s)
		cfg := f.cfg
		w := New(ctx, cfg)
		f.set("uid-p", at("1", "1"))
		w.Add(pod("p"))
		time.Sleep(2 * settle)
		cancel()
		w.Wait()
		if s.object("p") != nil {
			t.Error("written after the end")
		}
	})
}
