package onupdate

import (
	"cmp"
	"slices"
	"time"
)

// Result is how a check or an action ended.
type Result string

// The results.
const (
	Succeeded Result = "Succeeded"
	// Failed is an action that did not do what it should.
	Failed Result = "Failed"
	// Rejected is a check that held back new files.
	Rejected Result = "Rejected"
	// Skipped is what could not run, or did not need to; Message says why.
	Skipped Result = "Skipped"
)

// Outcome is how a rule ended the last time, for one of its volumes.
type Outcome struct {
	Volume string `json:"volume"`
	// Check says that it was before the update, else after it.
	Check bool `json:"check,omitempty"`
	// Action is what ran, such as "signal SIGHUP" or "check nginx".
	Action    string    `json:"action"`
	Container string    `json:"container"`
	Time      time.Time `json:"time"`
	// Generation is the directory that an action was for; empty for checks.
	Generation string `json:"generation,omitempty"`
	Result     Result `json:"result"`
	// Message is safe to be shown and at most 1 KiB; empty for what has Succeeded.
	Message string `json:"message,omitempty"`
}

var severity = map[Result]int{Succeeded: 0, Skipped: 1, Failed: 2, Rejected: 2}

// keep puts o among the outcomes, in place of the one before it. Rules that look the
// same share one; for one update it is then the worse.
func keep(all []Outcome, o Outcome) []Outcome {
	i, found := slices.BinarySearchFunc(all, o, order)
	if !found {
		return slices.Insert(all, i, o)
	}
	same := !o.Check && all[i].Generation == o.Generation
	if !same || severity[o.Result] >= severity[all[i].Result] {
		all[i] = o
	}
	return all
}

// order is by volume, then checks before actions, then by container and action.
func order(a, b Outcome) int {
	rank := func(o Outcome) int {
		if o.Check {
			return 0
		}
		return 1
	}
	return cmp.Or(cmp.Compare(a.Volume, b.Volume), rank(a)-rank(b), cmp.Compare(a.Container, b.Container), cmp.Compare(a.Action, b.Action))
}

// current are the outcomes of rules that still are.
func current(all []Outcome, rules []rule) []Outcome {
	return slices.DeleteFunc(slices.Clone(all), func(o Outcome) bool {
		return !slices.ContainsFunc(rules, func(k rule) bool {
			return k.Container == o.Container && k.String() == o.Action && slices.Contains(k.Volumes, o.Volume)
		})
	})
}
