// Package indexes is the sets of indexes of Jobs (status.completedIndexes and the like) and
// their text: sorted, with commas between them, runs of three and more as "a-b". A set
// costs memory by its runs and not by its numbers.
//
// What an index means is decided in internal/controller/job, what a client may write in
// internal/registry/batch/job.
package indexes

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Run is the indexes from First to Last.
type Run struct{ First, Last int }

// Set is sorted runs that neither overlap nor touch.
type Set []Run

// Parse reads the text of a set of indexes below limit. Its errors are upstream's.
func Parse(text string, limit int) (Set, error) {
	var all Set
	if text == "" {
		return nil, nil
	}
	last := -1
	for part := range strings.SplitSeq(text, ",") {
		limits := strings.Split(part, "-")
		if len(limits) > 2 {
			return nil, fmt.Errorf("the fragment %q violates the requirement that an index interval can have at most two parts separated by '-'", part)
		}
		first, err := index(limits[0], limit, last)
		if err != nil {
			return nil, err
		}
		last = first
		if len(limits) == 2 {
			if last, err = index(limits[1], limit, first); err != nil {
				return nil, err
			}
		}
		all = all.then(Run{first, last})
	}
	return all, nil
}

// index reads one number that is below limit and greater than the one before.
func index(text string, limit, before int) (int, error) {
	n, err := strconv.Atoi(text)
	switch {
	case err != nil || n < 0:
		return 0, fmt.Errorf("cannot convert string to integer for index: %q", text)
	case n >= limit:
		return 0, fmt.Errorf("too large index: %q", text)
	case n <= before:
		return 0, fmt.Errorf("non-increasing order, previous: %d, current: %d", before, n)
	}
	return n, nil
}

// Of is the set of some numbers, which it sorts.
func Of(numbers []int) Set {
	slices.Sort(numbers)
	var all Set
	for _, n := range numbers {
		all = all.then(Run{n, n})
	}
	return all
}

// then is s with a run that begins no earlier than its last one.
func (s Set) then(r Run) Set {
	if n := len(s); n > 0 && r.First <= s[n-1].Last+1 {
		s[n-1].Last = max(s[n-1].Last, r.Last)
		return s
	}
	return append(s, r)
}

// With is the union of two sets.
func (s Set) With(other Set) Set {
	both := slices.Concat(s, other)
	slices.SortFunc(both, func(a, b Run) int { return a.First - b.First })
	var all Set
	for _, r := range both {
		all = all.then(r)
	}
	return all
}

// Has tells whether an index is in the set.
func (s Set) Has(n int) bool {
	i, ok := slices.BinarySearchFunc(s, n, func(r Run, n int) int { return r.First - n })
	return ok || i > 0 && n <= s[i-1].Last
}

// Len is how many indexes there are.
func (s Set) Len() (n int) {
	for _, r := range s {
		n += r.Last - r.First + 1
	}
	return n
}

// Common is how many indexes are in both sets, and the first of them; -1 where there is
// none.
func (s Set) Common(other Set) (n, first int) {
	first = -1
	for i, j := 0, 0; i < len(s) && j < len(other); {
		a, b := max(s[i].First, other[j].First), min(s[i].Last, other[j].Last)
		if a <= b {
			if n == 0 {
				first = a
			}
			n += b - a + 1
		}
		if s[i].Last < other[j].Last {
			i++
		} else {
			j++
		}
	}
	return n, first
}

// Below is the part of the set below a limit.
func (s Set) Below(limit int) Set {
	var all Set
	for _, r := range s {
		if r.First < limit {
			all = append(all, Run{r.First, min(r.Last, limit-1)})
		}
	}
	return all
}

// String is the text of the set.
func (s Set) String() string {
	var b strings.Builder
	for _, r := range s {
		if b.Len() > 0 {
			b.WriteByte(',')
		}
		b.WriteString(strconv.Itoa(r.First))
		switch {
		case r.Last == r.First+1:
			b.WriteByte(',')
			b.WriteString(strconv.Itoa(r.Last))
		case r.Last > r.First:
			b.WriteByte('-')
			b.WriteString(strconv.Itoa(r.Last))
		}
	}
	return b.String()
}

// Missing is the first n indexes below a limit that are not in the set.
func (s Set) Missing(limit, n int) []int {
	var all []int
	next := 0
	for _, r := range append(s[:len(s):len(s)], Run{limit, limit}) {
		for ; next < min(r.First, limit); next++ {
			if len(all) >= n {
				return all
			}
			all = append(all, next)
		}
		next = r.Last + 1
	}
	return all
}
