package onupdate

import (
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// signals are those that programs handle to be told something. Others end or stop a
// program, or say that it is broken.
var signals = []string{
	"SIGHUP", "SIGINT", "SIGQUIT", "SIGUSR1", "SIGUSR2", "SIGALRM", "SIGTERM", "SIGCONT", "SIGWINCH", "SIGURG", "SIGIO", "SIGPWR",
}

// numbers are signals as some write them; the same on all architectures of Linux that
// this program runs on.
var numbers = map[string]string{
	"1": "SIGHUP", "2": "SIGINT", "3": "SIGQUIT", "10": "SIGUSR1", "12": "SIGUSR2", "14": "SIGALRM", "15": "SIGTERM",
	"18": "SIGCONT", "23": "SIGURG", "28": "SIGWINCH", "29": "SIGIO", "30": "SIGPWR",
}

// parseSignal returns a signal's name with its prefix.
func parseSignal(m *mistakes, n *yaml.Node) string {
	if name := numbers[n.Value]; n.Kind == yaml.ScalarNode && name != "" {
		m.node(n, "signals are given by name: write %s", name)
		return ""
	}
	given, ok := text(m, n, "the name of a signal such as SIGHUP")
	if !ok {
		return ""
	}
	upper := strings.ToUpper(given)
	name := "SIG" + strings.TrimPrefix(upper, "SIG")
	switch {
	case name == "SIGKILL" || name == "SIGSTOP":
		m.node(n, "no program can handle %s: to end and start the container, write restart: true", name)
	case !slices.Contains(signals, name):
		m.node(n, "unknown signal: it can be %s", strings.Join(signals, ", "))
	case upper != given:
		m.node(n, "signals are in upper case: write %s", name)
	default:
		return name
	}
	return ""
}
