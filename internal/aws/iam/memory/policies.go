package memory

import (
	"context"
	"fmt"
	"strings"
	"time"

	"laterna.dev/laterna/internal/aws/iam"
)

// policy looks a policy up by its ARN, and says under which key it is. The caller holds
// mu.
func (s *Store) policy(arn string) (iam.Policy, string, error) {
	n, err := iam.ParseName(arn)
	if err != nil || n.Kind != "policy" {
		return iam.Policy{}, "", fmt.Errorf("policy %s: %w", arn, iam.ErrNotFound)
	}
	key := iam.Key(n.Account, n.Name)
	p, err := s.policies.get("policy", key)
	if err == nil && p.ARN() != arn {
		return iam.Policy{}, "", fmt.Errorf("policy %s: %w", arn, iam.ErrNotFound)
	}
	return p, key, err
}

// Policy implements iam.Directory.
func (s *Store) Policy(_ context.Context, arn string) (iam.Policy, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p, _, err := s.policy(arn)
	return p.Clone(), err
}

// CreatePolicy implements iam.Store.
func (s *Store) CreatePolicy(_ context.Context, p iam.Policy) (iam.Policy, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p = p.Clone()
	p.ID, p.Created, p.Version = iam.NewID(iam.PolicyPrefix), s.now().UTC().Truncate(time.Second), s.version()
	p, err := s.policies.create("policy", iam.Key(p.Account, p.Name), p)
	return p.Clone(), err
}

// UpdatePolicy implements iam.Store.
func (s *Store) UpdatePolicy(_ context.Context, arn string, change func(*iam.Policy) error) (iam.Policy, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p, key, err := s.policy(arn)
	if err != nil {
		return p, err
	}
	p = p.Clone()
	if err := change(&p); err != nil {
		return iam.Policy{}, err
	}
	p.Version = s.version()
	s.policies[key] = p.Clone()
	return p, nil
}

// DeletePolicy implements iam.Store.
func (s *Store) DeletePolicy(_ context.Context, arn string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, key, err := s.policy(arn)
	if err != nil {
		return err
	}
	delete(s.policies, key)
	return nil
}

// Policies implements iam.Store.
func (s *Store) Policies(_ context.Context, account string, page iam.Page) ([]iam.Policy, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []iam.Policy
	for _, k := range s.policies.page(account, strings.ToLower(page.After), page.Limit) {
		out = append(out, s.policies[k].Clone())
	}
	return out, nil
}
