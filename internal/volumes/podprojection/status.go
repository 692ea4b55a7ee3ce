package podprojection

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"laterna.dev/laterna/api/projection/v1alpha1"
	"laterna.dev/laterna/internal/volumes/publish"
)

// Outcome is how a check or an action ended.
type Outcome struct {
	Volume    string
	Check     bool // of a check before publishing, else of an action after it
	Container string
	Action    string
	Result    v1alpha1.Result
	Time      time.Time
	// Generation is the directory that was looked at or acted upon.
	Generation string
	// Message holds nothing that is not meant for whoever may read the object.
	Message string
}

// input is what a status is made from.
type input struct {
	namespace string
	key       Key
	volumes   []publish.Status
	outcomes  []Outcome
	// old is the status that the API has, empty for a new object.
	old v1alpha1.PodProjectionStatus
	now time.Time
}

// status tells what the volumes show.
func (in input) status() v1alpha1.PodProjectionStatus {
	s := v1alpha1.PodProjectionStatus{Conditions: slices.Clone(in.old.Conditions)}
	for i := range in.volumes {
		s.Volumes = append(s.Volumes, in.volume(&in.volumes[i]))
	}
	c := inStep(&s) // before the cut: what is left out may be what is broken
	left := limit(&s)
	if c.Status == metav1.ConditionFalse && slices.ContainsFunc(in.volumes, func(v publish.Status) bool { return v.Rejected }) {
		c.Reason = v1alpha1.ReasonUpdateRejected
	}
	if left > 0 {
		c.Message = cut(c.Message, v1alpha1.MaxMessage-64) + fmt.Sprintf(" (%d entries more than fit are not listed)", left)
	}
	c.LastTransitionTime = metav1.NewTime(in.now.Truncate(time.Second))
	meta.SetStatusCondition(&s.Conditions, c)
	return s
}

func (in input) volume(v *publish.Status) v1alpha1.VolumeStatus {
	out := v1alpha1.VolumeStatus{
		Name: v.Name, Generation: v.Generation, Digest: in.key.digest(in.namespace, v.Digest),
		PublishedTime: stamp(v.Published), Problem: cut(v.Problem, v1alpha1.MaxMessage),
	}
	old := in.before(v.Name)
	if out.PublishedTime == nil && out.Generation == old.Generation {
		out.PublishedTime = old.PublishedTime
	}
	for _, s := range v.Sources {
		out.Sources = append(out.Sources, v1alpha1.SourceStatus{
			Kind: v1alpha1.SourceKind(s.Kind), Name: cut(s.Name, v1alpha1.MaxName), ObservedVersion: s.Observed, PublishedVersion: s.Published,
		})
	}
	out.Sources = unique(out.Sources, func(s v1alpha1.SourceStatus) string { return string(s.Kind) + "/" + s.Name })
	for _, t := range v.Tokens {
		out.Tokens = append(out.Tokens, v1alpha1.TokenStatus{
			Path: cut(t.Path, v1alpha1.MaxPath), Audience: cut(t.Audience, v1alpha1.MaxPath),
			IssuedTime: stamp(t.Issued), ExpirationTime: stamp(t.Expires), RotationTime: stamp(t.Rotates),
		})
	}
	out.Tokens = unique(out.Tokens, func(t v1alpha1.TokenStatus) string { return t.Path })
	out.Checks, out.Actions = in.outcome(v.Name, true), in.outcome(v.Name, false)
	return out
}

// before is what the API says of a volume.
func (in input) before(name string) v1alpha1.VolumeStatus {
	i := slices.IndexFunc(in.old.Volumes, func(v v1alpha1.VolumeStatus) bool { return v.Name == name })
	if i < 0 {
		return v1alpha1.VolumeStatus{}
	}
	return in.old.Volumes[i]
}

// outcome returns the newest outcomes of a volume's checks or actions.
func (in input) outcome(volume string, checks bool) []v1alpha1.OutcomeStatus {
	var all []v1alpha1.OutcomeStatus
	for _, o := range in.outcomes {
		if o.Volume != volume || o.Check != checks {
			continue
		}
		if o.Time.IsZero() {
			o.Time = in.now
		}
		all = append(all, v1alpha1.OutcomeStatus{
			Container: o.Container, Action: cut(o.Action, v1alpha1.MaxName), Result: o.Result, Time: metav1.NewTime(o.Time.Truncate(time.Second)),
			Generation: o.Generation, Message: cut(o.Message, v1alpha1.MaxMessage),
		})
	}
	key := func(o v1alpha1.OutcomeStatus) string { return o.Container + "\x00" + o.Action }
	slices.SortStableFunc(all, func(a, b v1alpha1.OutcomeStatus) int {
		return cmp.Or(strings.Compare(key(a), key(b)), b.Time.Compare(a.Time.Time))
	})
	return unique(all, key)
}

// inStep judges a status.
func inStep(s *v1alpha1.PodProjectionStatus) metav1.Condition {
	n, all := s.InStep()
	c := metav1.Condition{
		Type: v1alpha1.ConditionInStep, Status: metav1.ConditionTrue, Reason: v1alpha1.ReasonPublished,
		Message: fmt.Sprintf("%d of %d sources in step", n, all),
	}
	behind := n < all
	var problems []string
	for i := range s.Volumes {
		v := &s.Volumes[i]
		behind = behind || v.Generation == ""
		if v.Problem != "" {
			problems = append(problems, fmt.Sprintf("volume %q: %s", v.Name, v.Problem))
		}
	}
	switch {
	case len(problems) > 0:
		c.Reason = v1alpha1.ReasonProblem
	case behind:
		c.Reason = v1alpha1.ReasonBehind
	default:
		return c
	}
	c.Status = metav1.ConditionFalse
	c.Message = cut(strings.Join(append([]string{c.Message}, problems...), "; "), v1alpha1.MaxMessage)
	return c
}

// upToDate tells whether there is nothing that the volumes wait for. One without a
// digest was published by an earlier process and not looked at since.
func upToDate(shown []publish.Status) bool {
	if slices.ContainsFunc(shown, func(v publish.Status) bool { return len(v.Digest) == 0 }) {
		return false
	}
	var s v1alpha1.PodProjectionStatus
	for i := range shown {
		s.Volumes = append(s.Volumes, input{}.volume(&shown[i]))
	}
	return inStep(&s).Status == metav1.ConditionTrue
}

// limit leaves out what is more than an object may hold, and counts it.
func limit(s *v1alpha1.PodProjectionStatus) (left int) {
	sources, tokens, outcomes := v1alpha1.MaxSources, v1alpha1.MaxTokens, v1alpha1.MaxOutcomes
	for i := range s.Volumes {
		v := &s.Volumes[i]
		left += trim(&v.Sources, &sources) + trim(&v.Tokens, &tokens) + trim(&v.Checks, &outcomes) + trim(&v.Actions, &outcomes)
	}
	most := v1alpha1.MaxVolumes
	return left + trim(&s.Volumes, &most)
}

// trim cuts a list down to what is left of room, and takes that off.
func trim[T any](list *[]T, room *int) (left int) {
	left = max(0, len(*list)-*room)
	*list = (*list)[:len(*list)-left]
	*room -= len(*list)
	return left
}

// unique keeps the first of those with the same key, which the API wants once.
func unique[T any](list []T, key func(T) string) []T {
	seen := map[string]bool{}
	return slices.DeleteFunc(list, func(item T) bool {
		k := key(item)
		was := seen[k]
		seen[k] = true
		return was
	})
}

// stamp is a time as the API keeps it, to the second; nil for none.
func stamp(t time.Time) *metav1.Time {
	if t.IsZero() {
		return nil
	}
	s := metav1.NewTime(t.Truncate(time.Second))
	return &s
}

// cut shortens a text to at most so many bytes.
func cut(text string, most int) string {
	const dots = "..."
	if len(text) <= most {
		return strings.ToValidUTF8(text, "?")
	}
	return strings.ToValidUTF8(text[:most-len(dots)], "") + dots
}
