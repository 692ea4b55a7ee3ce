package onupdate

import "strings"

// Candidate stands in the arguments of a check for the directory with the new files.
const Candidate = "$" + candidate

const candidate = "(LATERNA_CANDIDATE)"

// CheckCommand is the rule's check with Candidate replaced by dir, the directory's
// path in the container. $$(LATERNA_CANDIDATE) becomes $(LATERNA_CANDIDATE), as in the
// arguments of containers; nothing else is expanded.
func (r Rule) CheckCommand(dir string) []string {
	out := make([]string, len(r.Check))
	for i, arg := range r.Check {
		out[i], _ = expand(arg, dir)
	}
	return out
}

func mentions(arg string) bool {
	_, found := expand(arg, "")
	return found
}

// expand replaces what is not escaped: of the dollars before the name, each two are
// one.
func expand(arg, dir string) (out string, found bool) {
	var b strings.Builder
	for {
		before, after, ok := strings.Cut(arg, candidate)
		if !ok {
			b.WriteString(arg)
			return b.String(), found
		}
		plain := strings.TrimRight(before, "$")
		dollars := len(before) - len(plain)
		b.WriteString(plain)
		b.WriteString(strings.Repeat("$", dollars/2))
		if dollars%2 == 1 {
			b.WriteString(dir)
			found = true
		} else {
			b.WriteString(candidate)
		}
		arg = after
	}
}
