package plain_test

import (
	"testing"

	"laterna.dev/laterna/internal/plain"
)

func TestShellWordIsOneWord(t *testing.T) {
	for s, want := range map[string]string{
		"/var/lib/laterna": "/var/lib/laterna",
		"":                 "''",
		"a b":              "'a b'",
		"it's":             `'it'\''s'`,
		"$HOME":            "'$HOME'",
		"~/x":              "'~/x'",
	} {
		if got := plain.ShellWord(s); got != want {
			t.Errorf("ShellWord(%q) = %s, want %s", s, got, want)
		}
	}
}
