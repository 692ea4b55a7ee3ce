package cli_test

import (
	"bytes"
	"strings"
	"testing"

	"laterna.dev/laterna/internal/apiserver"
	"laterna.dev/laterna/internal/cli"
)

// run runs the program and returns what it prints.
func run(args ...string) (code int, stdout, stderr string) {
	var out, errs bytes.Buffer
	code = cli.Main(args, cli.Streams{In: strings.NewReader(""), Out: &out, Err: &errs}, apiserver.Version{Program: "0.0.1"})
	return code, out.String(), errs.String()
}

func TestCommandsThatDoNotExist(t *testing.T) {
	for _, args := range [][]string{{"dwon"}, {"clock", "forward"}, {"image", "push"}, {"up", "extra"}, {"up", "--nosuch"}} {
		code, out, errs := run(args...)
		if code != 1 || out != "" || !strings.HasPrefix(errs, "laterna: ") || !strings.Contains(errs, "; see `laterna") {
			t.Errorf("%q: code %d, %q, %q", args, code, out, errs)
		}
	}
}

func TestCommandsWithOthersShowThem(t *testing.T) {
	for _, args := range [][]string{{}, {"clock"}, {"image"}} {
		code, out, errs := run(args...)
		if code != 0 || errs != "" || !strings.Contains(out, "tells more about a command") {
			t.Errorf("%q: code %d, %q, %q", args, code, out, errs)
		}
	}
}

func TestHelpNamesFlagsAsTheyAreWritten(t *testing.T) {
	_, out, _ := run("up", "--help")
	if !strings.Contains(out, "--test-clock  ") {
		t.Errorf("--test-clock takes no value:\n%s", out)
	}
}
