package iam

import "time"

// Provider is an OpenID Connect provider of an account: an issuer whose tokens its roles
// may trust.
type Provider struct {
	// Partition and Account are as those of Role.
	Partition, Account string
	// URL is that of the issuer without https://, letter case and trailing slash as they
	// were given. It is the provider's identity in its account.
	URL string
	// ClientIDs are the audiences that are accepted, in the order in which they were
	// added, each once.
	ClientIDs []string
	// Thumbprints are SHA-1 digests of certificates, 40 lower-case characters each.
	Thumbprints []string
	// Tags are sorted by key.
	Tags []Tag
	// Created is in UTC, to the millisecond.
	Created time.Time
	// Version changes with every write; it is the store's.
	Version string
}

// ARN is the provider's name in all accounts.
func (p *Provider) ARN() string {
	return resourceARN(p.Partition, p.Account, "oidc-provider", "/", p.URL)
}
