package top

import (
	"strings"
	"unicode/utf8"

	"laterna.dev/laterna/internal/top/picture"
)

// tone is what a cell is to look like.
type tone int

const (
	usual tone = iota
	good
	late
	bad
	faint
)

// cell is one of a table.
type cell struct {
	text string
	tone tone
}

// row is a line of a table, about a pod. part tells rows about one pod apart.
type row struct {
	cells                []cell
	namespace, pod, part string
}

// same tells whether two rows are about the same thing.
func (r row) same(as row) bool {
	return r.namespace == as.namespace && r.pod == as.pod && r.part == as.part
}

// column has a title, and least is what it is not narrowed below.
type column struct {
	title string
	least int
}

// widths gives columns the room that their cells need; what is more than there is is
// taken from the widest ones.
func widths(columns []column, rows []row, room int) []int {
	out := make([]int, len(columns))
	total := 2 * (len(columns) - 1)
	for i, c := range columns {
		out[i] = utf8.RuneCountInString(c.title)
		for _, r := range rows {
			out[i] = max(out[i], utf8.RuneCountInString(r.cells[i].text))
		}
		total += out[i]
	}
	for ; total > room; total-- {
		widest := -1
		for i, c := range columns {
			if out[i] > c.least && (widest < 0 || out[i] > out[widest]) {
				widest = i
			}
		}
		if widest < 0 {
			break
		}
		out[widest]--
	}
	return out
}

// fit makes text exactly as wide, or as wide at most where it is the last one.
func fit(text string, width int, last bool) string {
	n := utf8.RuneCountInString(text)
	switch {
	case n > width && width > 0:
		return string([]rune(text)[:width-1]) + "…"
	case n > width:
		return ""
	case last:
		return text
	}
	return text + strings.Repeat(" ", width-n)
}

// line puts cells beside each other.
func line(cells []cell, wide []int, look func(cell, string) string) string {
	var b strings.Builder
	for i, c := range cells {
		if i > 0 {
			b.WriteString("  ")
		}
		b.WriteString(look(c, fit(c.text, wide[i], i == len(cells)-1)))
	}
	return b.String()
}

func toneOf(s picture.State) tone {
	switch s {
	case picture.Problem, picture.Rejected:
		return bad
	case picture.Behind, picture.Unreported:
		return late
	case picture.InStep:
		return good
	}
	return faint
}
