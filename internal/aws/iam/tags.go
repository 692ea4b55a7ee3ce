package iam

import (
	"slices"
	"strings"
)

// SortTags sorts tags by key, byte by byte.
func SortTags(tags []Tag) {
	slices.SortFunc(tags, func(a, b Tag) int { return strings.Compare(a.Key, b.Key) })
}
