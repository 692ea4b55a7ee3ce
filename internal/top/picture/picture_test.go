package picture_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"laterna.dev/laterna/api/projection/v1alpha1"
	"laterna.dev/laterna/internal/top/picture"
)

var now = time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)

func at(d time.Duration) *metav1.Time { return &metav1.Time{Time: now.Add(d)} }

func pod(name string, volumes ...corev1.Volume) *corev1.Pod {
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: name},
		Spec:       corev1.PodSpec{NodeName: "n1", Volumes: volumes},
		Status:     corev1.PodStatus{Phase: corev1.PodRunning},
	}
}

func report(name, reason string, volumes ...v1alpha1.VolumeStatus) *v1alpha1.PodProjection {
	status := metav1.ConditionFalse
	if reason == v1alpha1.ReasonPublished {
		status = metav1.ConditionTrue
	}
	return &v1alpha1.PodProjection{
		ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: name},
		Spec:       v1alpha1.PodProjectionSpec{NodeName: "n1"},
		Status: v1alpha1.PodProjectionStatus{
			Conditions: []metav1.Condition{{Type: v1alpha1.ConditionInStep, Status: status, Reason: reason}},
			Volumes:    volumes,
		},
	}
}

func shows(configMap, loaded, seen string) v1alpha1.VolumeStatus {
	return v1alpha1.VolumeStatus{
		Name: "config", Generation: "..1", PublishedTime: at(-time.Minute),
		Sources: []v1alpha1.SourceStatus{{Kind: v1alpha1.SourceConfigMap, Name: configMap, PublishedVersion: loaded, ObservedVersion: seen}},
	}
}

var config = corev1.Volume{Name: "config", VolumeSource: corev1.VolumeSource{ConfigMap: &corev1.ConfigMapVolumeSource{}}}

func TestStateOfAPod(t *testing.T) {
	ended := pod("p", config)
	ended.Status.Phase = corev1.PodSucceeded
	for name, c := range map[string]struct {
		pod     *corev1.Pod
		report  *v1alpha1.PodProjection
		version string
		want    picture.State
	}{
		"in step":                        {pod("p", config), report("p", v1alpha1.ReasonPublished, shows("app", "99", "99")), "99", picture.InStep},
		"the API has more digits":        {pod("p", config), report("p", v1alpha1.ReasonPublished, shows("app", "99", "99")), "100", picture.Behind},
		"the watch of versions is late":  {pod("p", config), report("p", v1alpha1.ReasonPublished, shows("app", "100", "100")), "99", picture.InStep},
		"versions are not known":         {pod("p", config), report("p", v1alpha1.ReasonPublished, shows("app", "99", "99")), "", picture.InStep},
		"the node knows of a newer one":  {pod("p", config), report("p", v1alpha1.ReasonBehind, shows("app", "99", "100")), "100", picture.Behind},
		"a check refused":                {pod("p", config), report("p", v1alpha1.ReasonUpdateRejected, shows("app", "99", "100")), "100", picture.Rejected},
		"a source is missing":            {pod("p", config), report("p", v1alpha1.ReasonProblem), "", picture.Problem},
		"nothing is reported":            {pod("p", config), nil, "", picture.Unreported},
		"no volume shows the API":        {pod("p", corev1.Volume{Name: "room"}), nil, "", picture.NoVolumes},
		"it has ended, whatever it says": {ended, report("p", v1alpha1.ReasonProblem), "", picture.Ended},
	} {
		s := picture.Snapshot{Pods: []*corev1.Pod{c.pod}, Versions: map[types.NamespacedName]string{}}
		if c.report != nil {
			s.Projections = append(s.Projections, c.report)
		}
		if c.version != "" {
			s.Versions[types.NamespacedName{Namespace: "ns", Name: "app"}] = c.version
		}
		if all := picture.Of(s); len(all) != 1 || all[0].State != c.want {
			t.Errorf("%s: %+v, want %s", name, all, c.want)
		}
	}
}

func TestReportsStandForPodsThatMayNotBeListed(t *testing.T) {
	s := picture.Snapshot{Projections: []*v1alpha1.PodProjection{report("p", v1alpha1.ReasonPublished, shows("app", "1", "1"))}}
	if all := picture.Of(s); len(all) != 1 || all[0].Name != "p" || all[0].Node != "n1" || all[0].State != picture.InStep {
		t.Errorf("%+v", all)
	}
	s.Pods = []*corev1.Pod{}
	if all := picture.Of(s); len(all) != 0 {
		t.Errorf("a pod that is gone is shown: %+v", all)
	}
}

func TestTextsDriveNoTerminal(t *testing.T) {
	v := shows("app", "\x1bP1", "\x1b_2")
	v.Problem = "\x1b[2Jgone"
	v.Tokens = []v1alpha1.TokenStatus{{Path: "a\x1bb", Audience: "a\u202eb"}}
	v.Checks = []v1alpha1.OutcomeStatus{{Container: "c", Action: "exec \x07", Result: v1alpha1.Failed, Message: "\r\n"}}
	got := picture.Of(picture.Snapshot{Projections: []*v1alpha1.PodProjection{report("p", v1alpha1.ReasonProblem, v)}})[0].Volumes[0]
	for _, text := range []string{got.Problem, got.Sources[0].Loaded, got.Sources[0].Seen, got.Tokens[0].Path, got.Tokens[0].Audience, got.Outcomes[0].Action, got.Outcomes[0].Message} {
		if strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r > '~' }) {
			t.Errorf("%q reaches the terminal", text)
		}
	}
	if !got.Outcomes[0].Wrong || got.Outcomes[0].Result != "failed" {
		t.Errorf("%+v", got.Outcomes[0])
	}
}

func TestOrders(t *testing.T) {
	pods := []picture.Pod{
		{Namespace: "b", Name: "x", State: picture.InStep, Published: now.Add(-time.Hour), Rotates: now.Add(time.Minute)},
		{Namespace: "a", Name: "z", State: picture.Problem, Published: now},
		{Namespace: "a", Name: "y", State: picture.InStep, Published: now.Add(-time.Minute), Rotates: now.Add(time.Second)},
	}
	for o, want := range map[picture.Order]string{
		picture.ByAttention: "zyx", picture.ByName: "yzx", picture.ByPublished: "zyx", picture.ByRotation: "yxz",
	} {
		sorted := slices.Clone(pods)
		picture.Sort(sorted, o)
		if got := sorted[0].Name + sorted[1].Name + sorted[2].Name; got != want {
			t.Errorf("%s: %s, want %s", o, got, want)
		}
	}
	o := picture.ByAttention
	for range 4 {
		o = o.Next()
	}
	if o != picture.ByAttention {
		t.Error("orders do not go round")
	}
}

func TestFilterFindsWordsAnywhere(t *testing.T) {
	p := picture.Of(picture.Snapshot{Projections: []*v1alpha1.PodProjection{report("web", v1alpha1.ReasonPublished, shows("App", "1", "1"))}})[0]
	for text, want := range map[string]bool{"": true, "web": true, "WEB app": true, "config": true, "in step": true, "web nothing": false} {
		if p.Matches(text) != want {
			t.Errorf("%q: %v", text, !want)
		}
	}
}

func TestTimesAreTheServers(t *testing.T) {
	c := picture.Clock{System: 25 * time.Hour, Wall: time.Minute}
	if got := c.Ago(now, now); got != "60s ago" {
		t.Errorf("published %s", got)
	}
	if got := c.Until(now.Add(26*time.Hour), now); got != "in 60m" {
		t.Errorf("rotates %s", got)
	}
	if got := c.Until(now.Add(24*time.Hour), now); got != "60m ago" {
		t.Errorf("ended %s", got)
	}
	if c.Ago(time.Time{}, now) != "-" || c.Until(time.Time{}, now) != "-" {
		t.Error("never is a time")
	}
}

func TestLifeIsDrawn(t *testing.T) {
	token := picture.Token{Issued: now.Add(-5 * time.Minute), Rotates: now.Add(3 * time.Minute), Expires: now.Add(5 * time.Minute)}
	for moved, want := range map[time.Duration]string{
		0: "━━━━━●──┃──", -time.Hour: "●───────┃──", 3 * time.Minute: "━━━━━━━━●──", time.Hour: "━━━━━━━━━━●",
	} {
		if got := (picture.Clock{System: moved}).Life(token, now, 11); got != want {
			t.Errorf("moved by %s: %s, want %s", moved, got, want)
		}
	}
	if got := (picture.Clock{}).Life(picture.Token{Expires: now}, now, 11); got != "" {
		t.Errorf("a life without a beginning: %s", got)
	}
}
