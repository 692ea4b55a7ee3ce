package v1alpha1

import "strings"

// RoleName is the name of the object of a role: the account, a colon and the role's name
// in lower case, since names of roles are unique ignoring case.
func RoleName(account, role string) string { return account + ":" + strings.ToLower(role) }

// PolicyName is the name of the object of a managed policy, made as RoleName makes it.
// AWS's own policies have the account "aws".
func PolicyName(account, policy string) string { return account + ":" + strings.ToLower(policy) }

// ProviderName is the name of the object of a provider: the account, a colon and the URL
// of the issuer without https://, in which ~ is written as ~0, / as ~1 and % as ~2.
func ProviderName(account, url string) string {
	issuer := strings.TrimPrefix(url, "https://")
	return account + ":" + strings.NewReplacer("~", "~0", "/", "~1", "%", "~2").Replace(issuer)
}
