package compat

import "testing"

// TestInspectorInABrowser has a browser look at the page at /projections/.
func TestInspectorInABrowser(t *testing.T) {
	s := newStage(t)
	t.Cleanup(func() { s.sh(t, "kubectl delete namespace --wait=false inspected inspected-calls") })
	s.looksAt(t, "inspector", s.proxy(t, "--port=0"))
}
