package top

import (
	"cmp"
	"fmt"
	"strings"

	"laterna.dev/laterna/internal/top/picture"
)

// detail is what is shown of one pod, as lines of cells beside each other.
func detail(p *picture.Pod, m moment, width int) (lines [][]cell) {
	add := func(cells ...cell) { lines = append(lines, cells) }
	add(cell{p.Namespace + "/" + p.Name, usual}, cell{p.State.String(), toneOf(p.State)}, cell{strings.ToLower(p.Phase), faint}, cell{"on " + cmp.Or(p.Node, "no node"), faint})
	if len(p.Volumes) == 0 {
		add()
		add(cell{"Nothing is reported of volumes of this pod.", faint})
	}
	for _, v := range p.Volumes {
		add()
		add(cell{v.Name, usual}, cell{"published " + m.clock.Ago(v.Published, m.now), faint})
		if v.Problem != "" {
			for _, l := range wrap(v.Problem, width-2) {
				add(cell{"  " + l, bad})
			}
		}
		for _, s := range v.Sources {
			add(sourceLine(s)...)
		}
		for _, t := range v.Tokens {
			add(cell{"  Token " + t.Path, usual}, cell{"for " + t.Audience, faint})
			add(cell{"    " + m.clock.Life(t, m.now, min(max(width-8, 10), 64)), good})
			add(cell{fmt.Sprintf("    issued %s, rotates %s, ends %s", m.clock.Until(t.Issued, m.now), m.clock.Until(t.Rotates, m.now), m.clock.Until(t.Expires, m.now)), faint})
		}
		for _, o := range v.Outcomes {
			tone := good
			if o.Wrong {
				tone = bad
			}
			add(cell{"  " + o.Action + " in " + o.Container, usual}, cell{o.Result, tone}, cell{m.clock.Ago(o.Time, m.now), faint})
			for _, l := range wrap(o.Message, width-4) {
				add(cell{"    " + l, faint})
			}
		}
	}
	return lines
}

func sourceLine(s picture.Source) []cell {
	state := cell{"in step", good}
	switch {
	case s.Missing && s.Behind:
		state = cell{"missing", bad}
	case s.Missing:
		state = cell{"optional, absent", faint}
	case s.Behind:
		state = cell{"behind", late}
	}
	versions := "files show " + cmp.Or(s.Loaded, "nothing")
	if s.Has != "" {
		versions += ", API has " + s.Has
	} else if s.Seen != "" {
		versions += ", node knows " + s.Seen
	}
	return []cell{{"  " + s.Kind + " " + s.Name, usual}, state, {versions, faint}}
}

// wrap cuts a text into lines.
func wrap(text string, width int) (lines []string) {
	for width = max(width, 10); len(text) > width; {
		at := strings.LastIndexByte(text[:width], ' ')
		if at <= 0 {
			at = width
		}
		lines = append(lines, text[:at])
		text = strings.TrimPrefix(text[at:], " ")
	}
	if text != "" {
		lines = append(lines, text)
	}
	return lines
}
