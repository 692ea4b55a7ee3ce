package env

import (
	"errors"
	"fmt"
	"os"
	"strings"

	corev1 "k8s.io/api/core/v1"
)

// mostTotal bounds an environment or the arguments of a container together, in
// bytes. Linux passes no more to any program, and references to references cannot
// fill the agent's memory.
const mostTotal = 6 << 20

// mostString is the longest argument or NAME=VALUE that Linux passes to a program,
// in bytes: MAX_ARG_STRLEN without the zero at its end.
func mostString() int { return 32*os.Getpagesize() - 1 }

var errTooLong = errors.New("too long")

// Expand replaces each $(NAME) in s by what get returns for NAME. A name that get
// does not know stays as written, "$$" becomes "$", and so "$$(NAME)" is the
// literal "$(NAME)"; an unterminated "$(" and a lone "$" stay as they are. The error
// says that the result would be longer than most bytes.
func Expand(s string, most int, get func(name string) (string, bool)) (string, error) {
	var out strings.Builder
	// No reference begins in the bytes after the last parenthesis.
	tail := len(s) - 1 - strings.LastIndexByte(s, ')')
	for s != "" {
		literal, reference, rest := next(s, len(s)-1-tail)
		if reference != "" {
			value, ok := get(reference[len("$(") : len(reference)-len(")")])
			if !ok {
				value = reference
			}
			literal += value
		}
		if out.Len()+len(literal) > most {
			return "", errTooLong
		}
		out.WriteString(literal)
		s = rest
	}
	return out.String(), nil
}

// next splits s after its first reference or escaped "$". last is where its last
// parenthesis closes.
func next(s string, last int) (literal, reference, rest string) {
	for i := 0; i+1 < len(s); i++ {
		switch {
		case s[i] != '$':
		case s[i+1] == '$':
			return s[:i+1], "", s[i+2:]
		case s[i+1] == '(' && i < last:
			end := i + strings.IndexByte(s[i:], ')')
			return s[:i], s[i : end+1], s[end+1:]
		}
	}
	return s, "", ""
}

// ExpandAll is Expand where every name must be known.
func ExpandAll(s string, vars []Var) (string, error) {
	values, missing := valuesOf(vars), ""
	out, err := Expand(s, mostString(), func(name string) (string, bool) {
		v, ok := values[name]
		if !ok && missing == "" {
			missing = name
		}
		return v, ok
	})
	if missing != "" {
		return "", fmt.Errorf("missing value for %q", missing)
	}
	if err != nil {
		return "", fmt.Errorf("too long: more than %d bytes", mostString())
	}
	return out, nil
}

func valuesOf(vars []Var) map[string]string {
	values := make(map[string]string, len(vars))
	for _, v := range vars {
		values[v.Name] = v.Value
	}
	return values
}

// Command returns the container's command and arguments with $(VAR) replaced from
// its environment. It refuses what no program can be started with.
func Command(c *corev1.Container, vars []Var) (command, args []string, err error) {
	values, total := valuesOf(vars), 0
	get := func(name string) (string, bool) { v, ok := values[name]; return v, ok }
	expand := func(field string, list []string) (out []string, err error) {
		for i, s := range list {
			text, err := Expand(s, mostString(), get)
			if total += len(text); err == nil && total > mostTotal {
				err = errTooLong
			}
			if err != nil {
				return nil, fmt.Errorf("%s[%d] is too long: Linux passes at most %d bytes in one argument", field, i, mostString())
			}
			if problem := untransferable(text); problem != "" {
				return nil, fmt.Errorf("%s[%d] %s", field, i, problem)
			}
			out = append(out, text)
		}
		return out, nil
	}
	if command, err = expand("command", c.Command); err == nil {
		args, err = expand("args", c.Args)
	}
	return command, args, err
}
