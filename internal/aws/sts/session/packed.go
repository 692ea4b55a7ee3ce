package session

import (
	"compress/flate"
	"io"
	"maps"
	"slices"
	"strings"
)

// How many bytes tags and policies of a session may be once they are packed. AWS keeps its
// packing a secret; these come near to what it has been seen to answer.
const (
	roomForTags     = 470
	roomForPolicies = 1400
)

// PackedTags is how much of their room tags take, in percent.
func PackedTags(tags map[string]string, transitive []string, sourceIdentity string) int {
	if len(tags) == 0 && sourceIdentity == "" {
		return 0
	}
	var parts []string
	for _, key := range slices.Sorted(maps.Keys(tags)) {
		parts = append(parts, key, tags[key])
	}
	return percent(append(append(parts, transitive...), sourceIdentity), roomForTags)
}

// PackedPolicies is how much of their room session policies take, in percent.
func PackedPolicies(policy string, arns []string) int {
	if policy == "" && len(arns) == 0 {
		return 0
	}
	return percent(append([]string{policy}, arns...), roomForPolicies)
}

func percent(parts []string, room int) int {
	var n counter
	w, err := flate.NewWriter(&n, flate.BestCompression)
	if err != nil {
		return 0
	}
	io.WriteString(w, strings.Join(parts, "\x00"))
	w.Close()
	return (int(n)*100 + room - 1) / room
}

// counter counts what is written.
type counter int

func (c *counter) Write(p []byte) (int, error) { *c += counter(len(p)); return len(p), nil }
