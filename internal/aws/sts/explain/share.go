package explain

import (
	"container/list"
	"net/netip"
)

// share is what the calls of somebody take of a journal. Those of the journal are split by
// where calls come from, of each such place by who makes them, and of each of those by
// whether they were refused. When the journal is full, the oldest call goes of the one who
// has most: whoever floods it pushes out calls of his own, and a program that goes on being
// allowed does not push out why it was refused.
type share struct {
	weight int
	// oldest is the number of its oldest call.
	oldest uint64
	// parts are the next level, by name; in the last level there are calls in their place,
	// the oldest first.
	parts map[string]*share
	calls list.List
}

// levels are the names of the shares that a call belongs to, from the largest.
func (r *Record) levels() [3]string {
	answer := "allowed"
	if r.Code != "" {
		answer = "refused"
	}
	return [...]string{place(r.Source), r.maker(), answer}
}

// place is what nobody can have very many of: one address, of IPv6 one network, and of
// this machine itself all of its own ones.
func place(source string) string {
	address, err := netip.ParseAddr(source)
	switch {
	case err != nil:
		return ""
	case address.Unmap().IsLoopback():
		return "loopback"
	}
	address = address.Unmap().WithZone("")
	if address.Is6() {
		if network, err := address.Prefix(64); err == nil {
			return network.String()
		}
	}
	return address.String()
}

// maker is who makes a call, as far as that is proven: what somebody says of himself could
// be another thing with every call.
func (r *Record) maker() string {
	switch {
	case r.principal != "":
		return r.principal
	case r.Token != nil && r.Token.Verified:
		return r.Token.Issuer + "\n" + r.Token.Subject
	}
	return ""
}

// add puts a call at the end of the share of its levels.
func (s *share) add(e *entry) {
	s.take(e)
	for _, name := range e.levels {
		if s.parts == nil {
			s.parts = map[string]*share{}
		}
		if s.parts[name] == nil {
			s.parts[name] = &share{}
		}
		s = s.parts[name]
		s.take(e)
	}
	s.calls.PushBack(e)
}

func (s *share) take(e *entry) {
	if s.weight == 0 {
		s.oldest = e.number
	}
	s.weight += e.weight
}

// drop takes out the oldest call of whoever has most, at each level; there must be one.
func (s *share) drop() *entry {
	if len(s.parts) == 0 {
		e := s.calls.Remove(s.calls.Front()).(*entry)
		s.weight -= e.weight
		if front := s.calls.Front(); front != nil {
			s.oldest = front.Value.(*entry).number
		}
		return e
	}
	name, most := s.largest()
	e := most.drop()
	s.weight -= e.weight
	if most.weight == 0 {
		delete(s.parts, name)
	}
	if s.oldest == e.number {
		s.oldest = ^uint64(0)
		for _, part := range s.parts {
			s.oldest = min(s.oldest, part.oldest)
		}
	}
	return e
}

// largest is the part that has most; of several, the one with the oldest call.
func (s *share) largest() (name string, most *share) {
	for n, part := range s.parts {
		if most == nil || part.weight > most.weight || part.weight == most.weight && part.oldest < most.oldest {
			name, most = n, part
		}
	}
	return name, most
}
