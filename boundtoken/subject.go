package boundtoken

import (
	"fmt"
	"strings"
)

// subjectPrefix begins the user names of service accounts.
const subjectPrefix = "system:serviceaccount:"

// Greatest lengths in bytes of a namespace's name (RFC 1123 label) and of a service
// account's (RFC 1123 subdomain).
const (
	maxLabel     = 63
	maxSubdomain = 253
)

// Subject is a service account: its namespace and its name, both as Kubernetes allows
// them. As text it is the claim sub, which is also the account's user name. Subjects are
// made by NewSubject and ParseSubject only and can be compared with ==. The zero value is
// no service account.
type Subject struct{ namespace, name string }

// NewSubject returns the subject of a service account. Namespaces are labels, names
// subdomains of RFC 1123.
func NewSubject(namespace, name string) (Subject, error) {
	if len(namespace) > maxLabel || !isLabel(namespace) {
		return Subject{}, fmt.Errorf("namespace %s of a service account is not a lower case RFC 1123 label", quote(namespace))
	}
	if len(name) > maxSubdomain {
		return Subject{}, fmt.Errorf("name %s of a service account is longer than %d bytes", quote(name), maxSubdomain)
	}
	for label := range strings.SplitSeq(name, ".") {
		if !isLabel(label) {
			return Subject{}, fmt.Errorf("name %s of a service account is not a lower case RFC 1123 subdomain", quote(name))
		}
	}
	return Subject{namespace, name}, nil
}

// ParseSubject reads the claim sub, "system:serviceaccount:NAMESPACE:NAME".
func ParseSubject(text string) (Subject, error) {
	rest, ok := strings.CutPrefix(text, subjectPrefix)
	namespace, name, both := strings.Cut(rest, ":")
	if !ok || !both {
		return Subject{}, fmt.Errorf("subject %s is not of the form %sNAMESPACE:NAME", quote(text), subjectPrefix)
	}
	s, err := NewSubject(namespace, name)
	if err != nil {
		return Subject{}, fmt.Errorf("subject %s: %v", quote(text), err)
	}
	return s, nil
}

// isLabel tells whether s consists of a-z, 0-9 and -, and neither begins nor ends with -.
func isLabel(s string) bool {
	for i := range len(s) {
		switch c := s[i]; {
		case 'a' <= c && c <= 'z', '0' <= c && c <= '9':
		case c == '-' && i > 0 && i < len(s)-1:
		default:
			return false
		}
	}
	return s != ""
}

// Namespace returns the service account's namespace.
func (s Subject) Namespace() string { return s.namespace }

// Name returns the service account's name.
func (s Subject) Name() string { return s.name }

// IsZero tells whether s is the zero value, which is no service account.
func (s Subject) IsZero() bool { return s == Subject{} }

// String returns the claim sub, "" for the zero value.
func (s Subject) String() string {
	if s.IsZero() {
		return ""
	}
	return subjectPrefix + s.namespace + ":" + s.name
}

// MarshalText implements encoding.TextMarshaler. The zero value has no text.
func (s Subject) MarshalText() ([]byte, error) {
	if s.IsZero() {
		return nil, fmt.Errorf("encoding a subject that is not set")
	}
	return []byte(s.String()), nil
}

// UnmarshalText implements encoding.TextUnmarshaler; it is ParseSubject.
func (s *Subject) UnmarshalText(text []byte) (err error) {
	*s, err = ParseSubject(string(text))
	return err
}
