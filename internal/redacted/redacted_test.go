package redacted_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"laterna.dev/laterna/internal/redacted"
)

func TestSecretNeverPrints(t *testing.T) {
	const value = "hunter2"
	s := redacted.New(value)
	type embedding struct {
		redacted.Text
		Other string
	}
	holder := struct{ hidden redacted.Text }{s}
	whole := embedding{s, "seen"}
	raw, err := json.Marshal(map[string]any{"k": s, "l": whole})
	if err != nil {
		t.Fatal(err)
	}
	var buf bytes.Buffer
	slog.New(slog.NewTextHandler(&buf, nil)).Info("line", "secret", s, slog.Any("any", s), "whole", whole)
	all := fmt.Sprintf("%v %+v %#v %s %q %x %d %+v", s, s, s, s, s, s, s, whole) + string(raw) + buf.String()
	if n := strings.Count(all, redacted.Shown); n != 13 {
		t.Errorf("%d redactions in %s, want 13", n, all)
	}
	all += fmt.Sprintf("%v %+v %#v", holder, holder, holder)
	if strings.Contains(all, value) || strings.Contains(all, fmt.Sprintf("%x", value)) {
		t.Errorf("the secret shows in %s", all)
	}
}

func TestSecretsAreTheirText(t *testing.T) {
	a, b := redacted.New("a"), redacted.New("b")
	if a.Reveal() != "a" || (redacted.Text{}).Reveal() != "" {
		t.Error("the text is another")
	}
	if !a.Same(redacted.New("a")) || a.Same(b) || a.Same(redacted.Text{}) || !(redacted.Text{}).Same(redacted.New("")) {
		t.Error("compared by something other than the text")
	}
}
