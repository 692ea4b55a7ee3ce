package arn

import (
	"fmt"
	"strings"
)

// Owner is whose a resource of IAM is.
type Owner struct {
	Partition, Account string
}

// ARN returns the name of a resource of the service, which knows no regions.
func (o Owner) ARN(service, resource string) ARN {
	partition := o.Partition
	if partition == "" {
		partition = DefaultPartition
	}
	return ARN{Partition: partition, Service: service, Account: o.Account, Resource: resource}
}

// Root returns the ARN that stands for the account itself.
func (o Owner) Root() string { return o.ARN("iam", "root").String() }

// Role names a role. Its path begins and ends with a slash; empty means "/".
type Role struct {
	Owner
	Path, Name string
}

// ParseRole takes the ARN of a role apart.
func ParseRole(s string) (Role, error) {
	o, rest, err := ofIAM(s, "role/")
	if err != nil {
		return Role{}, err
	}
	path, name := splitPath(rest)
	if !validName(name) || !validPath(path) {
		return Role{}, fmt.Errorf("ARN %q names no role", s)
	}
	return Role{Owner: o, Path: path, Name: name}, nil
}

// String prints the role's ARN.
func (r Role) String() string { return r.ARN("iam", "role"+pathOf(r.Path)+r.Name).String() }

// Session returns the ARN of a session of the role, in which its path has no part.
func (r Role) Session(name string) string {
	return r.ARN("sts", "assumed-role/"+r.Name+"/"+name).String()
}

// Session names a session of a role.
type Session struct {
	Owner
	Role, Name string // the role's name without its path
}

// ParseSession takes the ARN of a role's session apart.
func ParseSession(s string) (Session, error) {
	a, err := Parse(s)
	if err != nil {
		return Session{}, err
	}
	rest, ok := strings.CutPrefix(a.Resource, "assumed-role/")
	role, name, both := strings.Cut(rest, "/")
	if a.Service != "sts" || !ok || !both || !ValidAccount(a.Account) || !validName(role) || name == "" || strings.Contains(name, "/") {
		return Session{}, fmt.Errorf("ARN %q names no session of a role", s)
	}
	return Session{Owner: Owner{a.Partition, a.Account}, Role: role, Name: name}, nil
}

// Provider names an identity provider by its issuer: the URL without https://, letter case
// and trailing slash kept.
type Provider struct {
	Owner
	Issuer string
}

// ParseProvider takes the ARN of an OpenID Connect provider apart.
func ParseProvider(s string) (Provider, error) {
	o, issuer, err := ofIAM(s, "oidc-provider/")
	if err != nil {
		return Provider{}, err
	}
	return Provider{Owner: o, Issuer: issuer}, nil
}

// String prints the provider's ARN.
func (p Provider) String() string { return p.ARN("iam", "oidc-provider/"+p.Issuer).String() }

// Policy names a managed policy. Its account is "aws" where AWS itself manages it.
type Policy struct {
	Owner
	Path, Name string
}

// ParsePolicy takes the ARN of a managed policy apart.
func ParsePolicy(s string) (Policy, error) {
	a, err := Parse(s)
	if err != nil {
		return Policy{}, err
	}
	rest, ok := strings.CutPrefix(a.Resource, "policy/")
	path, name := splitPath(rest)
	if a.Service != "iam" || a.Region != "" || a.Account == "" || !ok || name == "" || !validPath(path) {
		return Policy{}, fmt.Errorf("ARN %q names no managed policy", s)
	}
	return Policy{Owner: Owner{a.Partition, a.Account}, Path: path, Name: name}, nil
}

// String prints the policy's ARN.
func (p Policy) String() string { return p.ARN("iam", "policy"+pathOf(p.Path)+p.Name).String() }

// ofIAM returns whose the resource of IAM is and what its name holds after the type.
func ofIAM(s, kind string) (Owner, string, error) {
	a, err := Parse(s)
	if err != nil {
		return Owner{}, "", err
	}
	rest, ok := strings.CutPrefix(a.Resource, kind)
	if a.Service != "iam" || a.Region != "" || !ValidAccount(a.Account) || !ok || rest == "" {
		return Owner{}, "", fmt.Errorf("ARN %q is not arn:partition:iam::account:%s…", s, kind)
	}
	return Owner{a.Partition, a.Account}, rest, nil
}

// splitPath parts "a/b/name" into "/a/b/" and "name".
func splitPath(s string) (path, name string) {
	i := strings.LastIndexByte(s, '/')
	return "/" + s[:i+1], s[i+1:]
}

func pathOf(path string) string {
	if path == "" {
		return "/"
	}
	return path
}

// validName tells whether s can be the name of a role: [\w+=,.@-]{1,64}.
func validName(s string) bool {
	for i := range len(s) {
		if c := s[i]; !alphanumeric(c) && !strings.ContainsRune("_+=,.@-", rune(c)) {
			return false
		}
	}
	return s != "" && len(s) <= 64
}

// validPath tells whether s, which begins and ends with a slash, can be a path: at most
// 512 characters that print.
func validPath(s string) bool {
	for i := range len(s) {
		if s[i] <= ' ' || s[i] > '~' {
			return false
		}
	}
	return len(s) <= 512
}

func alphanumeric(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
}
