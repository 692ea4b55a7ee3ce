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

// Outcome is the last check or the last action of a volume. Where several belong to
// one update, it is the worst of them.
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

// keep puts o among the outcomes. One for the same update stays if it is worse.
func keep(all []Outcome, o Outcome) []Outcome {
	i := slices.IndexFunc(all, func(k Outcome) bool { return k.Volume == o.Volume && k.Check == o.Check })
	if i < 0 {
		all = append(all, o)
		slices.SortFunc(all, func(a, b Outcome) int {
			return cmp.Or(cmp.Compare(a.Volume, b.Volume), rank(a)-rank(b))
		})
		return all
	}
	same := !o.Check && all[i].Generation == o.Generation
	if !same || severity[o.Result] >= severity[all[i].Result] {
		all[i] = o
	}
	return all
}

// rank puts a volume's check before its action.
func rank(o Outcome) int {
	if o.Check {
		return 0
	}
	return 1
}
