package iam

import (
	"fmt"
	"strings"

	"laterna.dev/laterna/internal/aws/arn"
)

// resourceARN is the name of a resource of IAM.
func resourceARN(partition, account, kind, path, name string) string {
	if path == "" {
		path = "/"
	}
	return arn.Owner{Partition: partition, Account: account}.ARN("iam", kind+path+name).String()
}

// Key is what identifies a role or policy of an account: names in any spelling have the
// same. Objects of the cluster have it as their name.
func Key(account, name string) string { return account + ":" + strings.ToLower(name) }

// ProviderKey is what identifies a provider of an account: the issuer's URL without
// https://, with ~ as ~0, / as ~1 and % as ~2, so that it is one segment of a path.
func ProviderKey(account, issuer string) string {
	return account + ":" + strings.NewReplacer("~", "~0", "/", "~1", "%", "~2").Replace(issuer)
}

// SplitKey takes a key apart; what follows the account is as it stands in the key.
func SplitKey(key string) (account, rest string, ok bool) { return strings.Cut(key, ":") }

// IssuerOf undoes what ProviderKey does to an issuer.
func IssuerOf(escaped string) string {
	return strings.NewReplacer("~0", "~", "~1", "/", "~2", "%").Replace(escaped)
}

// Name is an ARN of IAM taken apart.
type Name struct {
	Partition, Account string
	// Kind is role, policy, oidc-provider, user, …
	Kind string
	// Path begins and ends with a slash; a provider has none but "/".
	Path string
	// Name is what follows the path; of a provider, the issuer without https://.
	Name string
}

// String returns the ARN.
func (n Name) String() string { return resourceARN(n.Partition, n.Account, n.Kind, n.Path, n.Name) }

// ParseName takes an ARN of IAM apart, of whatever kind.
func ParseName(text string) (Name, error) {
	a, err := arn.Parse(text)
	if err != nil {
		return Name{}, err
	}
	kind, rest, ok := strings.Cut(a.Resource, "/")
	if a.Service != "iam" || a.Region != "" || a.Account == "" || !ok {
		return Name{}, fmt.Errorf("ARN %q is not of a resource of IAM", text)
	}
	n := Name{Partition: a.Partition, Account: a.Account, Kind: kind, Path: "/", Name: rest}
	if i := strings.LastIndexByte(rest, '/'); i >= 0 && kind != "oidc-provider" {
		n.Path, n.Name = "/"+rest[:i+1], rest[i+1:]
	}
	if n.Name == "" {
		return Name{}, fmt.Errorf("ARN %q names no resource", text)
	}
	return n, nil
}
