package env

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"

	corev1 "k8s.io/api/core/v1"
)

// ParseFile returns the value of key in an env file (KEP-3721), "" when it has none.
//
// The syntax is a small part of a shell's: NAME='value', where the value is taken as
// it stands and may span lines, and nothing but a comment may follow. Blank lines,
// lines that begin with # and blanks at the beginning of a line count for nothing.
// A blank after the = makes the value empty, one before it is an error. What follows
// key is not looked at. Errors say the line and no part of the text, which may be a
// secret.
func ParseFile(text, key string) (string, error) {
	p := fileParser{rest: text}
	for {
		line, ok := p.next()
		if !ok {
			return "", nil
		}
		line = strings.TrimLeft(line, blanks)
		if line == "" || line[0] == '#' {
			continue
		}
		name, value, err := p.variable(line)
		if err != nil {
			return "", err
		}
		if name == key {
			return value, nil
		}
	}
}

const blanks = " \t"

// fileParser cuts a text into lines.
type fileParser struct {
	rest string
	line int // number of the last line that next returned
}

// next returns the next line without its end, which may be CR LF.
func (p *fileParser) next() (line string, ok bool) {
	if p.rest == "" {
		return "", false
	}
	p.line++
	line, p.rest, _ = strings.Cut(p.rest, "\n")
	return strings.TrimSuffix(line, "\r"), true
}

// variable reads the variable that begins with line.
func (p *fileParser) variable(line string) (name, value string, err error) {
	name, rest, found := strings.Cut(line, "=")
	switch {
	case !found:
		return "", "", p.invalid("missing '='")
	case strings.TrimRight(name, blanks) == "":
		return "", "", p.invalid("empty variable name")
	case strings.TrimRight(name, blanks) != name:
		return "", "", p.invalid("whitespace before '=' is not allowed")
	case rest != strings.TrimLeft(rest, blanks):
		return name, "", nil
	}
	rest, quoted := strings.CutPrefix(rest, "'")
	if !quoted {
		return "", "", p.invalid("value must be enclosed in single quotes")
	}
	value, err = p.quoted(rest)
	return name, value, err
}

// quoted reads up to the closing quote, which may be some lines away.
func (p *fileParser) quoted(rest string) (string, error) {
	var value strings.Builder
	for start := p.line; ; {
		part, after, closed := strings.Cut(rest, "'")
		value.WriteString(part)
		if closed {
			after = strings.TrimLeft(after, blanks)
			if after != "" && after[0] != '#' {
				return "", p.invalid("unexpected content after closing quote")
			}
			return value.String(), nil
		}
		value.WriteByte('\n')
		line, ok := p.next()
		if !ok {
			return "", fmt.Errorf("invalid environment variable format starting at line %d: unclosed single quote", start)
		}
		rest = line
	}
}

func (p *fileParser) invalid(what string) error {
	return fmt.Errorf("invalid environment variable format at line %d: %s", p.line, what)
}

// fileKey is the value of a key in a file of a volume. A missing file, a missing key
// and an empty value are the same: an error unless the reference is optional.
func (b *builder) fileKey(ref *corev1.FileKeySelector) (value string, found bool, err error) {
	data, err := b.look.File(ref)
	switch {
	case errors.Is(err, fs.ErrNotExist) && isTrue(ref.Optional):
		return "", false, nil
	case errors.Is(err, fs.ErrNotExist):
		return "", false, fmt.Errorf("couldn't parse env file %q in volume %q: no such file", ref.Path, ref.VolumeName)
	case err != nil:
		return "", false, fmt.Errorf("couldn't parse env file %q in volume %q: %w", ref.Path, ref.VolumeName, err)
	}
	value, err = ParseFile(string(data), ref.Key)
	switch {
	case err != nil:
		return "", false, fmt.Errorf("couldn't parse env file %q in volume %q: %w", ref.Path, ref.VolumeName, err)
	case value == "" && !isTrue(ref.Optional):
		return "", false, fmt.Errorf("environment variable key %q not found in file %q of volume %q", ref.Key, ref.Path, ref.VolumeName)
	}
	return value, value != "", nil
}
