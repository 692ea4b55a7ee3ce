// Package access says what a caller of the AWS APIs may do: it collects the policies that
// have a say and the condition keys that a request has, and has them decided.
//
// It owns that collecting, for STS and IAM alike. What policies mean is aws/policy's, where
// they are kept aws/iam's; whom a role trusts is asked by aws/sts, which hands the trust
// policy over.
package access

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"laterna.dev/laterna/internal/aws/caller"
	"laterna.dev/laterna/internal/aws/iam"
	"laterna.dev/laterna/internal/aws/policy"
)

// Policies returns those of a caller: of the role of a session with its boundary and the
// session's own, read live. What cannot be read as a policy, or is gone, allows nothing.
func Policies(ctx context.Context, d iam.Directory, c *caller.Caller) (*policy.Policies, error) {
	if c.Administrator {
		return &policy.Policies{Identity: []policy.Source{{Name: "AdministratorAccess", Document: policy.AdministratorAccess()}}}, nil
	}
	if c.Session == nil {
		return &policy.Policies{}, nil
	}
	name, err := iam.ParseName(c.Session.RoleARN)
	if err != nil {
		return nil, fmt.Errorf("reading the role of a session: %w", err)
	}
	role, err := d.Role(ctx, name.Account, name.Name)
	if errors.Is(err, iam.ErrNotFound) || err == nil && role.ID != c.Session.RoleID {
		return &policy.Policies{}, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading the role of a session: %w", err)
	}
	p := &policy.Policies{}
	for _, name := range slices.Sorted(maps.Keys(role.Inline)) {
		p.Identity = append(p.Identity, source(policy.Identity, name, role.Inline[name]))
	}
	if p.Identity, err = managed(ctx, d, p.Identity, role.Attached); err != nil {
		return nil, err
	}
	if role.PermissionsBoundary != "" {
		boundary, err := managed(ctx, d, nil, []string{role.PermissionsBoundary})
		if err != nil {
			return nil, err
		}
		p.Boundary = &boundary[0]
	}
	if c.Session.Policy != "" {
		p.Session = append(p.Session, source(policy.Session, "session policy", c.Session.Policy))
	}
	p.Session, err = managed(ctx, d, p.Session, c.Session.PolicyARNs)
	return p, err
}

// managed adds managed policies to others.
func managed(ctx context.Context, d iam.Directory, to []policy.Source, arns []string) ([]policy.Source, error) {
	for _, arn := range arns {
		found, err := d.Policy(ctx, arn)
		if err != nil && !errors.Is(err, iam.ErrNotFound) {
			return nil, fmt.Errorf("reading policy %s: %w", arn, err)
		}
		to = append(to, source(policy.Identity, arn, found.Document))
	}
	return to, nil
}

// source reads a document; one that is none allows nothing.
func source(kind policy.Kind, name, text string) policy.Source {
	d, err := policy.Parse(kind, text)
	if err != nil {
		return policy.Source{Name: name}
	}
	return policy.Source{Name: name, Document: d}
}

// Principal is a caller as policies name it.
func Principal(c *caller.Caller) policy.Principal {
	p := policy.Principal{ARN: c.ARN, ID: c.UserID, Account: c.Account}
	if name, err := iam.ParseName(c.ARN); err == nil {
		p.Partition = name.Partition
	}
	if c.Session != nil {
		p.RoleARN, p.RoleID = c.Session.RoleARN, c.Session.RoleID
		if name, err := iam.ParseName(c.Session.RoleARN); err == nil {
			p.Partition = name.Partition
		}
	}
	return p
}

// Decide says whether a caller may do something, as IAM asks: no trust policy has a say.
func Decide(ctx context.Context, d iam.Directory, c *caller.Caller, action, resource string, keys policy.Context) (policy.Decision, error) {
	p, err := Policies(ctx, d, c)
	if err != nil {
		return policy.Decision{}, err
	}
	return policy.Decide(&policy.Request{Action: action, Resource: resource, Principal: Principal(c), Context: keys}, p), nil
}
