package picture

import (
	"cmp"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"laterna.dev/laterna/api/projection/v1alpha1"
	"laterna.dev/laterna/internal/plain"
)

// Snapshot is what the API has told.
type Snapshot struct {
	Pods        []*corev1.Pod
	Projections []*v1alpha1.PodProjection
	// Versions are those of ConfigMaps; nil where they are not known.
	Versions map[types.NamespacedName]string
}

// State is how a pod is, or a source. Those that want attention come first.
type State int

// The states.
const (
	Problem State = iota
	Rejected
	Behind
	Unreported
	InStep
	NoVolumes
	Ended
)

var states = [...]string{"problem", "rejected", "behind", "unreported", "in step", "no volumes", "ended"}

// String implements fmt.Stringer.
func (s State) String() string { return states[s] }

// Pod is what is shown of one pod.
type Pod struct {
	Namespace, Name, Node, Phase string
	State                        State
	Volumes                      []Volume
	// InStep are the sources and tokens that are shown in their newest version, of All.
	InStep, All int
	// Published is when files last changed, Rotates when the first token is replaced;
	// zero for never.
	Published, Rotates time.Time
}

// Volume is what is shown of one volume.
type Volume struct {
	Name      string
	Published time.Time
	Problem   string
	Sources   []Source
	Tokens    []Token
	Outcomes  []Outcome
}

// Source is an object that a volume shows: in the version Loaded, while the node knows of
// Seen and the API has Has; empty where there is none, or it is not known.
type Source struct {
	Kind, Name        string
	Loaded, Seen, Has string
	Missing           bool
	Behind            bool
}

// Token is a service account token.
type Token struct {
	Path, Audience           string
	Issued, Rotates, Expires time.Time
}

// Outcome is how a check or an action ended.
type Outcome struct {
	Container, Action, Result, Message string
	Wrong                              bool
	Time                               time.Time
}

// Of works out all pods; where they are not known those that are reported of.
func Of(s Snapshot) []Pod {
	reports := map[types.NamespacedName]*v1alpha1.PodProjection{}
	for _, p := range s.Projections {
		reports[types.NamespacedName{Namespace: p.Namespace, Name: p.Name}] = p
	}
	var all []Pod
	for _, p := range s.Pods {
		all = append(all, s.pod(p, reports[types.NamespacedName{Namespace: p.Namespace, Name: p.Name}]))
	}
	if s.Pods == nil {
		for _, r := range s.Projections {
			all = append(all, s.pod(&corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: r.Namespace, Name: r.Name}, Spec: corev1.PodSpec{NodeName: r.Spec.NodeName}}, r))
		}
	}
	return all
}

func (s Snapshot) pod(p *corev1.Pod, report *v1alpha1.PodProjection) Pod {
	out := Pod{Namespace: plain.Text(p.Namespace), Name: plain.Text(p.Name), Node: shown(p.Spec.NodeName), Phase: shown(string(p.Status.Phase))}
	if report != nil {
		for i := range report.Status.Volumes {
			v := s.volume(p.Namespace, &report.Status.Volumes[i])
			if v.Published.After(out.Published) {
				out.Published = v.Published
			}
			for _, t := range v.Tokens {
				if !t.Rotates.IsZero() && (out.Rotates.IsZero() || t.Rotates.Before(out.Rotates)) {
					out.Rotates = t.Rotates
				}
			}
			out.Volumes = append(out.Volumes, v)
		}
		out.InStep, out.All = report.Status.InStep()
	}
	out.State = judge(p, report, out.Volumes)
	return out
}

func judge(p *corev1.Pod, report *v1alpha1.PodProjection, volumes []Volume) State {
	if p.Status.Phase == corev1.PodSucceeded || p.Status.Phase == corev1.PodFailed {
		return Ended
	}
	if report == nil {
		if !slices.ContainsFunc(p.Spec.Volumes, showsAPI) {
			return NoVolumes
		}
		return Unreported
	}
	if c := meta.FindStatusCondition(report.Status.Conditions, v1alpha1.ConditionInStep); c != nil && c.Status != metav1.ConditionTrue {
		switch c.Reason {
		case v1alpha1.ReasonProblem:
			return Problem
		case v1alpha1.ReasonUpdateRejected:
			return Rejected
		}
		return Behind
	}
	for _, v := range volumes {
		if slices.ContainsFunc(v.Sources, func(s Source) bool { return s.Behind }) {
			return Behind
		}
	}
	return InStep
}

func showsAPI(v corev1.Volume) bool {
	return v.Projected != nil || v.Secret != nil || v.ConfigMap != nil || v.DownwardAPI != nil
}

func (s Snapshot) volume(namespace string, v *v1alpha1.VolumeStatus) Volume {
	out := Volume{Name: plain.Text(v.Name), Published: timeOf(v.PublishedTime)}
	if v.Problem != "" {
		out.Problem = plain.Text(v.Problem)
	}
	for _, src := range v.Sources {
		out.Sources = append(out.Sources, s.source(namespace, src, v.Generation != ""))
	}
	for _, t := range v.Tokens {
		one := Token{Path: plain.Text(t.Path), Audience: "the API", Issued: timeOf(t.IssuedTime), Rotates: timeOf(t.RotationTime), Expires: timeOf(t.ExpirationTime)}
		if t.Audience != "" {
			one.Audience = plain.Text(t.Audience)
		}
		out.Tokens = append(out.Tokens, one)
	}
	for _, o := range slices.Concat(v.Checks, v.Actions) {
		out.Outcomes = append(out.Outcomes, outcome(o))
	}
	slices.SortStableFunc(out.Outcomes, func(a, b Outcome) int { return b.Time.Compare(a.Time) })
	return out
}

func (s Snapshot) source(namespace string, src v1alpha1.SourceStatus, published bool) Source {
	out := Source{Kind: string(src.Kind), Name: plain.Text(src.Name), Loaded: shown(src.PublishedVersion), Seen: shown(src.ObservedVersion)}
	if src.Kind == v1alpha1.SourceConfigMap {
		out.Has = s.Versions[types.NamespacedName{Namespace: namespace, Name: src.Name}]
	}
	out.Missing = out.Loaded == "" && out.Seen == ""
	out.Behind = src.PublishedVersion != src.ObservedVersion || !published || newer(out.Has, src.ObservedVersion)
	return out
}

// shown is text that may be missing, as it may stand on a terminal.
func shown(text string) string {
	if text == "" {
		return ""
	}
	return plain.Text(text)
}

// newer compares versions, which are numbers that grow: what a watch has not told yet is
// older than what another one has.
func newer(a, b string) bool {
	return cmp.Or(cmp.Compare(len(a), len(b)), strings.Compare(a, b)) > 0
}

func outcome(o v1alpha1.OutcomeStatus) Outcome {
	out := Outcome{Container: plain.Text(o.Container), Action: plain.Text(o.Action), Result: strings.ToLower(plain.Text(string(o.Result))), Time: o.Time.Time}
	out.Wrong = o.Result == v1alpha1.Failed || o.Result == v1alpha1.Rejected
	if o.Message != "" {
		out.Message = plain.Text(o.Message)
	}
	return out
}

func timeOf(t *metav1.Time) time.Time {
	if t == nil {
		return time.Time{}
	}
	return t.Time
}
