package disruption

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes/fake"
	"k8s.io/utils/ptr"

	"laterna.dev/laterna/internal/clock"
	"laterna.dev/laterna/internal/controller/env"
)

// pods are of these controllers, "-" for none; all are ready.
func pods(controllers ...string) (all []*corev1.Pod) {
	for i, c := range controllers {
		p := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: string(rune('a' + i)), Labels: map[string]string{"app": "x"}}}
		p.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue}}
		if c != "-" {
			p.OwnerReferences = []metav1.OwnerReference{{APIVersion: "v1", Kind: "ReplicationController", Name: c, UID: types.UID(c), Controller: ptr.To(true)}}
		}
		all = append(all, p)
	}
	return all
}

func budget(least, most string) *policyv1.PodDisruptionBudget {
	b := &policyv1.PodDisruptionBudget{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "b", Generation: 3}}
	b.Spec.Selector = &metav1.LabelSelector{MatchLabels: map[string]string{"app": "x"}}
	if least != "" {
		b.Spec.MinAvailable = ptr.To(intstr.Parse(least))
	}
	if most != "" {
		b.Spec.MaxUnavailable = ptr.To(intstr.Parse(most))
	}
	return b
}

// three and seven have as many pods, no is gone, bad cannot be asked.
func scaleOf(_ context.Context, _ string, c metav1.OwnerReference) (*scale, error) {
	switch c.Name {
	case "three":
		return &scale{c.UID, 3}, nil
	case "seven", "seven too":
		return &scale{"seven", 7}, nil
	case "no":
		return nil, nil
	}
	return nil, errors.New("away")
}

func TestCount(t *testing.T) {
	for name, tc := range map[string]struct {
		least, most       string
		pods              []*corev1.Pod
		expected, desired int32
		unmanaged         int
		fails             string
	}{
		"nothing said":                     {pods: pods("three")},
		"a number":                         {least: "2", pods: pods("three", "-", "no"), expected: 3, desired: 2},
		"a share, rounded up":              {least: "50%", pods: pods("three", "three"), expected: 3, desired: 2},
		"of two controllers":               {least: "50%", pods: pods("three", "seven"), expected: 10, desired: 5},
		"one controller by two names":      {least: "100%", pods: pods("seven", "seven too"), expected: 7, desired: 7},
		"at most a number":                 {most: "1", pods: pods("three"), expected: 3, desired: 2},
		"at most a share, rounded up":      {most: "30%", pods: pods("seven"), expected: 7, desired: 4},
		"at most more than all":            {most: "9", pods: pods("three"), expected: 3},
		"pods that nobody manages":         {most: "1", pods: pods("-", "three", "-"), expected: 3, desired: 2, unmanaged: 2},
		"a controller that is gone":        {most: "1", pods: pods("no"), fails: `found no controllers for pod "a"`},
		"a controller that cannot be read": {least: "1%", pods: pods("bad"), fails: "away"},
		"no pods":                          {most: "1"},
	} {
		n, err := counter{scaleOf}.count(t.Context(), budget(tc.least, tc.most), tc.pods)
		if tc.fails != "" {
			if err == nil || err.Error() != tc.fails {
				t.Errorf("%s: %v", name, err)
			}
			continue
		}
		if err != nil || n.expected != tc.expected || n.desired != tc.desired || len(n.unmanaged) != tc.unmanaged {
			t.Errorf("%s: %+v, %v", name, n, err)
		}
	}
}

func TestHealthyPodsAreReadyAndStay(t *testing.T) {
	now := time.Unix(1000, 0)
	all := pods("-", "-", "-", "-", "-")
	all[0].Status.Conditions = nil
	all[1].DeletionTimestamp = &metav1.Time{}
	b := budget("1", "")
	b.Status.DisruptedPods = map[string]metav1.Time{
		"b": metav1.NewTime(now), "c": metav1.NewTime(now.Add(-time.Minute)), "d": metav1.NewTime(now.Add(-3 * time.Minute)), "gone": metav1.NewTime(now),
	}
	ending, until, late := disrupted(b, all, now)
	if len(ending) != 1 || !until.Equal(now.Add(time.Minute)) || len(late) != 1 || late[0].Name != "d" {
		t.Errorf("ending %v until %v, late %v", ending, until, late)
	}
	if n := healthy(all, ending, now); n != 2 { // d and e
		t.Errorf("%d are healthy", n)
	}
}

func TestReport(t *testing.T) {
	b := budget("2", "")
	told := report(b, count{expected: 3, desired: 2}, 3, nil)
	s := told.Status
	if s.DisruptionsAllowed != 1 || s.CurrentHealthy != 3 || s.DesiredHealthy != 2 || s.ExpectedPods != 3 || s.ObservedGeneration != 3 || s.Conditions[0].Reason != "SufficientPods" {
		t.Errorf("%+v", s)
	}
	if again := report(told, count{expected: 3, desired: 2}, 3, nil); again != told {
		t.Error("the same is reported anew")
	}
	if s := report(told, count{expected: 3, desired: 2}, 1, nil).Status; s.DisruptionsAllowed != 0 || s.Conditions[0].Reason != "InsufficientPods" || s.Conditions[0].Message != "" {
		t.Errorf("%+v", s)
	}
	if s := report(told, count{}, 1, nil).Status; s.DisruptionsAllowed != 0 {
		t.Errorf("%+v", s)
	}
	if s := failed(told, errors.New("away")).Status; s.DisruptionsAllowed != 0 || s.Conditions[0].Reason != "SyncFailed" || s.Conditions[0].Message != "away" || s.CurrentHealthy != 3 {
		t.Errorf("%+v", s)
	}
}

func TestDisruptionsThatDoNotComeAreTakenBack(t *testing.T) {
	now := time.Unix(1000, 0)
	told := func(change func(*corev1.Pod, *corev1.PodCondition)) *corev1.Pod {
		p, c := pods("-")[0], corev1.PodCondition{Type: corev1.DisruptionTarget, Status: corev1.ConditionTrue, LastTransitionTime: metav1.NewTime(now.Add(-time.Minute))}
		change(p, &c)
		p.Status.Conditions = append(p.Status.Conditions, c)
		return p
	}
	for name, tc := range map[string]struct {
		pod  *corev1.Pod
		wait time.Duration
		ok   bool
	}{
		"told of nothing": {pod: pods("-")[0]},
		"just now":        {told(func(*corev1.Pod, *corev1.PodCondition) {}), time.Minute, true},
		"long ago": {told(func(_ *corev1.Pod, c *corev1.PodCondition) {
			c.LastTransitionTime = metav1.NewTime(now.Add(-time.Hour))
		}), 0, true},
		"being deleted":  {pod: told(func(p *corev1.Pod, _ *corev1.PodCondition) { p.DeletionTimestamp = &metav1.Time{} })},
		"over":           {pod: told(func(p *corev1.Pod, _ *corev1.PodCondition) { p.Status.Phase = corev1.PodFailed })},
		"told by a node": {pod: told(func(_ *corev1.Pod, c *corev1.PodCondition) { c.Reason = "TerminationByKubelet" })},
		"taken back":     {pod: told(func(_ *corev1.Pod, c *corev1.PodCondition) { c.Status = corev1.ConditionFalse })},
	} {
		if wait, ok := forgotten(tc.pod, now); wait != tc.wait || ok != tc.ok {
			t.Errorf("%s: %s, %v", name, wait, ok)
		}
	}
}

func TestControllerKeepsCount(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		all := pods("-", "-")
		all[1].Status.Conditions = append(all[1].Status.Conditions, corev1.PodCondition{Type: corev1.DisruptionTarget, Status: corev1.ConditionTrue, Reason: "x", LastTransitionTime: metav1.NewTime(time.Now())})
		second := budget("", "1")
		second.Name = "second"
		client := fake.NewClientset(all[0], all[1], budget("1", ""), second)
		factory := informers.NewSharedInformerFactory(client, 0)
		c := New(env.Env{Client: client, Informers: factory, Wall: clock.Real(), Log: slog.New(slog.DiscardHandler)})
		ctx, cancel := context.WithCancel(t.Context())
		factory.Start(ctx.Done())
		done := make(chan error)
		go func() { done <- c.Run(ctx) }()
		status := func(name string) policyv1.PodDisruptionBudgetStatus {
			b, err := client.PolicyV1().PodDisruptionBudgets("ns").Get(ctx, name, metav1.GetOptions{})
			if err != nil {
				t.Fatal(err)
			}
			return b.Status
		}
		time.Sleep(time.Second)
		synctest.Wait()
		if s := status("b"); s.DisruptionsAllowed != 1 || s.CurrentHealthy != 2 {
			t.Errorf("%+v", s)
		}
		if err := client.CoreV1().Pods("ns").Delete(ctx, "a", metav1.DeleteOptions{}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(3 * time.Minute)
		if s := status("b"); s.DisruptionsAllowed != 0 || s.CurrentHealthy != 1 || s.ExpectedPods != 1 {
			t.Errorf("%+v", s)
		}
		p, err := client.CoreV1().Pods("ns").Get(ctx, "b", metav1.GetOptions{})
		if err != nil || !slices.ContainsFunc(p.Status.Conditions, func(c corev1.PodCondition) bool {
			return c.Type == corev1.DisruptionTarget && c.Status == corev1.ConditionFalse
		}) {
			t.Errorf("%+v, %v", p.Status.Conditions, err)
		}
		events, err := client.CoreV1().Events("ns").List(ctx, metav1.ListOptions{})
		if err != nil {
			t.Fatal(err)
		}
		var told []string
		for _, e := range events.Items {
			told = append(told, e.Source.Component+" "+e.Reason+" "+e.InvolvedObject.Name)
		}
		for _, want := range []string{"controllermanager UnmanagedPods second", "controllermanager MultiplePodDisruptionBudgets a"} {
			if !slices.Contains(told, want) {
				t.Errorf("events %s lack %s", strings.Join(told, ", "), want)
			}
		}
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		factory.Shutdown()
	})
}
