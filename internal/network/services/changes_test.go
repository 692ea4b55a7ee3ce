package services

import (
	"net/netip"
	"slices"
	"strconv"
	"testing"
	"time"
)

// outside is a service that asks for an external address, with that many endpoints.
func outside(name string, endpoints int) *Unit {
	s := Service{
		Name: Name{"ns", name}, ClusterIP: netip.AddrFrom4([4]byte{10, 96, 0, name[0]}), Ports: []Port{http},
		External: []netip.Addr{netip.MustParseAddr("198.51.100.1")},
	}
	var to []Endpoint
	for i := range endpoints {
		to = append(to, at(byte(i), "ready", "a"))
	}
	return testConfig().Compile(s, []Slice{{[]SlicePort{{"http", TCP, 8080}}, to}}, Node{Name: "a"})
}

// TestAnAddressStaysWithWhoHadItFirst while that has no endpoints, too; nobody waits for
// ever.
func TestAnAddressStaysWithWhoHadItFirst(t *testing.T) {
	const key = "198.51.100.1 . tcp . 80"
	s := newState()
	for _, step := range []struct {
		name   string
		unit   *Unit
		holder string
	}{
		{"a", outside("a", 1), "a"},
		{"b", outside("b", 1), "a"},
		{"a", outside("a", 0), "a"},
		{"b", outside("b", 2), "a"},
		{"a", outside("a", 1), "a"},
		{"a", nil, "b"},
		{"a", outside("a", 1), "b"},
		{"a", nil, "b"},
		{"b", nil, ""},
	} {
		s.set(Name{"ns", step.name}, step.unit, time.Time{}, newChange())
		if got := s.holders[key].Name; got != step.holder {
			t.Errorf("after %s has changed the address is that of %q, want %q", step.name, got, step.holder)
		}
		maps := 0
		for _, e := range s.all().made {
			if e.key == key {
				maps++
			}
		}
		if want := min(1, len(step.holder)); maps != want {
			t.Errorf("after %s has changed the address is in %d maps", step.name, maps)
		}
	}
	if len(s.waiting) > 0 || len(s.holders) > 0 {
		t.Errorf("left: %v wait, %v hold", s.waiting, s.holders)
	}
}

// TestAUnitFindsItsElementsByKey: none twice, whatever the API says twice.
func TestAUnitFindsItsElementsByKey(t *testing.T) {
	s := Service{Name: Name{"ns", "web"}, ClusterIP: netip.MustParseAddr("10.96.0.7")}
	for i := range 1000 {
		s.Ports = append(s.Ports, Port{Name: strconv.Itoa(i), Protocol: TCP, Port: uint16(1 + i%500)})
	}
	u := testConfig().Compile(s, nil, Node{})
	if len(u.elements) != 500 || len(u.keys) != 500 {
		t.Errorf("%d elements, %d keys; want 500", len(u.elements), len(u.keys))
	}
	for _, e := range u.elements {
		if !slices.Equal(u.of()[e.key], []element{e}) {
			t.Errorf("%v is not found", e)
		}
	}
}

// TestTheOldestIsAskedFirst when all are new, as after a restart.
func TestTheOldestIsAskedFirst(t *testing.T) {
	units := map[Name]*Unit{{"ns", "gone"}: nil}
	for name, created := range map[string]int64{"a": 3, "b": 2, "c": 1, "d": 1} {
		units[Name{"ns", name}] = testConfig().Compile(Service{Name: Name{"ns", name}, Created: time.Unix(created, 0)}, nil, Node{})
	}
	order := ""
	for _, n := range inOrder(units) {
		order += n.Name + " "
	}
	if order != "gone c d b a " {
		t.Errorf("%s", order)
	}
}
