package session

import (
	"context"
	"errors"
	"strings"

	"laterna.dev/laterna/internal/aws/caller"
	"laterna.dev/laterna/internal/aws/iam"
	"laterna.dev/laterna/internal/aws/sigv4"
)

// Keys finds the keys of signers: temporary ones by their session token, long-term ones in
// a directory. It implements sigv4.Keys.
type Keys struct {
	Sealer    *Sealer
	Directory iam.Directory
}

// Key implements sigv4.Keys. A session whose role is gone, or is another of the same name,
// is unknown.
func (k Keys) Key(ctx context.Context, id, token string) (sigv4.Key, error) {
	if token != "" {
		return k.temporary(ctx, id, token)
	}
	if !strings.HasPrefix(id, iam.LongTermPrefix) {
		return sigv4.Key{}, sigv4.ErrUnknown
	}
	found, err := k.Directory.AccessKey(ctx, id)
	if errors.Is(err, iam.ErrNotFound) {
		return sigv4.Key{}, sigv4.ErrUnknown
	}
	if err != nil {
		return sigv4.Key{}, err
	}
	return sigv4.Key{Secret: found.Secret, Holder: &caller.Caller{
		AccessKeyID: found.ID, Account: found.Account, ARN: found.ARN(), UserID: found.UserID, Administrator: found.Administrator,
	}}, nil
}

func (k Keys) temporary(ctx context.Context, id, token string) (sigv4.Key, error) {
	c, err := k.Sealer.Open(ctx, token)
	switch {
	case errors.Is(err, ErrExpired):
		return sigv4.Key{}, sigv4.ErrExpired
	case errors.Is(err, ErrInvalid), err == nil && c.ID != id:
		return sigv4.Key{}, sigv4.ErrUnknown
	case err != nil:
		return sigv4.Key{}, err
	}
	name, err := iam.ParseName(c.Holder.Session.RoleARN)
	if err != nil {
		return sigv4.Key{}, sigv4.ErrUnknown
	}
	role, err := k.Directory.Role(ctx, name.Account, name.Name)
	if errors.Is(err, iam.ErrNotFound) || err == nil && role.ID != c.Holder.Session.RoleID {
		return sigv4.Key{}, sigv4.ErrUnknown
	}
	if err != nil {
		return sigv4.Key{}, err
	}
	return sigv4.Key{Secret: c.Secret, Holder: c.Holder}, nil
}
