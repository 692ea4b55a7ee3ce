package plain_test

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"testing"

	"laterna.dev/laterna/internal/plain"
)

func TestTextDrivesNoTerminal(t *testing.T) {
	for text, want := range map[string]string{
		"https://a.example/b": "https://a.example/b",
		`say "hello"`:         `say "hello"`,
		"":                    `""`,
		" a":                  `" a"`,
		"a\x1b[31m":           `"a\x1b[31m"`,
		"a\nb":                `"a\nb"`,
		"\u0430":              `"\u0430"`,
		"\u202e":              `"\u202e"`,
		"\u009b":              `"\u009b"`,
		"\xff":                `"\xff"`,
		"✓ signature":         `"\u2713 signature"`,
	} {
		if got := plain.Text(text); got != want {
			t.Errorf("%q is shown as %s, want %s", text, got, want)
		}
	}
	long := plain.Text(strings.Repeat("a", 511) + "\u00e9" + strings.Repeat("b", 1000))
	if len(long) > 560 || !strings.Contains(long, "… (1513 bytes in all)") || strings.Contains(long, "x") {
		t.Errorf("a long text is shown as %s", long)
	}
	if got := plain.List(strings.Split("a,b c,d,e,f,g,h,i,j,k,l,m", ",")); got != "a, b c, d, e, f, g, h, i, j, k, … (12 in all)" {
		t.Errorf("a long list is shown as %s", got)
	}
}

func TestErrorsAreShownAndStillFound(t *testing.T) {
	err := plain.Error(fmt.Errorf("reading \x1b[2J: %w", fs.ErrNotExist))
	if want := `"reading \x1b[2J: file does not exist"`; err.Error() != want || !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%s, want %s and the cause in it", err, want)
	}
}
