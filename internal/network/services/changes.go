package services

import (
	"cmp"
	"iter"
	"maps"
	"slices"
	"strings"
	"time"

	"sigs.k8s.io/knftables"
)

// afterUse is how long a chain or set stays that nothing leads to any more: kernels before
// 6.2 may still hold the reference for a moment after the transaction that dropped it.
const afterUse = time.Second

// state is what the table has of services, and what is to be done about it.
type state struct {
	units map[Name]*Unit
	// holders are whose elements of a key are in the table: two services may ask for the same
	// external address or, for a moment, node port, and who had it first keeps it, in
	// whichever maps. waiting are those that come after.
	holders map[string]Name
	waiting map[string][]Name
	// stale are chains and sets that nothing leads to, and since when.
	stale map[string]staleObject
}

type staleObject struct {
	object knftables.Object
	since  time.Time
}

func newState() state {
	return state{units: map[Name]*Unit{}, holders: map[string]Name{}, waiting: map[string][]Name{}, stale: map[string]staleObject{}}
}

// id names an element in all maps.
func (e element) id() elementID { return elementID{e.in, e.key} }

type elementID struct{ in, key string }

func (a elementID) compare(b elementID) int {
	return cmp.Or(strings.Compare(a.in, b.in), strings.Compare(a.key, b.key))
}

func (e element) object() *knftables.Element {
	return &knftables.Element{Map: e.in, Key: strings.Split(e.key, " . "), Value: []string{e.verdict}}
}

// of returns the elements by key; those of a key are few.
func (u *Unit) of() map[string][]element {
	if u == nil {
		return nil
	}
	return u.keys
}

// change collects what a transaction does. What is gone goes first, since a map has one
// element of a key.
type change struct {
	gone   []element
	made   map[elementID]element
	chains []chain
	sets   []affinity
}

func newChange() *change { return &change{made: map[elementID]element{}} }

// set takes over a unit, or that there is none any more, and adds to the change what that
// asks for.
func (s *state) set(name Name, u *Unit, now time.Time, c *change) {
	old := s.units[name]
	if u == nil {
		delete(s.units, name)
	} else {
		s.units[name] = u
	}
	var freed []string
	for key, had := range old.of() {
		now, stays := u.of()[key]
		if s.holders[key] != name {
			if !stays {
				s.leave(key, name)
			}
			continue
		}
		for _, e := range had {
			if !slices.Contains(now, e) {
				c.remove(e)
			}
		}
		if !stays {
			delete(s.holders, key)
			freed = append(freed, key)
		}
	}
	for key, now := range u.of() {
		s.ask(name, key, old.of()[key], now, c)
	}
	for _, key := range freed {
		s.pass(key, c)
	}
	s.parts(old, u, now, c)
}

// remove takes an element out, or does not bring it where it is new.
func (c *change) remove(e element) {
	if _, sameTime := c.made[e.id()]; sameTime {
		delete(c.made, e.id())
	} else {
		c.gone = append(c.gone, e)
	}
}

// ask gives a service its elements of a key, but those that it had, unless another has them.
func (s *state) ask(name Name, key string, had, now []element, c *change) {
	holder, held := s.holders[key]
	if held && holder != name {
		if !slices.Contains(s.waiting[key], name) {
			s.waiting[key] = append(s.waiting[key], name)
		}
		return
	}
	s.holders[key] = name
	for _, e := range now {
		if !held || !slices.Contains(had, e) {
			c.made[e.id()] = e
		}
	}
}

// leave has a service not wait for a key any more.
func (s *state) leave(key string, name Name) {
	s.waiting[key] = slices.DeleteFunc(s.waiting[key], func(n Name) bool { return n == name })
	if len(s.waiting[key]) == 0 {
		delete(s.waiting, key)
	}
}

// pass gives a free key to who waits for it.
func (s *state) pass(key string, c *change) {
	if waiting := s.waiting[key]; len(waiting) > 0 {
		name := waiting[0]
		s.leave(key, name)
		s.ask(name, key, nil, s.units[name].of()[key], c)
	}
}

// parts compares chains and sets, which are of one service alone.
func (s *state) parts(old, u *Unit, now time.Time, c *change) {
	before, after := map[string][]string{}, map[string]bool{}
	if old != nil {
		for _, ch := range old.chains {
			before[ch.name] = ch.rules
		}
	}
	if u != nil {
		for _, ch := range u.chains {
			after[ch.name] = true
			if rules, ok := before[ch.name]; !ok || !slices.Equal(rules, ch.rules) {
				c.chains = append(c.chains, ch)
			}
			delete(s.stale, ch.name)
		}
		for _, set := range u.sets {
			after[set.name] = true
			if old == nil || !slices.Contains(old.sets, set) {
				c.sets = append(c.sets, set)
			}
			delete(s.stale, set.name)
		}
	}
	for name := range before {
		if !after[name] {
			c.chains = append(c.chains, chain{name: name})
			s.stale[name] = staleObject{&knftables.Chain{Name: name}, now}
		}
	}
	if old != nil {
		for _, set := range old.sets {
			if !after[set.name] {
				s.stale[set.name] = staleObject{&knftables.Set{Name: set.name}, now}
			}
		}
	}
}

// empty tells whether there is nothing to do.
func (c *change) empty() bool {
	return len(c.gone) == 0 && len(c.made) == 0 && len(c.chains) == 0 && len(c.sets) == 0
}

// write adds the change to a transaction.
func (c *change) write(tx *knftables.Transaction) {
	for _, e := range c.gone {
		tx.Delete(e.object())
	}
	for _, s := range c.sets {
		timeout := time.Duration(s.seconds) * time.Second
		tx.Add(&knftables.Set{Name: s.name, Type: "ipv4_addr", Flags: []knftables.SetFlag{knftables.DynamicFlag, knftables.TimeoutFlag}, Timeout: &timeout})
	}
	for _, ch := range c.chains {
		tx.Add(&knftables.Chain{Name: ch.name})
	}
	for _, ch := range c.chains {
		tx.Flush(&knftables.Chain{Name: ch.name})
		for _, r := range ch.rules {
			tx.Add(&knftables.Rule{Chain: ch.name, Rule: r})
		}
	}
	for _, id := range slices.SortedFunc(maps.Keys(c.made), elementID.compare) {
		tx.Add(c.made[id].object())
	}
}

// sweep removes what nothing leads to for a while.
func (s *state) sweep(tx *knftables.Transaction, now time.Time) {
	for _, chains := range []bool{true, false} { // sets are named by chains
		for name, o := range s.stale {
			if _, is := o.object.(*knftables.Chain); is == chains && now.Sub(o.since) >= afterUse {
				tx.Delete(o.object)
				delete(s.stale, name)
			}
		}
	}
}

// all is the change that brings everything to a table without services.
func (s *state) all() *change { return s.alone(maps.Keys(s.units)) }

// alone is the change that brings these services to a table without others.
func (s *state) alone(names iter.Seq[Name]) *change {
	c := newChange()
	for name := range names {
		u := s.units[name]
		if u == nil {
			continue
		}
		c.chains, c.sets = append(c.chains, u.chains...), append(c.sets, u.sets...)
		for _, e := range u.elements {
			if s.holders[e.key] == name {
				c.made[e.id()] = e
			}
		}
	}
	return c
}
