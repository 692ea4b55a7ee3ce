package etcd

import (
	"cmp"
	"context"
	"errors"
	"fmt"

	clientv3 "go.etcd.io/etcd/client/v3"

	"laterna.dev/laterna/internal/tokens/keys"
)

var _ keys.Backend = &Sealed{}

// Sealer encrypts values. The key of a value is authenticated with it, so that a
// sealed value cannot be moved to another key.
type Sealer interface {
	Seal(ctx context.Context, key string, plain []byte) ([]byte, error)
	Open(ctx context.Context, key string, sealed []byte) ([]byte, error)
}

// Sealed is one value of the store that is encrypted at rest and is not an API
// object. Its methods may be called concurrently. It keeps the signing keys.
type Sealed struct {
	client *clientv3.Client
	key    string
	sealer Sealer
}

// NewSealed returns the value stored under /laterna/<path>.
func NewSealed(client *clientv3.Client, path string, sealer Sealer) *Sealed {
	return &Sealed{client: client, key: "/laterna/" + path, sealer: sealer}
}

// ErrForeign is inside the errors of Load when the value is there and the sealer
// cannot open it.
var ErrForeign = errors.New("sealed with another key")

// Load returns the value and its revision, which is 0 when there is none yet.
func (s *Sealed) Load(ctx context.Context) ([]byte, int64, error) {
	resp, err := s.client.Get(ctx, s.key)
	if err != nil {
		return nil, 0, fmt.Errorf("reading %s: %w", s.key, err)
	}
	if len(resp.Kvs) == 0 {
		return nil, 0, nil
	}
	plain, err := s.sealer.Open(ctx, s.key, resp.Kvs[0].Value)
	if err != nil {
		return nil, 0, fmt.Errorf("opening %s: %w: %v", s.key, ErrForeign, err)
	}
	return plain, resp.Kvs[0].ModRevision, nil
}

// Store writes the value if its revision is still expected (0: if there is none),
// and returns the new revision. Otherwise it returns keys.ErrConflict.
func (s *Sealed) Store(ctx context.Context, data []byte, expected int64) (int64, error) {
	sealed, err := s.sealer.Seal(ctx, s.key, data)
	if err != nil {
		return 0, fmt.Errorf("sealing %s: %w", s.key, err)
	}
	resp, err := s.client.Txn(ctx).
		If(clientv3.Compare(clientv3.ModRevision(s.key), "=", expected)).
		Then(clientv3.OpPut(s.key, string(sealed))).
		Commit()
	if err != nil {
		return 0, fmt.Errorf("writing %s: %w", s.key, err)
	}
	if !resp.Succeeded {
		return 0, fmt.Errorf("writing %s: %w", s.key, keys.ErrConflict)
	}
	return resp.Header.Revision, nil
}

// Watch calls changed when it has begun to watch and after every change of the
// value, one call at a time. It returns when ctx ends or the connection is lost.
func (s *Sealed) Watch(ctx context.Context, changed func()) error {
	ctx, cancel := context.WithCancel(clientv3.WithRequireLeader(ctx))
	defer cancel()
	for resp := range s.client.Watch(ctx, s.key, clientv3.WithCreatedNotify()) {
		if err := resp.Err(); err != nil {
			return fmt.Errorf("watching %s: %w", s.key, err)
		}
		changed()
	}
	return fmt.Errorf("watching %s: %w", s.key, cmp.Or(context.Cause(ctx), errLost))
}

var errLost = errors.New("connection to store was lost")
