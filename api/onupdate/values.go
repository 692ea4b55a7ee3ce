package onupdate

import (
	"regexp"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

// text reads a word. want says what it should be.
func text(m *mistakes, n *yaml.Node, want string) (string, bool) {
	switch {
	case n.Kind != yaml.ScalarNode || n.ShortTag() == "!!null":
		m.node(n, "want %s", want)
	case n.ShortTag() != "!!str":
		m.node(n, "want %s: put it in quotes, %q", want, n.Value)
	case n.Value == "":
		m.node(n, "want %s, not an empty text", want)
	default:
		return n.Value, true
	}
	return "", false
}

// word is a scalar's text where it can stand in an example, else the example's own.
func word(n *yaml.Node, example string) string {
	if n.Kind == yaml.ScalarNode && plain.MatchString(n.Value) {
		return n.Value
	}
	return example
}

var plain = regexp.MustCompile(`^[A-Za-z0-9./_-]{1,64}$`)

func parseTrue(m *mistakes, n *yaml.Node) bool {
	value := false
	if n.Kind != yaml.ScalarNode || n.ShortTag() != "!!bool" || n.Decode(&value) != nil || !value {
		m.node(n, "restart is true or left out")
	}
	return value
}

func parseCommand(m *mistakes, n *yaml.Node, field string) []string {
	if n.Kind != yaml.SequenceNode {
		words := []string{"nginx", "-s", "reload"}
		if given := strings.Fields(n.Value); len(given) > 0 && len(n.Value) <= maxValue && plain.MatchString(strings.Join(given, "")) {
			words = given
		}
		m.node(n, "%s is a list of arguments and runs without a shell: write [%s]", field, strings.Join(words, ", "))
		return nil
	}
	if len(n.Content) == 0 || len(n.Content) > MaxArguments {
		m.node(n, "%s has %d arguments, it must have 1 to %d", field, len(n.Content), MaxArguments)
		return nil
	}
	var command []string
	for i, v := range n.Content {
		command = append(command, parseArgument(m, v, i == 0))
	}
	return command
}

func parseArgument(m *mistakes, n *yaml.Node, program bool) string {
	if n.Kind == yaml.ScalarNode && n.ShortTag() == "!!str" && n.Value == "" && !program {
		return "" // an empty argument is one
	}
	want := "an argument"
	if program {
		want = "the name of a program"
	}
	arg, _ := text(m, n, want)
	switch {
	case len(arg) > MaxArgument:
		m.node(n, "the argument has %d bytes, the limit is %d", len(arg), MaxArgument)
	case strings.ContainsRune(arg, 0):
		m.at(placeOf(n), "", "arguments cannot have a NUL character")
	}
	return arg
}

// parseTimeout reads the time of a command; n is nil when the rule has none.
func parseTimeout(m *mistakes, r *Rule, n *yaml.Node, action string) {
	command := action == "exec" || action == "check"
	switch {
	case n == nil && command:
		r.Timeout = DefaultTimeout
		return
	case n == nil:
		return
	case !command:
		m.node(n, "timeout is for exec and check, this rule has %s", action)
		return
	}
	if number(n) {
		m.node(n, "the timeout has no unit: write %ss", n.Value)
		return
	}
	if n.Kind != yaml.ScalarNode || n.ShortTag() != "!!str" {
		m.node(n, "want a duration such as 10s or 1m30s")
		return
	}
	d, err := time.ParseDuration(n.Value)
	switch {
	case err != nil:
		m.node(n, "want a duration such as 10s or 1m30s")
	case d < MinTimeout || d > MaxTimeout:
		m.node(n, "the timeout must be from %s to %s", MinTimeout, MaxTimeout)
	case d%time.Second != 0:
		m.node(n, "the timeout must be whole seconds, as container runtimes count them")
	}
	r.Timeout = d
}

func number(n *yaml.Node) bool {
	if n.Kind != yaml.ScalarNode || n.ShortTag() != "!!int" {
		return false
	}
	_, err := strconv.Atoi(n.Value)
	return err == nil
}
