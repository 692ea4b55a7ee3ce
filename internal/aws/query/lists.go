package query

import (
	"slices"
	"strconv"
	"strings"
)

// maxGap is how many members a list may lack before one that it has.
const maxGap = 10

// maxMembers is how many members of a list are read at most; no action takes as many.
const maxMembers = 1000

// Texts reads a list of texts, of at most most members, each by a rule. An empty list that
// was sent is not nil.
func (p *Params) Texts(name string, most int, rule Text) []string {
	indexes, sent := p.indexes(name, most)
	if !sent {
		return nil
	}
	list := make([]string, 0, len(indexes))
	for _, i := range indexes {
		value := p.values.Get(p.prefix + name + ".member." + i)
		if tails := rule.broken(value); len(tails) > 0 {
			p.broke("", member(name), "Member must satisfy constraint: ["+strings.Join(tails, ", ")+"]")
		}
		list = append(list, value)
	}
	return list
}

// Structures reads a list of structures, of at most most members.
func (p *Params) Structures(name string, most int) []*Params {
	indexes, sent := p.indexes(name, most)
	if !sent {
		return nil
	}
	list := make([]*Params, 0, len(indexes))
	for at, i := range indexes {
		list = append(list, &Params{
			values: p.values, found: p.found,
			prefix: p.prefix + name + ".member." + i + ".",
			path:   p.path + member(name) + "." + strconv.Itoa(at+1) + ".member.",
		})
	}
	return list
}

// indexes returns the members of a list, in order, as the form spells their numbers, and
// whether the list was sent at all.
func (p *Params) indexes(name string, most int) (spelled []string, sent bool) {
	start := p.prefix + name
	numbers := map[int]string{}
	for key := range p.values {
		if key == start {
			sent = true
			continue
		}
		rest, ok := strings.CutPrefix(key, start+".")
		if !ok {
			continue
		}
		sent = true
		if rest, ok = strings.CutPrefix(rest, "member."); !ok {
			p.malformed("Start of list found where not expected")
			continue
		}
		index, _, _ := strings.Cut(rest, ".")
		if n, ok := p.index(index); ok {
			if was, is := numbers[n]; !is || index < was { // 1 and 01 are the same member
				numbers[n] = index
			}
		}
	}
	return p.ordered(name, numbers, most), sent
}

// index reads the number of a member.
func (p *Params) index(text string) (int, bool) {
	switch {
	case strings.HasPrefix(text, "-"):
		p.malformed("Key %s may not have a leading '-'", text)
		return 0, false
	case text == "" || strings.Trim(text, "0123456789") != "":
		p.malformed("Start of list found where not expected")
		return 0, false
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		p.malformed("Start of list found where not expected")
		return 0, false
	}
	if n == 0 {
		p.malformed("%s is not a valid index", text)
		return 0, false
	}
	return n, true
}

// ordered returns the spellings of members in the order of their numbers.
func (p *Params) ordered(name string, numbers map[int]string, most int) []string {
	order := make([]int, 0, len(numbers))
	for n := range numbers {
		order = append(order, n)
	}
	slices.Sort(order)
	spelled := make([]string, 0, min(len(order), maxMembers))
	last, gaps := 0, false
	for _, n := range order {
		if skipped := n - last - 1; skipped > maxGap {
			p.malformed("Excessively sparse input would skip %d list elements", skipped)
			return nil
		} else if skipped > 0 {
			gaps = true
		}
		last = n
		if len(spelled) < maxMembers {
			spelled = append(spelled, numbers[n])
		}
	}
	if gaps {
		p.broke("", member(name), "Member must not be null")
	}
	if last > most {
		p.broke("", member(name), "Member must have length less than or equal to "+strconv.Itoa(most))
		return spelled[:min(most, len(spelled))]
	}
	return spelled
}
