package browser

import (
	"fmt"
	"os"
	"strings"
)

// finding is a rule of axe-core that a page breaks.
type finding struct {
	ID     string
	Impact string
	Help   string
	Nodes  []struct {
		HTML           string
		FailureSummary string
	}
}

// String names the rule, and the first elements that break it.
func (f finding) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s (%s): %s, %d times", f.ID, f.Impact, f.Help, len(f.Nodes))
	for _, n := range f.Nodes[:min(3, len(f.Nodes))] {
		fmt.Fprintf(&b, "\n  %.300s\n    %s", n.HTML, strings.ReplaceAll(n.FailureSummary, "\n", "\n    "))
	}
	return b.String()
}

// Accessible fails the test where axe-core finds something that people cannot use, on the
// page as it is now: call it in each state and colour that the page has. except are
// selectors of what others have made.
func (p *Page) Accessible(except ...string) {
	p.t.Helper()
	for _, f := range p.axe(except) {
		p.t.Error(f)
	}
}

func (p *Page) axe(except []string) []finding {
	p.t.Helper()
	// Tests run in the directories of their packages, beside each other.
	script, err := os.ReadFile("../node_modules/axe-core/axe.min.js")
	if err != nil {
		p.t.Fatalf("%v: run make test-deps", err)
	}
	if !Eval[bool](p, `typeof axe === "object"`) {
		// The debugger's scripts are not held to the page's content security policy.
		Eval[bool](p, string(script)+";true")
	}
	var exclude []string
	for _, selector := range except {
		exclude = append(exclude, "["+asScript(selector)+"]")
	}
	return Eval[[]finding](p, "axe.run({include: [['html']], exclude: ["+strings.Join(exclude, ",")+"]}, {resultTypes: ['violations']}).then(r => r.violations)")
}
