package main

import (
	"encoding/xml"
	"errors"
	"io"
	"os"
	"strings"
	"testing"
)

// text returns the lines that an SVG shows; it fails unless the SVG is well formed.
func text(t *testing.T, raw []byte) (lines []string) {
	t.Helper()
	d := xml.NewDecoder(strings.NewReader(string(raw)))
	inside := false
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			return lines
		}
		if err != nil {
			t.Fatal(err)
		}
		switch e := token.(type) {
		case xml.StartElement:
			if e.Name.Local == "text" {
				inside, lines = true, append(lines, "")
			}
			for _, a := range e.Attr {
				if a.Name.Local == "href" || strings.HasPrefix(a.Name.Local, "on") {
					t.Errorf("%s has %s: the picture must stand alone", e.Name.Local, a.Name.Local)
				}
			}
		case xml.EndElement:
			inside = inside && e.Name.Local != "text"
		case xml.CharData:
			if inside {
				lines[len(lines)-1] += string(e)
			}
		}
	}
}

func TestDrawingShowsWhatTheTerminalShows(t *testing.T) {
	want := []string{"# a <remark>", `$ echo "a & b"`, "a & b", "", "  two spaces  in front"}
	if got := text(t, draw(want)); strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("%q, want %q", got, want)
	}
}

// The picture is of the script that is here, and the README shows it.
func TestPictureIsOfTheScript(t *testing.T) {
	raw, err := os.ReadFile("../../docs/picture.svg")
	if err != nil {
		t.Fatal(err)
	}
	if len(raw) > maxSize {
		t.Errorf("%d bytes, more than %d", len(raw), maxSize)
	}
	shown := text(t, raw)
	var commands []string
	for i, line := range shown {
		if strings.HasPrefix(line, "$ ") || strings.HasPrefix(line, "# ") {
			commands = append(commands, line)
		}
		if strings.HasPrefix(line, "$ ") && (i+1 == len(shown) || strings.HasPrefix(shown[i+1], "$ ")) {
			t.Errorf("nothing came of %s", line)
		}
	}
	if got := strings.Join(commands, "\n") + "\n"; got != script {
		t.Errorf("the picture is of another script, run make picture:\n%s\nwant\n%s", got, script)
	}
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(readme), "](docs/picture.svg)") {
		t.Error("the README does not show docs/picture.svg")
	}
}
