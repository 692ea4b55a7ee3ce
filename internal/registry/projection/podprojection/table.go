package podprojection

import (
	"fmt"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/util/duration"

	"laterna.dev/laterna/api/projection/v1alpha1"
	"laterna.dev/laterna/internal/clock"
	"laterna.dev/laterna/internal/registry/resource"
)

// none is the cell of what there is none of, as in kubectl's own tables.
const none = "<none>"

func columns(system clock.API) resource.Columns[*object] {
	return resource.Columns[*object]{
		Columns: []resource.Column{
			resource.Name(),
			{Name: "Volumes", Type: "string", Description: "The volumes that show API content."},
			{Name: "In Step", Type: "string", Description: "How many sources (objects and tokens) the files show in their newest version, of how many."},
			{Name: "Published", Type: "string", Description: "How long ago files of the pod last changed."},
			{Name: "Next Rotation", Type: "string", Description: "How long until the first of the pod's tokens is replaced."},
			resource.AgeColumn(),
			{Name: "Node", Type: "string", Priority: 1, Description: "The node that the pod is bound to."},
			{Name: "Last Action", Type: "string", Priority: 1, Description: "The last outcome of a check or of an on-update action."},
			{Name: "Problem", Type: "string", Priority: 1, Description: "Why the files do not follow their sources."},
		},
		Row: func(p *object) []any { return row(p, time.Now(), system.Now()) },
	}
}

// row takes the time of files from the machine and that of tokens from the system,
// whose clock tests advance.
func row(p *object, now, system time.Time) []any {
	s := &p.Status
	inStep, all := s.InStep()
	return []any{
		p.Name, volumeNames(s), fmt.Sprintf("%d/%d", inStep, all), ago(published(s), now), until(rotation(s), system),
		resource.Age(p), p.Spec.NodeName, lastOutcome(s), problem(s),
	}
}

// shownVolumes is how many names of volumes fit into a cell.
const shownVolumes = 3

func volumeNames(s *v1alpha1.PodProjectionStatus) string {
	var names []string
	for i := range s.Volumes {
		names = append(names, s.Volumes[i].Name)
	}
	if more := len(names) - shownVolumes; more > 0 {
		return fmt.Sprintf("%s + %d more...", strings.Join(names[:shownVolumes], ","), more)
	}
	if len(names) == 0 {
		return none
	}
	return strings.Join(names, ",")
}

// published is when files last changed; zero when never.
func published(s *v1alpha1.PodProjectionStatus) (last time.Time) {
	for i := range s.Volumes {
		if t := s.Volumes[i].PublishedTime; t != nil && t.After(last) {
			last = t.Time
		}
	}
	return last
}

// rotation is when the first token is replaced; zero when there is none.
func rotation(s *v1alpha1.PodProjectionStatus) (first time.Time) {
	for i := range s.Volumes {
		for _, t := range s.Volumes[i].Tokens {
			if t.RotationTime != nil && (first.IsZero() || t.RotationTime.Time.Before(first)) {
				first = t.RotationTime.Time
			}
		}
	}
	return first
}

func ago(t, now time.Time) string {
	if t.IsZero() {
		return none
	}
	return duration.HumanDuration(max(now.Sub(t), 0))
}

func until(t, now time.Time) string {
	switch {
	case t.IsZero():
		return none
	case !t.After(now):
		return "now"
	}
	return duration.HumanDuration(t.Sub(now))
}

// lastOutcome says how the newest check or action ended; of those that ended in the
// same second, times have no parts of one, it is what went wrong.
func lastOutcome(s *v1alpha1.PodProjectionStatus) string {
	var last *v1alpha1.OutcomeStatus
	for i := range s.Volumes {
		for _, all := range [][]v1alpha1.OutcomeStatus{s.Volumes[i].Checks, s.Volumes[i].Actions} {
			for j := range all {
				if last == nil || last.Time.Before(&all[j].Time) || last.Time.Equal(&all[j].Time) && !wentWrong(last) {
					last = &all[j]
				}
			}
		}
	}
	if last == nil {
		return none
	}
	return fmt.Sprintf("%s in %s: %s", last.Action, last.Container, last.Result)
}

func wentWrong(o *v1alpha1.OutcomeStatus) bool {
	return o.Result == v1alpha1.Failed || o.Result == v1alpha1.Rejected
}

// shownProblem is how many bytes of a problem fit into a cell.
const shownProblem = 120

func problem(s *v1alpha1.PodProjectionStatus) string {
	for i := range s.Volumes {
		v := &s.Volumes[i]
		if v.Problem == "" {
			continue
		}
		text := strings.Join(strings.Fields(v.Name+": "+v.Problem), " ")
		if len(text) > shownProblem {
			text = strings.ToValidUTF8(text[:shownProblem-3], "") + "..."
		}
		return text
	}
	return none
}
