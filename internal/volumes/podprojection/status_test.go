package podprojection

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"k8s.io/apimachinery/pkg/api/equality"

	"laterna.dev/laterna/api/projection/v1alpha1"
	"laterna.dev/laterna/internal/redacted"
	"laterna.dev/laterna/internal/volumes/publish"
)

var now = time.Date(2026, 2, 1, 12, 0, 0, 5e8, time.UTC)

func statusOf(all []publish.Status, outcomes []Outcome, old v1alpha1.PodProjectionStatus) v1alpha1.PodProjectionStatus {
	return input{namespace: "ns", key: Key{redacted.New("key")}, volumes: all, outcomes: outcomes, old: old, now: now}.status()
}

func TestInStepCondition(t *testing.T) {
	token := publish.Status{Name: "t", Generation: "..1", Tokens: []publish.TokenStatus{{Path: "token", Expires: now}}}
	missing := publish.Status{Name: "m", Sources: []publish.SourceStatus{{Kind: "Secret", Name: "s"}}, Problem: `secret "s" not found`}
	optional := publish.Status{Name: "o", Generation: "..1", Sources: []publish.SourceStatus{{Kind: "Secret", Name: "s"}}}
	rejected := at("1", "2")
	rejected.Problem, rejected.Rejected = "refused by its check", true
	gone := at("1", "")
	gone.Problem = `configmap "c" not found`
	no := []Outcome{{Volume: "v", Check: true, Container: "c", Action: "check nginx", Result: v1alpha1.Rejected, Time: now}}
	for name, tc := range map[string]struct {
		volumes         []publish.Status
		outcomes        []Outcome
		reason, message string
	}{
		"all":                  {[]publish.Status{at("1", "1"), token}, nil, v1alpha1.ReasonPublished, "2 of 2 sources in step"},
		"none":                 {nil, nil, v1alpha1.ReasonPublished, "0 of 0 sources in step"},
		"behind":               {[]publish.Status{at("1", "2"), token}, nil, v1alpha1.ReasonBehind, "1 of 2 sources in step"},
		"source gone":          {[]publish.Status{at("1", "")}, nil, v1alpha1.ReasonBehind, "0 of 1 sources in step"},
		"not published":        {[]publish.Status{{Name: "v"}}, nil, v1alpha1.ReasonBehind, "0 of 0 sources in step"},
		"missing":              {[]publish.Status{missing}, nil, v1alpha1.ReasonProblem, `0 of 1 sources in step; volume "m": secret "s" not found`},
		"optional and missing": {[]publish.Status{optional}, nil, v1alpha1.ReasonPublished, "1 of 1 sources in step"},
		"rejected":             {[]publish.Status{rejected}, no, v1alpha1.ReasonUpdateRejected, `0 of 1 sources in step; volume "v": refused by its check`},
		"rejected, then gone":  {[]publish.Status{gone}, no, v1alpha1.ReasonProblem, `0 of 1 sources in step; volume "v": configmap "c" not found`},
		"rejected before":      {[]publish.Status{at("2", "2")}, no, v1alpha1.ReasonPublished, "1 of 1 sources in step"},
	} {
		s := statusOf(tc.volumes, tc.outcomes, v1alpha1.PodProjectionStatus{})
		c := s.Conditions[0]
		if c.Type != v1alpha1.ConditionInStep || c.Reason != tc.reason || c.Message != tc.message || (c.Status == "True") != (c.Reason == v1alpha1.ReasonPublished) {
			t.Errorf("%s: %+v", name, c)
		}
		if !c.LastTransitionTime.Time.Equal(now.Truncate(time.Second)) {
			t.Errorf("%s: since %s", name, c.LastTransitionTime)
		}
	}
}

func TestStatusKeepsWhatAnEarlierProcessKnew(t *testing.T) {
	old := statusOf([]publish.Status{at("1", "1")}, nil, v1alpha1.PodProjectionStatus{})
	v := at("1", "1")
	v.Published = time.Time{}
	if s := statusOf([]publish.Status{v}, nil, old); !equality.Semantic.DeepEqual(s, old) {
		t.Errorf("%+v became %+v", old, s)
	}
	v.Generation = "..2"
	if s := statusOf([]publish.Status{v}, nil, old); s.Volumes[0].PublishedTime != nil {
		t.Errorf("the time of another generation was kept: %+v", s)
	}
	later := input{volumes: []publish.Status{at("1", "1")}, old: old, now: now.Add(time.Hour)}.status()
	if !later.Conditions[0].LastTransitionTime.Equal(&old.Conditions[0].LastTransitionTime) {
		t.Error("a condition that stays has another time")
	}
}

// TestNothingOfTheTreeLeaves looks for the digest that volumes give in what the API is
// told.
func TestNothingOfTheTreeLeaves(t *testing.T) {
	v := at("1", "1")
	v.Digest = []byte("0123456789abcdef0123456789abcdef")
	s := statusOf([]publish.Status{v}, nil, v1alpha1.PodProjectionStatus{})
	text := fmt.Sprintf("%+v", s)
	if strings.Contains(text, string(v.Digest)) || strings.Contains(text, fmt.Sprintf("%x", v.Digest)) {
		t.Errorf("the bare digest is in %s", text)
	}
	if d := s.Volumes[0].Digest; len(d) != len(v1alpha1.DigestPrefix)+64 || !strings.HasPrefix(d, v1alpha1.DigestPrefix) {
		t.Errorf("digest %q", d)
	}
}

func TestOutcomesAreTheNewestOfEach(t *testing.T) {
	o := func(container, action string, check bool, ago time.Duration, r v1alpha1.Result) Outcome {
		return Outcome{Volume: "v", Check: check, Container: container, Action: action, Time: now.Add(-ago), Result: r}
	}
	elsewhere := o("a", "restart", false, 0, v1alpha1.Failed)
	elsewhere.Volume = "other"
	timeless := o("z", "restart", false, 0, v1alpha1.Skipped)
	timeless.Time = time.Time{}
	s := statusOf([]publish.Status{at("1", "1")}, []Outcome{
		o("a", "signal SIGHUP", false, 2*time.Minute, v1alpha1.Failed),
		o("a", "signal SIGHUP", false, time.Minute, v1alpha1.Succeeded),
		o("a", "exec x", false, time.Hour, v1alpha1.Failed),
		o("a", "check x", true, time.Hour, v1alpha1.Rejected),
		elsewhere, timeless,
	}, v1alpha1.PodProjectionStatus{})
	got := ""
	for _, a := range s.Volumes[0].Actions {
		got += fmt.Sprintf("%s %s %s; ", a.Container, a.Action, a.Result)
	}
	if got != "a exec x Failed; a signal SIGHUP Succeeded; z restart Skipped; " || len(s.Volumes[0].Checks) != 1 {
		t.Errorf("actions %s, checks %+v", got, s.Volumes[0].Checks)
	}
	if s.Volumes[0].Actions[2].Time.IsZero() {
		t.Error("an outcome without a time would be refused by the server")
	}
}

func TestStatusFitsWhateverAPodHolds(t *testing.T) {
	var all []publish.Status
	var outcomes []Outcome
	for i := range 300 {
		v := publish.Status{Name: fmt.Sprint("v", i), Generation: "..1", Problem: strings.Repeat("é", 3000)}
		for j := range 10 {
			v.Sources = append(v.Sources, publish.SourceStatus{Kind: "Secret", Name: fmt.Sprint(j, strings.Repeat("s", 300))})
			v.Tokens = append(v.Tokens, publish.TokenStatus{Path: fmt.Sprint(j, strings.Repeat("p", 5000)), Audience: strings.Repeat("a", 5000)})
		}
		all = append(all, v)
		outcomes = append(outcomes, Outcome{Volume: v.Name, Container: "c", Action: strings.Repeat("x", 999), Message: "\xff" + strings.Repeat("m", 5000)})
	}
	s := statusOf(all, outcomes, v1alpha1.PodProjectionStatus{})
	sources, tokens, actions := 0, 0, 0
	for _, v := range s.Volumes {
		sources, tokens, actions = sources+len(v.Sources), tokens+len(v.Tokens), actions+len(v.Actions)
		if len(v.Problem) > v1alpha1.MaxMessage || !utf8.ValidString(v.Problem) {
			t.Fatalf("problem of %d bytes", len(v.Problem))
		}
	}
	if len(s.Volumes) != v1alpha1.MaxVolumes || sources != v1alpha1.MaxSources || tokens != v1alpha1.MaxTokens || actions != v1alpha1.MaxOutcomes {
		t.Errorf("%d volumes, %d sources, %d tokens, %d actions", len(s.Volumes), sources, tokens, actions)
	}
	// The store takes 1.5 MiB, with the names of all fields once more.
	if raw, err := json.Marshal(s); err != nil || len(raw) > 900<<10 {
		t.Errorf("%d bytes, %v", len(raw), err)
	}
	c := s.Conditions[0]
	if len(c.Message) > v1alpha1.MaxMessage || !strings.Contains(c.Message, "entries more than fit are not listed") {
		t.Errorf("message of %d bytes: %s", len(c.Message), c.Message)
	}
}

func TestTheSameSourceTwiceIsListedOnce(t *testing.T) {
	v := at("1", "1")
	v.Sources = append(v.Sources, v.Sources[0], publish.SourceStatus{Kind: "Secret", Name: "c"})
	v.Tokens = []publish.TokenStatus{{Path: "token"}, {Path: "token"}}
	if s := statusOf([]publish.Status{v}, nil, v1alpha1.PodProjectionStatus{}); len(s.Volumes[0].Sources) != 2 || len(s.Volumes[0].Tokens) != 1 {
		t.Errorf("%+v", s.Volumes[0])
	}
}

func TestBrokenVolumeThatIsNotListedIsJudged(t *testing.T) {
	var all []publish.Status
	for i := range v1alpha1.MaxVolumes {
		v := at("1", "1")
		v.Name = fmt.Sprint("v", i)
		all = append(all, v)
	}
	broken := at("1", "")
	broken.Name, broken.Problem = "broken", `configmap "c" not found`
	s := statusOf(append(all, broken), nil, v1alpha1.PodProjectionStatus{})
	if c := s.Conditions[0]; c.Status != "False" || c.Reason != v1alpha1.ReasonProblem || !strings.Contains(c.Message, broken.Problem) {
		t.Errorf("condition %+v", c)
	}
	if len(s.Volumes) != v1alpha1.MaxVolumes {
		t.Errorf("%d volumes", len(s.Volumes))
	}
}
