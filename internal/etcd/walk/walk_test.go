package walk

import (
	"slices"
	"testing"
)

func TestPlaces(t *testing.T) {
	for key, want := range map[string][]Place{
		"secrets/default/s":                  {{"secrets", "default/s"}},
		"nodes/a.example.com":                {{"nodes", "a.example.com"}},
		"health":                             {{"health", ""}},
		"roles.iam.laterna.dev/default/r":    {{"roles.iam.laterna.dev", "default/r"}, {"roles.iam.laterna.dev/default", "r"}},
		"shop.example.com/widgets/default/a": {{"shop.example.com", "widgets/default/a"}, {"shop.example.com/widgets", "default/a"}},
	} {
		if got := Places(key); !slices.Equal(got, want) {
			t.Errorf("%s: %q, want %q", key, got, want)
		}
	}
}
