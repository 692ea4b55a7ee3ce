// Package memory is a store of IAM in memory, for tests.
//
// It owns nothing but keeping: what the values mean is said in internal/aws/iam.
package memory

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"laterna.dev/laterna/internal/aws/arn"
	"laterna.dev/laterna/internal/aws/iam"
)

// Store implements iam.Store.
type Store struct {
	now func() time.Time

	mu        sync.Mutex
	writes    int
	roles     table[iam.Role]
	providers table[iam.Provider]
	policies  table[iam.Policy]
	keys      table[iam.AccessKey]
}

var _ iam.Store = (*Store)(nil)

// New returns an empty store; now gives the times of creation.
func New(now func() time.Time) *Store {
	return &Store{now: now, roles: table[iam.Role]{}, providers: table[iam.Provider]{}, policies: table[iam.Policy]{}, keys: table[iam.AccessKey]{}}
}

// table are values by what identifies them.
type table[T any] map[string]T

func (t table[T]) get(kind, key string) (T, error) {
	v, ok := t[key]
	if !ok {
		return v, fmt.Errorf("%s %s: %w", kind, key, iam.ErrNotFound)
	}
	return v, nil
}

func (t table[T]) create(kind, key string, v T) (T, error) {
	if _, ok := t[key]; ok {
		return v, fmt.Errorf("%s %s: %w", kind, key, iam.ErrExists)
	}
	t[key] = v
	return v, nil
}

// page returns the keys of an account behind one of them.
func (t table[T]) page(account, after string, limit int) []string {
	var keys []string
	for k := range t {
		if a, rest, _ := iam.SplitKey(k); a == account && rest > after {
			keys = append(keys, k)
		}
	}
	slices.Sort(keys)
	if limit > 0 && len(keys) > limit {
		keys = keys[:limit]
	}
	return keys
}

// version returns that of the next write. The caller holds mu.
func (s *Store) version() string {
	s.writes++
	return strconv.Itoa(s.writes)
}

// AddAccessKey keeps a long-term key.
func (s *Store) AddAccessKey(k iam.AccessKey) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.keys[k.ID] = k
}

// AccessKey implements iam.Directory.
func (s *Store) AccessKey(_ context.Context, id string) (iam.AccessKey, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.keys.get("access key", id)
}

// Role implements iam.Directory.
func (s *Store) Role(_ context.Context, account, name string) (iam.Role, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r, err := s.roles.get("role", iam.Key(account, name))
	return r.Clone(), err
}

// CreateRole implements iam.Store.
func (s *Store) CreateRole(_ context.Context, r iam.Role) (iam.Role, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r = r.Clone()
	r.ID, r.Created, r.Version = iam.NewID(iam.RolePrefix), s.now().UTC().Truncate(time.Second), s.version()
	r.Principals = s.principals(r.TrustPolicy)
	r, err := s.roles.create("role", iam.Key(r.Account, r.Name), r)
	return r.Clone(), err
}

// UpdateRole implements iam.Store.
func (s *Store) UpdateRole(_ context.Context, account, name string, change func(*iam.Role) error) (iam.Role, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	key := iam.Key(account, name)
	r, err := s.roles.get("role", key)
	if err != nil {
		return r, err
	}
	was := r.TrustPolicy
	r = r.Clone()
	if err := change(&r); err != nil {
		return iam.Role{}, err
	}
	r.Version = s.version()
	if r.TrustPolicy != was {
		r.Principals = s.principals(r.TrustPolicy)
	}
	s.roles[key] = r.Clone()
	return r, nil
}

// principals are the roles that a trust policy means. The caller holds mu.
func (s *Store) principals(document string) map[string]string {
	var ids map[string]string
	for _, name := range iam.TrustedRoles(document) {
		n, err := arn.ParseRole(name)
		if err != nil {
			continue
		}
		if r, ok := s.roles[iam.Key(n.Account, n.Name)]; ok && r.ARN() == name {
			if ids == nil {
				ids = map[string]string{}
			}
			ids[name] = r.ID
		}
	}
	return ids
}

// DeleteRole implements iam.Store.
func (s *Store) DeleteRole(_ context.Context, account, name string, may func(*iam.Role) error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	key := iam.Key(account, name)
	r, err := s.roles.get("role", key)
	if err != nil {
		return err
	}
	if err := may(&r); err != nil {
		return err
	}
	delete(s.roles, key)
	return nil
}

// Roles implements iam.Store.
func (s *Store) Roles(_ context.Context, account string, page iam.Page) ([]iam.Role, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []iam.Role
	for _, k := range s.roles.page(account, strings.ToLower(page.After), page.Limit) {
		out = append(out, s.roles[k].Clone())
	}
	return out, nil
}
