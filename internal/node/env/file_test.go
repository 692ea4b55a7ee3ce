package env

import (
	"strings"
	"testing"
)

func TestParseFile(t *testing.T) {
	const at = "invalid environment variable format at line "
	for name, tt := range map[string]struct{ text, want, err string }{
		"empty file":                    {"", "", ""},
		"first of several":              {"K='1'\nK='2'\n", "1", ""},
		"other keys before":             {"A='1'\nK='2'", "2", ""},
		"key is not a part of a name":   {"KK='1'\nAK='2'\n", "", ""},
		"blanks before the name":        {" \t K='v'\n", "v", ""},
		"blank lines and comments":      {"\n  \n# K='c'\n\t# x\nK='v'\n", "v", ""},
		"comment after":                 {"K='v' # more\n", "v", ""},
		"comment after, no blank":       {"K='v'#more\n", "v", ""},
		"blanks after":                  {"K='v' \t\n", "v", ""},
		"taken as it stands":            {`K='  $X ${Y} \n "q" # = '` + "\n", `  $X ${Y} \n "q" # = `, ""},
		"empty":                         {"K=''\n", "", ""},
		"several lines":                 {"K='a\n  b\n\n#c\n'\n", "a\n  b\n\n#c\n", ""},
		"several lines of another key":  {"A='a\nK='\nK='v'\n", "v", ""},
		"ends of lines as on Windows":   {"A='1'\r\n\r\nK='a\r\nb'\r\n", "a\nb", ""},
		"blank after =":                 {"K= 'v'\n", "", ""},
		"blank after = of another key":  {"A= 'v'\nK='w'\n", "w", ""},
		"unicode":                       {"GRÖẞE='z'\nK='日本 🌍'\n", "日本 🌍", ""},
		"a name with a blank inside":    {"export A='1'\nK='v'\n", "v", ""},
		"what follows is not looked at": {"K='v'\n???\n", "v", ""},

		"no =":                    {"A='1'\nK\n", "", at + "2: missing '='"},
		"no name":                 {"='1'\n", "", at + "1: empty variable name"},
		"blank instead of a name": {"A='1'\n\t='1'\n", "", at + "2: empty variable name"},
		"blank before =":          {"K ='v'\n", "", at + "1: whitespace before '=' is not allowed"},
		"no quotes":               {"K=v\n", "", at + "1: value must be enclosed in single quotes"},
		"nothing after =":         {"K=\n", "", at + "1: value must be enclosed in single quotes"},
		"double quotes":           {"K=\"v\"\n", "", at + "1: value must be enclosed in single quotes"},
		"two values":              {"K='v''w'\n", "", at + "1: unexpected content after closing quote"},
		"text after the end":      {"K='a\nb'c\n", "", at + "2: unexpected content after closing quote"},
		"a fault before the key":  {"A=1\nK='v'\n", "", at + "1: value must be enclosed in single quotes"},
		"not closed":              {"A='1'\nK='v\n\n", "", "invalid environment variable format starting at line 2: unclosed single quote"},
		"not closed, last line":   {"K='v", "", "invalid environment variable format starting at line 1: unclosed single quote"},
	} {
		got, err := ParseFile(tt.text, "K")
		if got != tt.want || (err == nil) != (tt.err == "") || err != nil && err.Error() != tt.err {
			t.Errorf("%s: %q, %v; want %q, %q", name, got, err, tt.want, tt.err)
		}
	}
}

// FuzzParseFile writes a value the one way that a file can have it, and reads
// anything.
func FuzzParseFile(f *testing.F) {
	for _, s := range []string{"v", "a\nb", "K='1'\n", "'", "\r", "# x", "A= 'q'", "A='1' #\nB='2\n3'"} {
		f.Add(s, s)
	}
	f.Fuzz(func(t *testing.T, text, value string) {
		got, err := ParseFile(text, "KEY")
		if err != nil && (got != "" || text != "" && len(text) > 40 && strings.Contains(err.Error(), text)) {
			t.Errorf("%q with error %v", got, err)
		}
		if strings.ContainsAny(value, "'\r") {
			return
		}
		if got, err := ParseFile("# c\nA='x'\nKEY='"+value+"' # c\n"+text, "KEY"); got != value || err != nil {
			t.Errorf("%q, %v; want %q", got, err, value)
		}
	})
}
