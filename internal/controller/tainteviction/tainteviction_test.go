package tainteviction

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes/fake"

	"laterna.dev/laterna/internal/clock"
	"laterna.dev/laterna/internal/controller/env"
)

func pod(name string, tolerations ...corev1.Toleration) *corev1.Pod {
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: name, UID: "uid"},
		Spec:       corev1.PodSpec{NodeName: "a", Tolerations: tolerations},
	}
}

func tolerates(key string, seconds ...int64) corev1.Toleration {
	t := corev1.Toleration{Key: key, Operator: corev1.TolerationOpExists, Effect: corev1.TaintEffectNoExecute}
	if len(seconds) > 0 {
		t.TolerationSeconds = &seconds[0]
	}
	return t
}

func TestWhenAPodLeaves(t *testing.T) {
	began := time.Unix(10_000, 0)
	earlier := metav1.NewTime(began.Add(-time.Minute))
	evicts := func(keys ...string) *corev1.Node {
		n := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "a"}}
		for _, key := range keys {
			n.Spec.Taints = append(n.Spec.Taints, corev1.Taint{Key: key, Effect: corev1.TaintEffectNoExecute})
		}
		return n
	}
	dated := evicts("k")
	dated.Spec.Taints[0].TimeAdded = &earlier
	kept := evicts("k")
	kept.Spec.Taints[0].Effect = corev1.TaintEffectNoSchedule
	const stays = time.Duration(-1)
	for name, tc := range map[string]struct {
		node *corev1.Node
		pod  *corev1.Pod
		want time.Duration
	}{
		"no taint":            {evicts(), pod("p"), stays},
		"only kept away":      {kept, pod("p"), stays},
		"not tolerated":       {evicts("k"), pod("p"), 0},
		"one of two":          {evicts("k", "l"), pod("p", tolerates("k")), 0},
		"tolerated":           {evicts("k"), pod("p", tolerates("k")), stays},
		"everything":          {evicts("k", "l"), pod("p", tolerates("")), stays},
		"for a while":         {evicts("k"), pod("p", tolerates("k", 30)), 30 * time.Second},
		"the shortest":        {evicts("k"), pod("p", tolerates("k", 30), tolerates("", 10), tolerates("k")), 10 * time.Second},
		"the first of taints": {evicts("k", "l"), pod("p", tolerates("k", 30), tolerates("l", 20)), 20 * time.Second},
		"no time at all":      {evicts("k"), pod("p", tolerates("k", -5)), 0},
		"whatever it says":    {dated, pod("p", tolerates("k", 90)), 90 * time.Second},
		"a very long while":   {evicts("k"), pod("p", tolerates("k", 1<<62)), most * time.Second},
	} {
		at, ends := due(tc.pod, tc.node, arrivals(tc.node, nil, began), began)
		got := stays
		if ends {
			got = at.Sub(began)
		}
		if got != tc.want {
			t.Errorf("%s: leaves after %s, want %s", name, got, tc.want)
		}
	}
	tainted := arrivals(evicts("k"), nil, began)
	if at, _ := due(pod("p", tolerates("k", 30)), evicts("k"), tainted, began.Add(time.Hour)); at.Sub(began) != time.Hour+30*time.Second {
		t.Errorf("a pod that comes later leaves after %s", at.Sub(began))
	}
	if at, _ := due(pod("p", tolerates("k", 30)), evicts("k"), tainted, began.Add(-time.Hour)); at.Sub(began) != 30*time.Second {
		t.Errorf("a pod that was there leaves after %s", at.Sub(began))
	}
	later := arrivals(evicts("k", "l"), arrivals(evicts("k"), nil, began), began.Add(time.Hour))
	if later[mark{"k", ""}] != began || later[mark{"l", ""}] != began.Add(time.Hour) {
		t.Errorf("a second taint makes the arrivals %v", later)
	}
}

func TestPodsLeaveWhenTheirTimeHasCome(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client := fake.NewClientset(&corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "a"}},
			pod("at-once"), pod("later", tolerates("gpu", 30)), pod("reprieved", tolerates("gpu", 300)), pod("for-ever", tolerates("gpu")))
		ctx, cancel := context.WithCancel(t.Context())
		factory := informers.NewSharedInformerFactory(client, 0)
		c := New(env.Env{Client: client, Informers: factory, Wall: clock.Real(), Log: slog.New(slog.DiscardHandler)})
		factory.Start(ctx.Done())
		done := make(chan error)
		go func() { done <- c.Run(ctx) }()
		synctest.Wait()
		taint := func(taints ...corev1.Taint) {
			t.Helper()
			n, err := client.CoreV1().Nodes().Get(ctx, "a", metav1.GetOptions{})
			if err != nil {
				t.Fatal(err)
			}
			n = n.DeepCopy()
			n.Spec.Taints = taints
			if _, err := client.CoreV1().Nodes().Update(ctx, n, metav1.UpdateOptions{}); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
		}
		there := func() string {
			t.Helper()
			synctest.Wait()
			var names []string
			for _, name := range []string{"at-once", "later", "reprieved", "for-ever"} {
				_, err := client.CoreV1().Pods("ns").Get(ctx, name, metav1.GetOptions{})
				if err == nil {
					names = append(names, name)
				} else if !apierrors.IsNotFound(err) {
					t.Fatal(err)
				}
			}
			return strings.Join(names, " ")
		}
		if got := there(); got != "at-once later reprieved for-ever" {
			t.Errorf("before: %s", got)
		}
		taint(corev1.Taint{Key: "gpu", Effect: corev1.TaintEffectNoExecute})
		if got := there(); got != "later reprieved for-ever" {
			t.Errorf("tainted: %s", got)
		}
		time.Sleep(29 * time.Second)
		if got := there(); got != "later reprieved for-ever" {
			t.Errorf("a second before: %s", got)
		}
		time.Sleep(2 * time.Second)
		if got := there(); got != "reprieved for-ever" {
			t.Errorf("after its time: %s", got)
		}
		taint()
		time.Sleep(time.Hour)
		if got := there(); got != "reprieved for-ever" {
			t.Errorf("without the taint: %s", got)
		}
		all, err := client.CoreV1().Events("ns").List(ctx, metav1.ListOptions{})
		if err != nil {
			t.Fatal(err)
		}
		told := map[string]string{}
		for _, e := range all.Items {
			told[e.InvolvedObject.Name] += fmt.Sprintf("%s %s %s", e.Type, e.Reason, e.Message)
		}
		for name, want := range map[string]string{
			"at-once": "Normal TaintManagerEviction Marking for deletion Pod ns/at-once", "later": "Normal TaintManagerEviction Marking for deletion Pod ns/later",
			"reprieved": "Normal TaintManagerEviction Cancelling deletion of Pod ns/reprieved", "for-ever": "",
		} {
			if told[name] != want {
				t.Errorf("%s was told %q, want %q", name, told[name], want)
			}
		}
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		factory.Shutdown()
	})
}
