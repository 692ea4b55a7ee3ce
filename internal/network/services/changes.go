package services

import (
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
	// holders are whose elements are in the table, by map and key: two services may ask for
	// the same external address or, for a moment, node port, and who had it first keeps it.
	// waiting are those that come after.
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
func (e element) id() string { return e.in + " " + e.key }

func (e element) object() *knftables.Element {
	return &knftables.Element{Map: e.in, Key: strings.Split(e.key, " . "), Value: []string{e.verdict}}
}

// find returns the element of that map and key.
func (u *Unit) find(id string) (element, bool) {
	if u == nil {
		return element{}, false
	}
	i := slices.IndexFunc(u.elements, func(e element) bool { return e.id() == id })
	if i < 0 {
		return element{}, false
	}
	return u.elements[i], true
}

// change collects what a transaction does. What is gone goes first, since a map has one
// element of a key.
type change struct {
	gone   []element
	made   map[string]element // by id
	chains []chain
	sets   []affinity
}

func newChange() *change { return &change{made: map[string]element{}} }

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
	if old != nil {
		for _, e := range old.elements {
			if kept, ok := u.find(e.id()); ok && kept == e {
				continue
			}
			if s.holders[e.id()] != name {
				s.waiting[e.id()] = slices.DeleteFunc(s.waiting[e.id()], func(n Name) bool { return n == name })
				continue
			}
			delete(s.holders, e.id())
			if _, sameTime := c.made[e.id()]; sameTime {
				delete(c.made, e.id())
			} else {
				c.gone = append(c.gone, e)
			}
			freed = append(freed, e.id())
		}
	}
	if u != nil {
		for _, e := range u.elements {
			if kept, ok := old.find(e.id()); !ok || kept != e {
				s.ask(name, e, c)
			}
		}
	}
	for _, id := range freed {
		s.pass(id, c)
	}
	s.parts(old, u, now, c)
}

// ask gives a service an element unless another has it.
func (s *state) ask(name Name, e element, c *change) {
	if _, held := s.holders[e.id()]; held {
		s.waiting[e.id()] = append(s.waiting[e.id()], name)
		return
	}
	s.holders[e.id()] = name
	c.made[e.id()] = e
}

// pass gives a free element to who waits for it.
func (s *state) pass(id string, c *change) {
	if _, held := s.holders[id]; held {
		return
	}
	for _, name := range s.waiting[id] {
		if e, ok := s.units[name].find(id); ok {
			s.waiting[id] = slices.DeleteFunc(s.waiting[id], func(n Name) bool { return n == name })
			s.ask(name, e, c)
			break
		}
	}
	if len(s.waiting[id]) == 0 {
		delete(s.waiting, id)
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
	for _, id := range slices.Sorted(maps.Keys(c.made)) {
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
func (s *state) all() *change {
	c := newChange()
	for _, u := range s.units {
		c.chains, c.sets = append(c.chains, u.chains...), append(c.sets, u.sets...)
		for _, e := range u.elements {
			if s.holders[e.id()] == u.name {
				c.made[e.id()] = e
			}
		}
	}
	return c
}
