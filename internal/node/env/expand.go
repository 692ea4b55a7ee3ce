package env

import (
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
)

// Expand replaces each $(NAME) in s by what get returns for NAME. A name that get
// does not know stays as written, "$$" becomes "$", and so "$$(NAME)" is the
// literal "$(NAME)"; an unterminated "$(" and a lone "$" stay as they are.
func Expand(s string, get func(name string) (string, bool)) string {
	if !strings.Contains(s, "$") {
		return s
	}
	var out strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] != '$' || i+1 == len(s) {
			out.WriteByte(s[i])
			continue
		}
		switch s[i+1] {
		case '$':
			out.WriteByte('$')
			i++
		case '(':
			end := strings.IndexByte(s[i+2:], ')')
			if end < 0 {
				out.WriteString("$(")
				i++
				continue
			}
			name := s[i+2 : i+2+end]
			if value, ok := get(name); ok {
				out.WriteString(value)
			} else {
				out.WriteString("$(" + name + ")")
			}
			i += 2 + end
		default:
			out.WriteByte('$')
		}
	}
	return out.String()
}

// ExpandAll is Expand where every name must be known.
func ExpandAll(s string, vars []Var) (string, error) {
	values, missing := valuesOf(vars), ""
	out := Expand(s, func(name string) (string, bool) {
		v, ok := values[name]
		if !ok && missing == "" {
			missing = name
		}
		return v, ok
	})
	if missing != "" {
		return "", fmt.Errorf("missing value for %q", missing)
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
// its environment.
func Command(c *corev1.Container, vars []Var) (command, args []string) {
	values := valuesOf(vars)
	get := func(name string) (string, bool) { v, ok := values[name]; return v, ok }
	for _, s := range c.Command {
		command = append(command, Expand(s, get))
	}
	for _, s := range c.Args {
		args = append(args, Expand(s, get))
	}
	return command, args
}
