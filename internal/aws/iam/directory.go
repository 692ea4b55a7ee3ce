package iam

import (
	"context"
	"errors"
)

// What a Directory and a Store answer besides what the store itself has to say.
var (
	// ErrNotFound: there is no such thing.
	ErrNotFound = errors.New("not found")
	// ErrExists: another thing has the name.
	ErrExists = errors.New("already exists")
	// ErrInvalid: the store does not take the value.
	ErrInvalid = errors.New("not valid")
	// ErrConflict: others wrote the thing in between, again and again.
	ErrConflict = errors.New("written by others at the same time")
)

// Directory is what is looked up to authenticate and to decide. Every read is as fresh
// as the store: what a Create has answered for is found. Errors wrap ErrNotFound where
// there is no such thing. Its methods may be called concurrently.
type Directory interface {
	// Role looks up a role by its name in any spelling.
	Role(ctx context.Context, account, name string) (Role, error)
	// Provider looks up a provider by the issuer's URL without https://, in its spelling.
	Provider(ctx context.Context, account, issuer string) (Provider, error)
	// Providers returns all of an account, sorted by URL.
	Providers(ctx context.Context, account string) ([]Provider, error)
	// Policy looks up a managed policy by its whole ARN, path and all.
	Policy(ctx context.Context, arn string) (Policy, error)
	// AccessKey looks up a long-term key.
	AccessKey(ctx context.Context, id string) (AccessKey, error)
}

// Store is a Directory that can be written. Values are checked by whoever writes them;
// ids, times and versions are the store's to give.
//
// Update functions are given a value to change and may be called again when others wrote
// in between; their error ends the update and is returned as it is. They leave alone
// what identifies the value. When others win again and again, ErrConflict is returned.
type Store interface {
	Directory

	// CreateRole returns the role as it is stored, or ErrExists.
	CreateRole(ctx context.Context, r Role) (Role, error)
	UpdateRole(ctx context.Context, account, name string, change func(*Role) error) (Role, error)
	// DeleteRole deletes the role that may agreed to.
	DeleteRole(ctx context.Context, account, name string, may func(*Role) error) error
	// Roles returns roles of an account in the order of their names in lower case.
	Roles(ctx context.Context, account string, page Page) ([]Role, error)

	CreateProvider(ctx context.Context, p Provider) (Provider, error)
	UpdateProvider(ctx context.Context, account, issuer string, change func(*Provider) error) (Provider, error)
	DeleteProvider(ctx context.Context, account, issuer string) error

	CreatePolicy(ctx context.Context, p Policy) (Policy, error)
	UpdatePolicy(ctx context.Context, arn string, change func(*Policy) error) (Policy, error)
	DeletePolicy(ctx context.Context, arn string) error
	// Policies returns managed policies of an account in the order of their names in
	// lower case.
	Policies(ctx context.Context, account string, page Page) ([]Policy, error)
}

// Page is a part of a list.
type Page struct {
	// After is the name, in any spelling, after which the page begins; "" is the start.
	After string
	// Limit is how many there are at most. Fewer are returned at the end only.
	Limit int
}
