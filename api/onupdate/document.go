package onupdate

import (
	"errors"
	"io"
	"regexp"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// fieldNames are the fields of a rule.
var fieldNames = []string{"volumes", "container", "signal", "exec", "restart", "check", "timeout"}

// document returns the list that the annotation must be, nil when it is none. It is
// read node by node: nothing is expanded, so the work is linear in the text.
func document(m *mistakes, content string) *yaml.Node {
	if len(content) > MaxText {
		m.at(place{}, "", "has %d bytes, the limit is %d", len(content), MaxText)
		return nil
	}
	dec := yaml.NewDecoder(strings.NewReader(lead + content))
	var doc, more yaml.Node
	err := dec.Decode(&doc)
	if errors.Is(err, io.EOF) || err == nil && blank(&doc) {
		m.at(place{}, "", "is empty: write a list of rules such as [%s], or remove the annotation", example)
		return nil
	}
	if err != nil {
		syntax(m, content, err)
		return nil
	}
	if err := dec.Decode(&more); !errors.Is(err, io.EOF) {
		if err != nil {
			syntax(m, content, err)
		} else {
			m.at(place{more.Line - 1, more.Column}, "", "want one list, found a second YAML document")
		}
		return nil
	}
	shift(&doc)
	list := doc.Content[0]
	if !usable(m, list) {
		return nil
	}
	if list.Kind != yaml.SequenceNode {
		m.node(list, "want a list of rules: begin each with a dash, - %s", example)
		return nil
	}
	return list
}

func blank(doc *yaml.Node) bool {
	return len(doc.Content) == 0 || doc.Content[0].Kind == yaml.ScalarNode && doc.Content[0].ShortTag() == "!!null"
}

// lead stands before the annotation while it is parsed: the parser leaves out the
// position of mistakes in a text's first line.
const lead = "#\n"

// shift takes the lead off all positions.
func shift(n *yaml.Node) {
	n.Line--
	for _, c := range n.Content {
		shift(c)
	}
}

// usable refuses what would make a text mean more than it says: aliases, and types of
// one's own.
func usable(m *mistakes, n *yaml.Node) bool {
	switch {
	case n.Kind == yaml.AliasNode:
		m.at(placeOf(n), "*"+n.Value, "aliases are not supported: write it out")
	case n.Anchor != "":
		m.at(placeOf(n), "&"+n.Anchor, "anchors are not supported: write it out")
	case n.Style&yaml.TaggedStyle != 0:
		m.at(placeOf(n), n.Tag, "tags are not supported: leave %s out", n.Tag)
	default:
		for _, c := range n.Content {
			if !usable(m, c) {
				return false
			}
		}
		return true
	}
	return false
}

// mapping returns the values of a rule by field, and the fields in their order; nil
// when the rule is none.
func mapping(m *mistakes, n *yaml.Node) (fields map[string]*yaml.Node, order []*yaml.Node) {
	if n.Kind != yaml.MappingNode {
		m.node(n, "want a rule such as %s", example)
		return nil, nil
	}
	fields = map[string]*yaml.Node{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		switch {
		case key.Kind != yaml.ScalarNode || !known(key.Value):
			m.node(key, "unknown field: a rule has %s", strings.Join(fieldNames, ", "))
		case fields[key.Value] != nil:
			m.node(key, "field %s is given twice", key.Value)
		default:
			fields[key.Value] = value
			order = append(order, key)
		}
	}
	return fields, order
}

func known(name string) bool {
	for _, f := range fieldNames {
		if f == name {
			return true
		}
	}
	return false
}

var syntaxError = regexp.MustCompile(`^yaml: (?:line (\d+): )?(.*)$`)

// syntax records a text that is no YAML. The parser tells only the line: counted from
// 0 for errors of structure, from 1 for those of single characters.
func syntax(m *mistakes, content string, err error) {
	parts := syntaxError.FindStringSubmatch(err.Error())
	if parts == nil {
		m.at(place{}, "", "is not YAML: %s", err)
		return
	}
	line, _ := strconv.Atoi(parts[1])
	if !structural.MatchString(parts[2]) {
		line--
	}
	last := strings.Count(strings.TrimRight(content, "\n"), "\n") + 1 // a text may end before it should
	m.at(place{line: min(max(line, 0), last)}, "", "is not YAML: %s", parts[2])
}

var structural = regexp.MustCompile(`^did not find expected (node content|key|'[,-]'|<document start>|<stream-start>)|^found (undefined tag handle|duplicate %|incompatible YAML)`)
