package keys

import "time"

// NextChange returns when the keys will change by themselves. They do not, so far.
func (r *Ring) NextChange() (at time.Time, ok bool) { return time.Time{}, false }
