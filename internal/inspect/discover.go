package inspect

import (
	"context"

	"laterna.dev/laterna/boundtoken"
	"laterna.dev/laterna/boundtoken/discovery"
	"laterna.dev/laterna/internal/plain"
)

// Discoverer fetches what issuers publish. *discovery.Client is one.
type Discoverer interface {
	// Fetch returns the documents of an issuer. Errors are fit for terminals.
	Fetch(ctx context.Context, issuer boundtoken.Issuer) (*discovery.Documents, error)
}

// Discover does what a relying party does: it fetches the documents of the issuer with
// that name. Errors are fit for terminals.
func Discover(ctx context.Context, from Discoverer, name string) (*discovery.Documents, error) {
	i, err := discoverable(name)
	if err != nil {
		return nil, err
	}
	return from.Fetch(ctx, i)
}

// discoverable returns the issuer with that name, or why nobody can discover it.
func discoverable(name string) (boundtoken.Issuer, error) {
	i, err := boundtoken.ParseIssuer(name)
	if err != nil {
		return i, plain.Error(err)
	}
	return i, discovery.Check(i)
}
