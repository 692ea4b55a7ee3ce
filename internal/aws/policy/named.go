package policy

import (
	"strings"

	"laterna.dev/laterna/internal/aws/arn"
)

// checkPrincipals says whether the principals can exist.
func (s *statement) checkPrincipals() *Malformed {
	for _, p := range s.principals {
		switch p.Type {
		case AWS:
			if !validAWS(p.Value) {
				return InvalidPrincipal(p)
			}
		case Service:
			if !validDomain(p.Value) {
				return InvalidPrincipal(p)
			}
		case Federated:
			if !validFederated(p.Value) {
				return malformed(trustFederated)
			}
		default:
			return InvalidPrincipal(p)
		}
	}
	return nil
}

// validAWS tells whether s is "*", an account, the ARN of an account, user, role or session,
// or a unique id, which stands where an ARN stood whose holder is gone.
func validAWS(s string) bool {
	if s == "*" || arn.ValidAccount(s) || uniqueID(s) {
		return true
	}
	a, err := arn.Parse(s)
	if err != nil || a.Region != "" || !arn.ValidAccount(a.Account) || strings.ContainsAny(s, "*?${} ") {
		return false
	}
	kind, name, _ := strings.Cut(a.Resource, "/")
	switch a.Service {
	case "iam":
		return a.Resource == "root" || (kind == "user" || kind == "role") && name != ""
	case "sts":
		return (kind == "assumed-role" || kind == "federated-user") && name != ""
	}
	return false
}

// uniqueID tells whether s is like AROA… or AIDA….
func uniqueID(s string) bool {
	if len(s) < 16 || len(s) > 128 || s[:4] != "AROA" && s[:4] != "AIDA" {
		return false
	}
	for _, c := range []byte(s) {
		if (c < 'A' || c > 'Z') && (c < '0' || c > '9') {
			return false
		}
	}
	return true
}

// validFederated tells whether s is the ARN of a provider or a domain name.
func validFederated(s string) bool {
	if !strings.HasPrefix(s, "arn:") {
		return validDomain(s)
	}
	a, err := arn.Parse(s)
	if err != nil || a.Service != "iam" || a.Region != "" || !arn.ValidAccount(a.Account) || strings.ContainsAny(s, "*? ") {
		return false
	}
	kind, name, _ := strings.Cut(a.Resource, "/")
	return (kind == "oidc-provider" || kind == "saml-provider") && name != ""
}

// validDomain tells whether s is a domain name of several labels. Which services AWS has is
// in a catalogue that nobody else has: any such name is taken for one.
func validDomain(s string) bool {
	if len(s) > 253 || !strings.Contains(s, ".") {
		return false
	}
	for label := range strings.SplitSeq(s, ".") {
		if label == "" || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' {
			return false
		}
		for _, c := range []byte(label) {
			if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '-' {
				return false
			}
		}
	}
	return true
}
