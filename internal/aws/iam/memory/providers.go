package memory

import (
	"context"
	"slices"
	"strings"
	"time"

	"laterna.dev/laterna/internal/aws/iam"
)

// Provider implements iam.Directory.
func (s *Store) Provider(_ context.Context, account, issuer string) (iam.Provider, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p, err := s.providers.get("provider", iam.ProviderKey(account, issuer))
	return p.Clone(), err
}

// Providers implements iam.Directory.
func (s *Store) Providers(_ context.Context, account string) ([]iam.Provider, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []iam.Provider
	for _, k := range s.providers.page(account, "", 0) {
		out = append(out, s.providers[k].Clone())
	}
	slices.SortFunc(out, func(a, b iam.Provider) int { return strings.Compare(a.URL, b.URL) })
	return out, nil
}

// CreateProvider implements iam.Store.
func (s *Store) CreateProvider(_ context.Context, p iam.Provider) (iam.Provider, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p = p.Clone()
	p.Created, p.Version = s.now().UTC().Truncate(time.Millisecond), s.version()
	p, err := s.providers.create("provider", iam.ProviderKey(p.Account, p.URL), p)
	return p.Clone(), err
}

// UpdateProvider implements iam.Store.
func (s *Store) UpdateProvider(_ context.Context, account, issuer string, change func(*iam.Provider) error) (iam.Provider, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	key := iam.ProviderKey(account, issuer)
	p, err := s.providers.get("provider", key)
	if err != nil {
		return p, err
	}
	p = p.Clone()
	if err := change(&p); err != nil {
		return iam.Provider{}, err
	}
	p.Version = s.version()
	s.providers[key] = p.Clone()
	return p, nil
}

// DeleteProvider implements iam.Store.
func (s *Store) DeleteProvider(_ context.Context, account, issuer string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	key := iam.ProviderKey(account, issuer)
	if _, err := s.providers.get("provider", key); err != nil {
		return err
	}
	delete(s.providers, key)
	return nil
}
