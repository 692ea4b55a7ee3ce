package onupdate

import (
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

const example = "{volumes: [config], container: web, signal: SIGHUP}"

// actions are the fields of which a rule has one.
var actions = []string{"signal", "exec", "restart", "check"}

// Parse reads an annotation. Its error is of type Errors: unknown or repeated fields,
// wrong types and values, rules without an action or with two. What the rules say of
// the pod is left to Validate.
func Parse(text string) ([]Rule, error) {
	var m mistakes
	list := document(&m, text)
	if list == nil {
		return nil, m.err()
	}
	if len(list.Content) > MaxRules {
		m.node(list, "has %d rules, the limit is %d", len(list.Content), MaxRules)
		return nil, m.err()
	}
	rules := make([]Rule, 0, len(list.Content))
	for _, n := range list.Content {
		rules = append(rules, parseRule(&m, n))
	}
	if err := m.err(); err != nil {
		return nil, err
	}
	return rules, nil
}

// parseRule reads one rule. What is wrong in it is left out.
func parseRule(m *mistakes, n *yaml.Node) Rule {
	r := Rule{at: places{rule: placeOf(n)}}
	fields, order := mapping(m, n)
	if fields == nil {
		return r
	}
	if v := fields["volumes"]; v != nil {
		r.Volumes, r.at.volumes = parseVolumes(m, v)
	} else {
		m.at(r.at.rule, "", "the rule names no volumes: add volumes: [config]")
	}
	if v := fields["container"]; v != nil {
		r.at.container = placeOf(v)
		r.Container, _ = text(m, v, "the name of a container")
	} else {
		m.at(r.at.rule, "", "the rule names no container: add container: web")
	}
	parseAction(m, &r, fields, order)
	return r
}

func parseVolumes(m *mistakes, n *yaml.Node) (names []string, at []place) {
	if n.Kind != yaml.SequenceNode {
		m.node(n, "volumes is a list of names: write [%s]", word(n, "config"))
		return nil, nil
	}
	if len(n.Content) == 0 || len(n.Content) > MaxVolumes {
		m.node(n, "volumes has %d names, it must have 1 to %d", len(n.Content), MaxVolumes)
	}
	for _, v := range n.Content {
		name, ok := text(m, v, "the name of a volume")
		if ok && slices.Contains(names, name) {
			m.node(v, "volume %q is named twice in this rule", name)
		}
		names, at = append(names, name), append(at, placeOf(v))
	}
	return names, at
}

// parseAction reads what the rule does. order has its fields' names as nodes.
func parseAction(m *mistakes, r *Rule, fields map[string]*yaml.Node, order []*yaml.Node) {
	var found []*yaml.Node
	for _, key := range order {
		if slices.Contains(actions, key.Value) {
			found = append(found, key)
		}
	}
	if len(found) == 0 {
		m.at(r.at.rule, "", "the rule does nothing: add one of %s", strings.Join(actions, ", "))
		return
	}
	for _, key := range found[1:] {
		m.node(key, "a rule does one thing and this one has %s already: make %s a rule of its own", found[0].Value, key.Value)
	}
	v := fields[found[0].Value]
	r.at.action = placeOf(v)
	switch found[0].Value {
	case "signal":
		r.Signal = parseSignal(m, v)
	case "restart":
		r.Restart = parseTrue(m, v)
	case "exec":
		r.Exec = parseCommand(m, v, "exec")
	case "check":
		r.Check = parseCommand(m, v, "check")
	}
	checkCandidate(m, r)
	parseTimeout(m, r, fields["timeout"], found[0].Value)
}

// checkCandidate requires checks to look at what is to be published, which is of no
// use to other commands.
func checkCandidate(m *mistakes, r *Rule) {
	if len(r.Check) > 0 && !slices.ContainsFunc(r.Check, mentions) {
		m.at(r.at.action, "", "no argument has %s, the directory with the new files: the check would look at the files that are published already", Candidate)
	}
	if slices.ContainsFunc(r.Exec, mentions) {
		m.at(r.at.action, "", "%s is for check only: exec runs when the new files are in the volume", Candidate)
	}
}
