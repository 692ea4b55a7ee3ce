package iam

import (
	"maps"
	"slices"
)

// Clone returns a copy that shares nothing with r.
func (r Role) Clone() Role {
	r.Principals = maps.Clone(r.Principals)
	r.Inline = maps.Clone(r.Inline)
	r.Attached = slices.Clone(r.Attached)
	r.Tags = slices.Clone(r.Tags)
	return r
}

// Clone returns a copy that shares nothing with p.
func (p Provider) Clone() Provider {
	p.ClientIDs = slices.Clone(p.ClientIDs)
	p.Thumbprints = slices.Clone(p.Thumbprints)
	p.Tags = slices.Clone(p.Tags)
	return p
}

// Clone returns a copy that shares nothing with p.
func (p Policy) Clone() Policy {
	p.Tags = slices.Clone(p.Tags)
	return p
}
