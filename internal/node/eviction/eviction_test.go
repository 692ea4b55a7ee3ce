package eviction

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/types"

	"laterna.dev/laterna/internal/clock"
	"laterna.dev/laterna/internal/host/cgroups"
)

const mi = 1 << 20

func TestThresholdsAreReadAsTheKubeletReadsThem(t *testing.T) {
	for text, want := range map[string]Thresholds{
		"":                                      {},
		"memory.available<100Mi":                {memory: threshold{amount: 100 * mi}},
		"memory.available<5%, pid.available<1k": {memory: threshold{percent: 5}, pids: threshold{amount: 1000}},
		"memory.available<0%":                   {},
		"memory.available<100%":                 {},
		"memory.available<0":                    {},
	} {
		if got, err := Parse(text); err != nil || got != want {
			t.Errorf("%q: %+v, %v; want %+v", text, got, err, want)
		}
	}
	for text, want := range map[string]string{
		"memory.available":                        "invalid eviction threshold syntax memory.available, expected <signal><operator><value>",
		"memory.available>1":                      "invalid eviction threshold syntax memory.available>1, expected <signal><operator><value>",
		"memory.available<x":                      `eviction threshold memory.available: "x" is not an amount`,
		"memory.available<-1":                     "eviction threshold memory.available must be positive: -1",
		"memory.available<-1%":                    "eviction percentage threshold memory.available must be >= 0%: -1%",
		"memory.available<NaN%":                   `eviction percentage threshold memory.available: "NaN%" is not a percentage`,
		"memory.available<101%":                   "eviction percentage threshold memory.available must be <= 100%: 101%",
		"cpu.available<1":                         "unsupported eviction signal cpu.available",
		"nodefs.available<10%":                    "--disk-reserve says what must be left of the disk",
		"memory.available<1Gi,memory.available<1": "there are two thresholds of memory.available",
	} {
		if _, err := Parse(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
	half, err := Parse("memory.available<12.5%")
	if err != nil || half.Memory(800) != 100 {
		t.Errorf("a share of 800: %d, %v", half.Memory(800), err)
	}
	if _, err := Parse(DefaultThresholds); err != nil {
		t.Error(err)
	}
}

// node is a machine that is written down.
type node struct {
	left  int64
	known bool
	pods  map[string]*pod
	did   []string
}

type pod struct {
	Pod
	uses    cgroups.Usage
	running bool
}

func (n *node) add(name, request string, priority int32, uses int64) *pod {
	p := &pod{uses: cgroups.Usage{Memory: uses * mi, Pids: uses}, running: true}
	p.Pod = Pod{Pod: &corev1.Pod{}, Containers: map[string]string{"id-" + name: "c"}, Running: func() bool { return p.running }, Evict: func(message string) {
		n.did = append(n.did, "evict "+name+": "+message)
		p.running = false
		n.left += p.uses.Memory
		delete(n.pods, name)
	}}
	p.Name, p.UID, p.Spec.Priority = name, types.UID(name), &priority
	p.Spec.Containers = []corev1.Container{{Name: "c"}}
	if request != "" {
		p.Spec.Containers[0].Resources.Requests = corev1.ResourceList{corev1.ResourceMemory: resource.MustParse(request)}
	}
	n.pods[name] = p
	return p
}

func (n *node) keeper(t *testing.T, thresholds string, transition time.Duration) *Keeper {
	t.Helper()
	parsed, err := Parse(thresholds)
	if err != nil {
		t.Fatal(err)
	}
	return New(Config{
		Settings: Settings{parsed, transition},
		Machine: Machine{
			Memory: func() (int64, int64, bool) { return n.left, 1000 * mi, n.known },
			PIDs:   func() (int64, int64, bool) { return 1000, 1000, true },
			Usage: func(uid types.UID) (cgroups.Usage, map[string]cgroups.Usage, error) {
				u := n.pods[string(uid)].uses
				return u, map[string]cgroups.Usage{"id-" + string(uid): u, "sandbox": {Memory: mi}}, nil
			},
		},
		Pods: func() (all []Pod) {
			for _, p := range n.pods {
				all = append(all, p.Pod)
			}
			return all
		},
		Changed:    func() { n.did = append(n.did, "changed") },
		Reclaiming: func(name corev1.ResourceName) { n.did = append(n.did, "reclaiming "+string(name)) },
		Wall:       clock.Real(), Log: slog.New(slog.DiscardHandler),
	})
}

func TestOrderInWhichPodsGo(t *testing.T) {
	n := &node{known: true, pods: map[string]*pod{}}
	n.add("critical", "", 2_000_000_000, 900)
	n.add("modest", "500Mi", 0, 400)
	n.add("important", "", 100, 300)
	n.add("small", "", 0, 10)
	n.add("big", "100Mi", 0, 150)
	n.add("unstarted", "", -5, 0)
	k := n.keeper(t, "memory.available<100Mi", 0)
	for of, want := range map[kind][]string{
		memory: {"big", "small", "important", "modest"},
		pids:   {"modest", "big", "small", "important"},
	} {
		var got []string
		all := k.measure()
		for {
			m := victim(of, all)
			if m == nil {
				break
			}
			got = append(got, m.Name)
			all = slices.DeleteFunc(all, func(o *measured) bool { return o == m })
		}
		if !slices.Equal(got, want) {
			t.Errorf("short of %s: %v, want %v", of.name, got, want)
		}
	}
}

func TestPodsGoOneByOneUntilThereIsEnough(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := &node{known: true, left: 500 * mi, pods: map[string]*pod{}}
		n.add("big", "", 0, 60)
		n.add("small", "", 0, 5)
		n.add("quiet", "50Mi", 0, 20)
		k := n.keeper(t, "memory.available<10%", time.Minute)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		go k.Run(ctx)
		expect := func(when string, want ...string) {
			t.Helper()
			synctest.Wait()
			if !slices.Equal(n.did, want) {
				t.Errorf("%s: %q, want %q", when, n.did, want)
			}
			n.did = nil
		}
		time.Sleep(5 * time.Second)
		expect("with enough")
		if m, p := k.Pressed(); m || p {
			t.Errorf("with enough the node says %v %v", m, p)
		}
		n.known, n.left = false, 0
		time.Sleep(5 * time.Second)
		expect("while nobody knows")
		n.known, n.left = true, 50*mi
		time.Sleep(1100 * time.Millisecond)
		const say = "evict big: The node was low on resource: memory. Threshold quantity: 100Mi, available: 50Mi. Container c was using 60Mi, request is 0, has larger consumption of memory. "
		expect("when it is short", "changed", "reclaiming memory", say)
		time.Sleep(10 * time.Second)
		expect("with enough again")
		if m, _ := k.Pressed(); !m {
			t.Error("the node does not say that it was short until now")
		}
		time.Sleep(55 * time.Second)
		expect("a minute later", "changed")
		if m, _ := k.Pressed(); m {
			t.Error("the node says that it is short")
		}
		n.left = 94 * mi
		time.Sleep(1100 * time.Millisecond)
		expect("short again", "changed", "reclaiming memory", "evict small: The node was low on resource: memory. Threshold quantity: 100Mi, available: 94Mi. Container c was using 5Mi, request is 0, has larger consumption of memory. ")
		time.Sleep(settle - time.Second) // 99 MiB are not enough
		expect("before it is seen what it gave back")
		time.Sleep(2 * time.Second)
		expect("the next", "reclaiming memory", "evict quiet: The node was low on resource: memory. Threshold quantity: 100Mi, available: 99Mi. ")
		n.left = 0
		time.Sleep(30 * time.Second)
		expect("when nobody is left")
		cancel()
		synctest.Wait()
	})
}

func TestPodThatDoesNotEndIsWaitedForHalfAMinute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := &node{known: true, left: 1, pods: map[string]*pod{}}
		p := n.add("stuck", "", 0, 60)
		p.Evict = func(string) { n.did = append(n.did, fmt.Sprint("evict stuck")) }
		n.pods["stuck"] = p
		k := n.keeper(t, "memory.available<100Mi", 0)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		go k.Run(ctx)
		time.Sleep(29 * time.Second)
		synctest.Wait()
		before := len(n.did)
		time.Sleep(5 * time.Second)
		synctest.Wait()
		if before != 3 || len(n.did) != 5 { // changed, reclaiming, evict; reclaiming, evict
			t.Errorf("%q", n.did)
		}
		cancel()
		synctest.Wait()
	})
}
