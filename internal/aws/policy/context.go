package policy

import (
	"slices"
	"strings"
)

// Key is a key that a request has, with its values.
type Key struct {
	Name        string   `json:"name"`
	Values      []string `json:"values"`
	Multivalued bool     `json:"multivalued,omitempty"`
}

// Context is what is known of a request: keys, in which letter case does not count, and
// their values. A key without a value is not there. The zero Context is empty; it is to be
// filled before it is used by many.
type Context struct {
	keys map[string]Key
}

// Set gives a key its one value.
func (c *Context) Set(name, value string) {
	c.put(Key{Name: name, Values: []string{value}})
}

// SetAll gives a key that can have several values those that it has, even if that is one.
// It is a matter of the key, not of how many there are: plain operators never match it.
func (c *Context) SetAll(name string, values []string) {
	c.put(Key{Name: name, Values: slices.Clone(values), Multivalued: true})
}

func (c *Context) put(k Key) {
	if c.keys == nil {
		c.keys = map[string]Key{}
	}
	c.keys[strings.ToLower(k.Name)] = k
}

// Get returns a key.
func (c Context) Get(name string) (Key, bool) {
	k, ok := c.keys[strings.ToLower(name)]
	return k, ok
}

// Keys returns all keys, sorted by name.
func (c Context) Keys() []Key {
	out := make([]Key, 0, len(c.keys))
	for _, k := range c.keys {
		out = append(out, k)
	}
	slices.SortFunc(out, func(a, b Key) int { return strings.Compare(a.Name, b.Name) })
	return out
}
