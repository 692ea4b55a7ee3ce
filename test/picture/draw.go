package main

import (
	"bytes"
	"fmt"
	"html"
	"strings"
	"unicode/utf8"
)

// Sizes of the drawing in pixels. The width of a character is that of the widest of the
// usual fonts.
const (
	lineHeight = 19
	charWidth  = 8.5
	margin     = 16
	title      = 30
)

// style has colours for light and dark surroundings, both with more contrast than the
// 4.5 : 1 that WCAG asks for.
const style = `
text { font: 14px ui-monospace, SFMono-Regular, Menlo, Consolas, "DejaVu Sans Mono", monospace; white-space: pre; fill: #24292f }
.w { fill: #f6f8fa; stroke: #d0d7de }
.d { fill: #afb8c1 }
.p { fill: #1a7f37 }
.c { font-weight: 600 }
.r { fill: #57606a }
@media (prefers-color-scheme: dark) {
text { fill: #e6edf3 }
.w { fill: #161b22; stroke: #30363d }
.d { fill: #484f58 }
.p { fill: #3fb950 }
.r { fill: #9198a1 }
}
`

// draw returns lines of a terminal as an SVG. Remarks and commands stand out.
func draw(lines []string) []byte {
	longest, remarks := 0, 0
	for i, line := range lines {
		longest = max(longest, utf8.RuneCountInString(line))
		if i > 0 && strings.HasPrefix(line, "# ") {
			remarks++
		}
	}
	width, height := int(float64(longest)*charWidth)+2*margin, title+(len(lines)+1)*lineHeight+remarks*lineHeight/2
	var b bytes.Buffer
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" viewBox="0 0 %[1]d %[2]d" role="img">`+"\n", width, height)
	fmt.Fprintf(&b, "<title>A terminal: Laterna starts, a file follows its ConfigMap, a token is rotated</title>\n<style>%s</style>\n", style)
	fmt.Fprintf(&b, `<rect class="w" x="0.5" y="0.5" width="%d" height="%d" rx="8"/>`+"\n", width-1, height-1)
	for i := range 3 {
		fmt.Fprintf(&b, `<circle class="d" cx="%d" cy="18" r="5"/>`+"\n", margin+6+i*18)
	}
	y := title + lineHeight
	for i, line := range lines {
		if i > 0 && strings.HasPrefix(line, "# ") {
			y += lineHeight / 2
		}
		fmt.Fprintf(&b, `<text x="%d" y="%d" xml:space="preserve"%s</text>`+"\n", margin, y, content(line))
		y += lineHeight
	}
	b.WriteString("</svg>\n")
	return b.Bytes()
}

// content is the rest of a text element: what follows its position.
func content(line string) string {
	if command, ok := strings.CutPrefix(line, "$ "); ok {
		return `><tspan class="p">$ </tspan><tspan class="c">` + html.EscapeString(command) + "</tspan>"
	}
	if strings.HasPrefix(line, "# ") {
		return ` class="r">` + html.EscapeString(line)
	}
	return ">" + html.EscapeString(line)
}
