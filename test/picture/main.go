// Command picture runs a short script on a real system and draws what a terminal shows as
// an SVG, for the first page of the README.
//
// It owns the script (script.txt) and the drawing. The system is started and removed by
// test/system: its data directory and port are the only arguments that are not drawn.
package main

import (
	_ "embed"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	systems "laterna.dev/laterna/test/system"
)

// script is what is run, a line for each command ("$ …") and remark ("# …").
//
//go:embed script.txt
var script string

// maxSize bounds the picture: every reader of the README loads it.
const maxSize = 40 << 10

func main() {
	programs := flag.String("programs", "bin", "`DIR` with laterna and kubectl")
	images := flag.String("images", "build/images", "`DIR` with the test images")
	out := flag.String("o", "docs/picture.svg", "`FILE` to write")
	flag.Parse()
	if err := run(systems.Programs(*programs), *images, *out); err != nil {
		fmt.Fprintln(os.Stderr, "picture:", err)
		os.Exit(1)
	}
}

func run(programs systems.Programs, images, out string) (err error) {
	dir, err := filepath.Abs(string(programs))
	if err != nil {
		return err
	}
	lines, err := record(systems.Programs(dir), images)
	if err != nil {
		return err
	}
	drawn := draw(lines)
	if len(drawn) > maxSize {
		return fmt.Errorf("the picture has %d bytes, more than %d: shorten the script", len(drawn), maxSize)
	}
	return os.WriteFile(out, drawn, 0o644)
}

// record runs the script and returns what a terminal shows.
func record(programs systems.Programs, images string) (lines []string, err error) {
	s, err := systems.New(programs, "--test-clock")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, s.Remove()) }()
	for line := range strings.Lines(script) {
		line = strings.TrimSuffix(line, "\n")
		lines = append(lines, line)
		command, ok := strings.CutPrefix(line, "$ ")
		if !ok {
			continue
		}
		if strings.HasPrefix(command, "laterna up ") {
			if err := errors.Join(s.Start(), s.ImportImages(images)); err != nil {
				return nil, err
			}
			lines = append(lines, fmt.Sprintf("ready in %d ms", s.ReadyIn().Milliseconds()))
			continue
		}
		// The data directory is not the default one.
		cmd := exec.Command("bash", "-c", `laterna() { command laterna "$@" --data-dir "$DATA"; }; `+command)
		cmd.Env = append(s.Environ(), "DATA="+s.Dir)
		output, err := cmd.CombinedOutput()
		if err != nil {
			return nil, fmt.Errorf("%s: %w\n%s", command, err, output)
		}
		for text := range strings.Lines(strings.TrimRight(string(output), "\n")) {
			lines = append(lines, strings.TrimRight(text, " \n"))
		}
	}
	return lines, nil
}
