package picture

import (
	"cmp"
	"slices"
	"strings"
	"time"
)

// Order is what pods are sorted by.
type Order int

// The orders.
const (
	ByAttention Order = iota
	ByName
	ByPublished
	ByRotation
	orders
)

// String says what comes first.
func (o Order) String() string {
	return [...]string{"attention", "name", "last published", "next rotation"}[o]
}

// Next is the order after o, the first one after the last.
func (o Order) Next() Order { return (o + 1) % orders }

// Sort sorts pods; those that are equal by name.
func Sort(pods []Pod, o Order) {
	slices.SortFunc(pods, func(a, b Pod) int {
		first := 0
		switch o {
		case ByAttention:
			first = cmp.Compare(a.State, b.State)
		case ByPublished:
			first = b.Published.Compare(a.Published)
		case ByRotation:
			first = later(a.Rotates, b.Rotates)
		}
		return cmp.Or(first, strings.Compare(a.Namespace, b.Namespace), strings.Compare(a.Name, b.Name))
	})
}

// later compares times, of which zero is the last one.
func later(a, b time.Time) int {
	if a.IsZero() != b.IsZero() {
		return b.Compare(a)
	}
	return a.Compare(b)
}

// Matches tells whether each word of a text is in the name of the pod, or in that of
// something that it shows.
func (p *Pod) Matches(text string) bool {
	all := []string{p.Namespace, p.Name, p.Node, p.State.String()}
	for _, v := range p.Volumes {
		all = append(all, v.Name)
		for _, s := range v.Sources {
			all = append(all, s.Name)
		}
		for _, t := range v.Tokens {
			all = append(all, t.Audience)
		}
	}
	names := strings.ToLower(strings.Join(all, "\n"))
	return !slices.ContainsFunc(strings.Fields(strings.ToLower(text)), func(word string) bool { return !strings.Contains(names, word) })
}
