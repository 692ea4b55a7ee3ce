package compat

import (
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
)

// example returns the commands and outputs of a page's console blocks.
func example(t *testing.T, page string) (steps []step) {
	t.Helper()
	raw, err := os.ReadFile("../../" + page)
	if err != nil {
		t.Fatal(err)
	}
	for i, block := range strings.Split(string(raw), "```console\n") {
		if i == 0 {
			continue
		}
		block, _, _ = strings.Cut(block, "```")
		for line := range strings.Lines(block) {
			if command, ok := strings.CutPrefix(line, "$ "); ok {
				steps = append(steps, step{command: strings.TrimSuffix(command, "\n")})
			} else {
				steps[len(steps)-1].output += line
			}
		}
	}
	return steps
}

type step struct{ command, output string }

// varies are the parts of outputs that differ from run to run.
var varies = []struct {
	pattern *regexp.Regexp
	with    string
}{
	{regexp.MustCompile(`[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}`), "<uuid>"},
	{regexp.MustCompile(`\b\d{9,}\b`), "<time>"},
	{regexp.MustCompile(`"node":\{"name":"[^"]*"`), `"node":{"name":"<node>"`},
}

func settled(s string) string {
	for _, v := range varies {
		s = v.pattern.ReplaceAllString(s, v.with)
	}
	return s
}

// TestREADMEExample pastes the example line by line and compares what is printed.
func TestREADMEExample(t *testing.T) {
	s := started(t)
	steps := example(t, "README.md")
	if len(steps) < 4 {
		t.Fatalf("only %d commands in the example", len(steps))
	}
	for _, step := range steps[1:] { // the first sets PATH and KUBECONFIG, as the harness does
		cmd := s.command(t, "bash", "-c", step.command)
		cmd.Dir = "../.."
		out, err := cmd.CombinedOutput()
		if err != nil {
			if _, exited := err.(*exec.ExitError); !exited {
				t.Fatal(err)
			}
		}
		if got := string(out); settled(got) != settled(step.output) {
			t.Errorf("$ %s\nprints\n%s\nthe README shows\n%s", step.command, got, step.output)
		}
	}
}
