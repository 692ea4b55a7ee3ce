package top

import (
	"fmt"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"

	"laterna.dev/laterna/internal/top/picture"
)

// codes are the looks of tones; the library leaves out what the terminal cannot show, and
// colours where NO_COLOR is set.
var codes = map[tone]string{good: "32", late: "33", bad: "1;31", faint: "90"}

func look(c cell, text string) string {
	code, ok := codes[c.tone]
	if !ok {
		return text
	}
	return "\x1b[" + code + "m" + text + "\x1b[m"
}

func strong(text string) string { return "\x1b[1m" + text + "\x1b[m" }

// reversed is the line that is chosen.
func reversed(text string, width int) string { return "\x1b[7m" + fit(text, width, false) + "\x1b[m" }

// room is how many rows fit between head and foot.
func (s *screen) room() int { return max(1, s.height-4-len(s.troubles)) }

// View implements tea.Model.
func (s *screen) View() tea.View {
	lines := []string{s.head()}
	for _, t := range s.troubles {
		lines = append(lines, look(cell{tone: late}, fit("! "+t, s.width, true)))
	}
	if s.open != "" {
		lines = append(lines, s.detail()...)
	} else {
		lines = append(lines, s.list()...)
	}
	for len(lines) < s.height-1 {
		lines = append(lines, "")
	}
	v := tea.NewView(strings.Join(append(lines[:max(0, s.height-1)], s.foot()), "\n"))
	v.AltScreen, v.WindowTitle = true, "laterna top"
	return v
}

// head says what is shown of how many, and how they are.
func (s *screen) head() string {
	var count [picture.Ended + 1]int
	for i := range s.all {
		count[s.all[i].State]++
	}
	parts := []string{strong("laterna top"), fmt.Sprintf("%d pods", len(s.all))}
	for state, n := range count {
		if n > 0 {
			parts = append(parts, look(cell{tone: toneOf(picture.State(state))}, fmt.Sprintf("%d %s", n, picture.State(state))))
		}
	}
	if moved := s.clock.System - s.clock.Wall; moved.Abs() > time.Second/2 {
		parts = append(parts, look(cell{tone: late}, fmt.Sprintf("clock moved by %s", moved.Round(time.Second))))
	}
	return strings.Join(parts, "  ")
}

// tabs names the views; the one that is shown stands out.
func (s *screen) tabs() string {
	var parts []string
	for v, title := range titles {
		text := fmt.Sprintf("%d %s", v+1, title)
		if view(v) == s.view {
			text = strong("[" + text + "]")
		} else {
			text = look(cell{tone: faint}, " "+text+" ")
		}
		parts = append(parts, text)
	}
	return strings.Join(parts, " ")
}

func (s *screen) list() []string {
	columns, rows := s.rows()
	lines := []string{s.tabs()}
	if len(rows) == 0 {
		return append(lines, "", look(cell{tone: faint}, s.nothing()))
	}
	sizes := widths(columns, rows, s.width)
	lines = append(lines, line(heads(columns), sizes, look))
	room, chosen := s.room(), s.chosen[s.view]
	first := min(max(0, chosen-room/2), max(0, len(rows)-room))
	for i := first; i < min(len(rows), first+room); i++ {
		if i == chosen {
			plain := line(rows[i].cells, sizes, func(_ cell, text string) string { return text })
			lines = append(lines, reversed(plain, s.width))
			continue
		}
		lines = append(lines, line(rows[i].cells, sizes, look))
	}
	return lines
}

// nothing says why there are no rows.
func (s *screen) nothing() string {
	switch {
	case !s.ready:
		return "Reading the API…"
	case s.filter != "":
		return "Nothing matches; esc shows all."
	case s.view == podsView && len(s.troubles) == 0:
		return "No pods yet. They show up here as soon as they are created."
	}
	return "Nothing to show."
}

func (s *screen) detail() []string {
	p := s.opened()
	if p == nil {
		return []string{"", look(cell{tone: faint}, "The pod is gone; esc goes back.")}
	}
	all := detail(p, s.moment(), s.width)
	room := s.room() + 2
	s.scroll = min(s.scroll, max(0, len(all)-room))
	var lines []string
	for _, cells := range all[s.scroll:min(len(all), s.scroll+room)] {
		left, parts := s.width, []string(nil)
		for _, c := range cells {
			text := fit(c.text, max(0, left), true)
			left -= len([]rune(text)) + 2
			parts = append(parts, look(c, text))
		}
		lines = append(lines, strings.Join(parts, "  "))
	}
	return lines
}

func (s *screen) foot() string {
	switch {
	case s.typing:
		return fit("/"+s.filter+"▏ enter keeps, esc clears", s.width, true)
	case s.open != "":
		return look(cell{tone: faint}, fit("↑↓ scroll  esc back  tab other view  q quit", s.width, true))
	}
	text := "↑↓ move  enter look at  tab view  s sort: " + s.order.String() + "  / filter  q quit"
	if s.filter != "" {
		text = "/" + s.filter + "  esc clears  " + text
	}
	return look(cell{tone: faint}, fit(text, s.width, true))
}
