package onupdate

import (
	"fmt"
	"strings"

	"go.yaml.in/yaml/v3"
)

// place is a position in the annotation; lines and columns count from 1, columns in
// characters. The zero value is no position.
type place struct{ line, column int }

func placeOf(n *yaml.Node) place { return place{n.Line, n.Column} }

// Error is one mistake in an annotation.
type Error struct {
	// Line and Column count from 1. Column is 0 when only the line is known, both are
	// for a rule that was not parsed.
	Line, Column int
	// Value is what stands there, shortened; empty when it is not a single word.
	Value string
	// Message says what is wrong and what to write instead.
	Message string
}

// Error implements error: the position and the message.
func (e *Error) Error() string {
	switch {
	case e.Line == 0:
		return e.Message
	case e.Column == 0:
		return fmt.Sprintf("line %d: %s", e.Line, e.Message)
	}
	return fmt.Sprintf("line %d, column %d: %s", e.Line, e.Column, e.Message)
}

// Errors are the mistakes of an annotation, in no particular order.
type Errors []*Error

// Error implements error: all mistakes in one line.
func (e Errors) Error() string {
	texts := make([]string, len(e))
	for i, one := range e {
		texts[i] = one.Error()
	}
	return strings.Join(texts, "; ")
}

// maxErrors is how many mistakes are told at once, maxValue how much of a wrong word.
const maxErrors, maxValue = 10, 64

// mistakes collects errors.
type mistakes struct{ found Errors }

func (m *mistakes) at(p place, value, format string, args ...any) {
	if len(m.found) >= maxErrors {
		return
	}
	if len(value) > maxValue {
		value = strings.ToValidUTF8(value[:maxValue], "") + "…"
	}
	m.found = append(m.found, &Error{Line: p.line, Column: p.column, Value: value, Message: fmt.Sprintf(format, args...)})
}

// node is at for what stands at a node.
func (m *mistakes) node(n *yaml.Node, format string, args ...any) {
	m.at(placeOf(n), n.Value, format, args...)
}

// err is nil when there are no mistakes.
func (m *mistakes) err() error {
	if len(m.found) == 0 {
		return nil
	}
	return m.found
}
