package iam

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// DefaultPartition is that of all regions but China's and those of the US government.
const DefaultPartition = "aws"

// Partitions are those that things can belong to.
func Partitions() []string { return []string{DefaultPartition, "aws-cn", "aws-us-gov"} }

var accountID = regexp.MustCompile(`^[0-9]{12}$`)

// ValidAccount tells whether a is an account id: twelve digits.
func ValidAccount(a string) bool { return accountID.MatchString(a) }

func resourceARN(partition, account, kind, path, name string) string {
	if partition == "" {
		partition = DefaultPartition
	}
	if path == "" {
		path = "/"
	}
	return "arn:" + partition + ":iam::" + account + ":" + kind + path + name
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

// ParseName takes an ARN of IAM apart.
func ParseName(arn string) (Name, error) {
	parts := strings.SplitN(arn, ":", 6)
	if len(parts) != 6 || parts[0] != "arn" || parts[2] != "iam" || parts[3] != "" {
		return Name{}, errors.New("not an ARN of IAM")
	}
	n := Name{Partition: parts[1], Account: parts[4], Path: "/"}
	if !slices.Contains(Partitions(), n.Partition) {
		return Name{}, fmt.Errorf("no partition is named %q", n.Partition)
	}
	var rest string
	var ok bool
	if n.Kind, rest, ok = strings.Cut(parts[5], "/"); !ok || rest == "" {
		return Name{}, errors.New("the ARN names no resource")
	}
	if n.Kind == "oidc-provider" {
		n.Name = rest
		return n, nil
	}
	if i := strings.LastIndexByte(rest, '/'); i >= 0 {
		n.Path, rest = "/"+rest[:i+1], rest[i+1:]
	}
	if n.Name = rest; rest == "" {
		return Name{}, errors.New("the ARN names no resource")
	}
	return n, nil
}
