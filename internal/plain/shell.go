package plain

import "strings"

// literal are the characters that a shell takes as they are.
const literal = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/._-+:@%,="

// ShellWord returns s as one word of a POSIX shell, for lines that people paste.
func ShellWord(s string) string {
	if s != "" && strings.Trim(s, literal) == "" {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}
