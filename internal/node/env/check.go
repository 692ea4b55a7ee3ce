package env

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// check refuses an environment that no container can be started with, and says so
// better than what would fail later: the runtime's API carries UTF-8 only, and the
// kernel passes strings that end with a zero and are of limited length.
func check(vars []Var) error {
	for _, v := range vars {
		if len(v.Name)+len("=")+len(v.Value) > mostString() {
			return tooLong(v.Name)
		}
		if problem := untransferable(v.Value); problem != "" {
			return fmt.Errorf("environment variable %q: its value %s", v.Name, problem)
		}
		if problem := untransferable(v.Name); problem != "" {
			return fmt.Errorf("environment variable %q: its name %s", v.Name, problem)
		}
	}
	return nil
}

var errTooLarge = fmt.Errorf("the environment is too large: more than %d bytes", mostTotal)

func tooLong(name string) error {
	return fmt.Errorf("environment variable %q is too long: Linux passes at most %d bytes, with the name", name, mostString())
}

// untransferable says what is wrong with a string, "" when nothing is.
func untransferable(s string) string {
	switch {
	case strings.IndexByte(s, 0) >= 0:
		return "has a zero byte; use a volume for binary data"
	case !utf8.ValidString(s):
		return "is not UTF-8; use a volume for binary data"
	}
	return ""
}
